import HDF5
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

@Suite struct FileTests {
  private func makeFile(_ path: String) throws {
    let file = try File.create(path)
    let dataset = try file.root().createDataset("x", type: .uint8, shape: .simple([5000]))
    try dataset.write([UInt8](repeating: 3, count: 5000))
    try file.close()
  }

  @Test func aMissingFileIsNamed() throws {
    let scratch = try Scratch()
    let error = try failure { () throws(HDF5Error) in _ = try File.open(scratch.path("gone.h5"), .readOnly) }
    #expect(error.kind == .notFound)
    #expect(error.description == "\(scratch.path("gone.h5")): cannot open file: No such file or directory")
  }

  @Test func aFolderAndAStrangerAreNotHDF5() throws {
    let scratch = try Scratch()
    #expect(try failure { () throws(HDF5Error) in _ = try File.open(scratch.folder, .readOnly) }.kind == .inputOutput)
    for bytes in [[], [1], [UInt8](repeating: 0x41, count: 10_000)] as [[UInt8]] {
      try writeFile(scratch.path(), bytes)
      let error = try failure { () throws(HDF5Error) in _ = try File.open(scratch.path(), .readOnly) }
      #expect(error.kind == .notHDF5)
      #expect(error.file == scratch.path())
      #expect(!File.isHDF5(scratch.path()))
    }
  }

  @Test func signatureIsFoundAtTheStartOnly() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    #expect(File.isHDF5(scratch.path()))
    #expect(!File.isHDF5(scratch.path("gone")))
    try writeFile(scratch.path("b"), [UInt8](repeating: 0, count: 512) + readFile(scratch.path()))
    #expect(!File.isHDF5(scratch.path("b")))
  }

  @Test func aUserBlockIsReported() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    let plain = try File.open(scratch.path(), .readOnly)
    #expect(try plain.userblockSize == 0)
    try writeFile(scratch.path("b.h5"), [UInt8](repeating: 0, count: 512) + readFile(scratch.path()))
    let shifted = try File.open(scratch.path("b.h5"), .readOnly)
    #expect(try shifted.userblockSize == 512)
  }

  @Test func aTruncatedFileSaysSo() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    let bytes = try readFile(scratch.path())
    try writeFile(scratch.path(), bytes.dropLast(100))
    let error = try failure { () throws(HDF5Error) in _ = try File.open(scratch.path(), .readOnly) }
    #expect(error.kind == .truncated)
    #expect(error.description.hasPrefix("\(scratch.path()): cannot open file: "))
    #expect(error.reason.contains("eof = \(bytes.count - 100)"))
    #expect(!error.description.contains("\n"))
  }

  @Test func failuresPrintNothing() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    try writeFile(scratch.path("cut.h5"), readFile(scratch.path()).dropLast(100))
    let terminal = dup(2)
    let log = creat(scratch.path("log"), 0o600)
    dup2(log, 2)
    close(log)
    // The switch that keeps libhdf5 silent is per thread.
    onFreshThread {
      _ = try? File.open(scratch.path("cut.h5"), .readOnly)
    }
    onFreshThread {
      let file = try? File.open(scratch.path(), .readOnly)
      if let file { _ = try? file.root().openGroup("gone") }
    }
    dup2(terminal, 2)
    close(terminal)
    let printed = String(decoding: try readFile(scratch.path("log")), as: UTF8.self)
    #expect(!printed.contains("HDF5-DIAG"))
  }

  @Test func appendedBytesShowInTheSizes() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    let bytes = try readFile(scratch.path())
    do {
      let file = try File.open(scratch.path(), .readOnly)
      #expect(try file.fileSize == bytes.count)
      #expect(try file.endOfAllocation == bytes.count)
    }
    try writeFile(scratch.path(), bytes + [1, 2, 3])
    let file = try File.open(scratch.path(), .readOnly)
    #expect(try file.fileSize == bytes.count + 3)
    #expect(try file.endOfAllocation == bytes.count)
  }

  @Test func anExistingFileIsReplacedOnlyWhenAsked() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    #expect(try failure { () throws(HDF5Error) in _ = try File.create(scratch.path()) }.kind == .exists)
    let file = try File.create(scratch.path(), truncating: true)
    let count = try file.root().linkCount
    #expect(count == 0)
  }

  @Test func aReadOnlyFileIsNotWritten() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    let file = try File.open(scratch.path(), .readOnly)
    let root = try file.root()
    #expect(throws: HDF5Error.self) { _ = try root.createGroup("g") }
    #expect(throws: HDF5Error.self) { try root.writeAttribute("a", .int(1)) }
  }

  @Test func aFileIsExtendedInASecondSession() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    do {
      let file = try File.open(scratch.path(), .readWrite)
      _ = try file.root().createGroup("a")
      try file.flush()
      try file.close()
    }
    let file = try File.open(scratch.path(), .readOnly)
    let names = try file.root().links().map(\.name)
    #expect(names == ["x", "a"])
  }

  @Test func aClosedFileTakesItsObjectsAlong() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    let root = try file.root()
    try file.close()
    let error = try failure { () throws(HDF5Error) in _ = try root.createGroup("g") }
    #expect(error.reason == "the file has been closed")
    // The bytes are free for others: a second session sees a complete file.
    let again = try File.open(scratch.path(), .readWrite)
    let count = try again.root().linkCount
    #expect(count == 0)
  }

  @Test func anObjectOutlivesAFileThatIsNotClosedByHand() throws {
    let scratch = try Scratch()
    try makeFile(scratch.path())
    let file = try File.open(scratch.path(), .readOnly)
    let dataset = try file.root().openDataset("x")
    // The root group has gone, and `file` is not used any more: it must still live to the end of the scope.
    let read = try dataset.readAll()
    #expect(read == [UInt8](repeating: 3, count: 5000))
  }

  @Test func flippedBytesNeverCrash() throws {
    let scratch = try Scratch()
    do {
      let file = try File.create(scratch.path())
      let root = try file.root()
      try root.writeAttribute("a", .strings(["x", "y"]))
      let dataset = try root.createDataset(
        "c", type: .uint32, shape: .simple([64]), chunks: [16], deflateLevel: 1, shuffle: true)
      try dataset.write([UInt32](repeating: 5, count: 64))
      // Enough to be kept in indexes, not in the header.
      for index in 0..<20 { _ = try root.createGroup("n\(index)") }
      for index in 0..<70 { try root.writeAttribute("n\(index)", .int(1)) }
      _ = try root.createGroup("g").createDataset("d", type: .complex64, shape: .simple([3]))
      try file.close()
    }
    let bytes = try readFile(scratch.path())
    for position in stride(from: 0, to: bytes.count, by: 11) {
      var damaged = bytes
      damaged[position] ^= UInt8(truncatingIfNeeded: 1 << (position % 8))
      try writeFile(scratch.path("b.h5"), damaged)
      do throws(HDF5Error) {
        let file = try File.open(scratch.path("b.h5"), .readOnly)
        let root = try file.root()
        _ = try? root.attributeNames()
        _ = try? root.links()
        _ = try root.readAttribute("a")
        let dataset = try root.openDataset("c")
        if try dataset.type == .uint32, try dataset.shape == .simple([64]) { _ = try? dataset.readAll() }
        _ = try root.openGroup("g").openDataset("d").type
      } catch {
        #expect(!error.reason.isEmpty && error.file == scratch.path("b.h5"))
      }
    }
  }

  @Test func differentFilesAreUsedFromManyTasks() async throws {
    let scratch = try Scratch()
    try await withThrowingTaskGroup(of: [String].self) { group in
      for task in 0..<8 {
        group.addTask {
          let path = scratch.path("\(task).h5")
          for _ in 0..<5 {
            let file = try File.create(path, truncating: true)
            let root = try file.root()
            for index in 0..<40 {
              let dataset = try root.createDataset("\(index)", type: .uint8, shape: .simple([10]))
              try dataset.write([UInt8](repeating: UInt8(task), count: 10))
              // A failing call on each thread, so that the threads' error stacks are in use.
              _ = try? root.openGroup("gone")
            }
            try file.close()
          }
          let file = try File.open(path, .readOnly)
          let root = try file.root()
          guard try root.openDataset("39").readAll() == [UInt8](repeating: UInt8(task), count: 10) else { return [] }
          return try root.links().map(\.name)
        }
      }
      for try await names in group { #expect(names == (0..<40).map { "\($0)" }) }
    }
  }

  @Test func aClosedFileIsNotLockedByProgramsStartedMeanwhile() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    var process = pid_t()
    let arguments: [String] = ["sleep", "60"]
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    defer { for word in words { free(word) } }
    words.append(nil)
    #expect(posix_spawn(&process, "/bin/sleep", nil, nil, words, environ) == 0)
    defer {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }
    try file.close()
    let again = try File.open(scratch.path(), .readWrite)
    #expect(try again.fileSize > 0)
  }

  @Test func aFileThatIsOpenTwiceStaysLocked() throws {
    let scratch = try Scratch()
    let file = try File.create(scratch.path())
    try File.open(scratch.path(), .readWrite).close()
    // As another program would ask for it.
    let descriptor = open(scratch.path(), O_RDWR)
    defer { close(descriptor) }
    #expect(flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    try file.close()
    #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
  }

  @Test func descriptionsEscapeControlCharacters() {
    let error = HDF5Error(kind: .other, file: "a\u{1B}[2J", path: "/x\ny", operation: "open", reason: "no")
    #expect(error.description == #"a\u{1B}[2J: /x\ny: cannot open: no"#)
  }
}
