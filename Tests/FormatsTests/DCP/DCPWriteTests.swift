import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct DCPWriteTests {
  private func write(
    _ value: Value, _ path: String, shards: Int = 1, replaces: Bool = false
  ) throws -> [String] {
    var options = Format.WriteOptions()
    (options.shards, options.replaces) = (shards, replaces)
    return try DCPWriter.write(value, to: path, options).warnings
  }

  /// Larger than what is cut, with rows that no number of files divides, and dimensions of all kinds.
  private func largeTree() throws -> Value {
    func numbers(_ shape: [Int]) throws -> Value {
      let count = shape.reduce(1, *)
      return .tensor(
        try Tensor(dtype: .int32, shape: shape, source: BufferSource(elements: (0..<count).map { Int32($0) })))
    }
    return dict(
      ("matrix", try numbers([131, 257])), ("line", try numbers([40_001])), ("row", try numbers([1, 30_000])),
      ("cube", try numbers([3, 100, 101])), ("small", try numbers([2, 2])), ("scalar", try numbers([])),
      ("none", try numbers([0, 5])), ("step", .int(3)), ("list", .sequence(.list, [try numbers([2]), .none])))
  }

  @Test(arguments: [1, 2, 3, 5, 64])
  func whatIsWrittenComesBack(_ shards: Int) throws {
    let folder = TemporaryFolder()
    let tree = try largeTree()
    #expect(try write(tree, folder.file("d"), shards: shards).isEmpty)
    #expect(try Diff(readFolder(folder.file("d")), tree).isEqual)
    let report = try Format.dcp.verify(folder.file("d"))
    #expect(report.isSound, "\(report.problems)")
    #expect(filesIn(folder.file("d")).filter { $0.hasSuffix(".distcp") }.count == min(shards, 64))
    #expect(folder.names == ["d"])
  }

  /// Each file gets its part of the rows of a large tensor.
  @Test func largeTensorsAreSharedOut() throws {
    let folder = TemporaryFolder()
    _ = try write(try largeTree(), folder.file("d"), shards: 4)
    let metadata = try DCPCheckpoint(folder.file("d"), verify: true).metadata
    let entry = try #require(metadata.entries.first { $0.name == "matrix" })
    guard case .tensor(let item) = entry.item else { return #expect(Bool(false)) }
    #expect(item.chunks.map(\.sizes) == [[33, 257], [33, 257], [33, 257], [32, 257]])
    #expect(Set(item.chunks.compactMap { $0.part?.file }).count == 4)
  }

  /// The whole state of a training, and what DCP cannot hold is said.
  @Test func trainingStatesComeBack() throws {
    let folder = TemporaryFolder()
    let tree = try trainingTree()
    let warnings = try write(tree, folder.file("d"))
    #expect(warnings.contains { $0.contains("1 tensors that share memory") })
    #expect(warnings.contains { $0.contains("dicts became plain ones") })
    #expect(warnings.count == 2)
    let back = try readFolder(folder.file("d"))
    guard case .dict(let root) = back, let optimizer = root["optimizer"].flatMap({ OptimizerState($0) }) else {
      return #expect(Bool(false))
    }
    #expect(optimizer.keys == [.int(0), .int(1), .int(2)])
    guard case .dict(let wanted) = tree, let before = wanted["optimizer"], let after = root["optimizer"] else {
      return #expect(Bool(false))
    }
    #expect(try Diff(before, after).isEqual)
  }

  @Test func whatHasNoPlaceIsRefused() throws {
    let folder = TemporaryFolder()
    let tensor = try tensor([1], [1])
    #expect(throws: CheckpointError.self) { try write(.sequence(.list, [tensor]), folder.file("d")) }
    let clash = dict(("a.b", tensor), ("a", dict(("b", tensor))))
    let error = #expect(throws: CheckpointError.self) { try write(clash, folder.file("d")) }
    #expect(error?.message.contains("'a.b'") == true)
    #expect(folder.names.isEmpty)
  }

  /// A save that fails leaves what was there, and nothing else.
  @Test func aFailedSaveChangesNothing() throws {
    let folder = TemporaryFolder()
    let path = folder.file("d")
    _ = try write(try largeTree(), path)
    let before = try filesIn(path).map { try readBytes("\(path)/\($0)") }
    let bad = dict(("w", .tensor(try Tensor(dtype: .float32, shape: [30_000], source: Broken(byteCount: 120_000)))))
    #expect(throws: CheckpointError.self) { try write(bad, path, shards: 2, replaces: true) }
    #expect(try filesIn(path).map { try readBytes("\(path)/\($0)") } == before)
    let refused = #expect(throws: CheckpointError.self) { try write(try trainingTree(), path) }
    #expect(refused?.code == .cannotCreate)
    #expect(folder.names == ["d"])
    _ = try write(try trainingTree(), path, replaces: true)
    #expect(filesIn(path) == [".metadata", "__0_0.distcp"])
    #expect(folder.names == ["d"])
  }

  /// `--overwrite` is no licence to delete somebody's notes.
  @Test func aFolderWithOtherFilesIsNeverReplaced() throws {
    let folder = TemporaryFolder()
    let path = folder.file("d")
    _ = try write(try trainingTree(), path)
    writeBytes([1], to: path + "/notes.txt")
    let error = #expect(throws: CheckpointError.self) { try write(try largeTree(), path, replaces: true) }
    #expect(error?.message.contains("'notes.txt'") == true)
    #expect(filesIn(path) == [".metadata", "__0_0.distcp", "notes.txt"])
    writeBytes([1], to: folder.file("file"))
    let other = #expect(throws: CheckpointError.self) {
      try write(try largeTree(), folder.file("file"), replaces: true)
    }
    #expect(other?.message.contains("is no folder") == true)
  }

  /// A folder, or a name that is no UTF-8, is nobody's shard whatever it is called.
  @Test func whatCannotBeRemovedIsRefused() throws {
    let folder = TemporaryFolder()
    let path = folder.file("d")
    _ = try write(try trainingTree(), path)
    mkdir(path + "/x.distcp", 0o700)
    writeBytes([1], to: path + "/x.distcp/keep")
    let error = #expect(throws: CheckpointError.self) { try write(try largeTree(), path, replaces: true) }
    #expect(error?.message.contains("'x.distcp'") == true)
    #expect(try readBytes(path + "/x.distcp/keep") == [1])
    removeAll(path + "/x.distcp")
    let odd = Array(path.utf8CString.dropLast()) + [0x2F, -1] + Array(".distcp".utf8CString)
    close(open(odd, O_WRONLY | O_CREAT, 0o600))
    #expect(throws: CheckpointError.self) { try write(try largeTree(), path, replaces: true) }
    unlink(odd)
    _ = try write(try largeTree(), path, replaces: true)
    #expect(folder.names == ["d"])
    #expect(throws: CheckpointError.self) { try write(try largeTree(), path + "/.", replaces: true) }
  }

  /// What a killed process left is cleared away by the next save; what a live one holds is not.
  @Test func abandonedFoldersAreRemoved() throws {
    let folder = TemporaryFolder()
    mkdir(folder.file(".d.ckpt-tmp-old"), 0o700)
    writeBytes([1], to: folder.file(".d.ckpt-tmp-old/__0_0.distcp"))
    mkdir(folder.file(".d.ckpt-tmp-live"), 0o700)
    let held = open(folder.file(".d.ckpt-tmp-live"), O_RDONLY | O_DIRECTORY)
    defer { close(held) }
    #expect(flock(held, LOCK_EX | LOCK_NB) == 0)
    _ = try write(try trainingTree(), folder.file("d/"))
    #expect(folder.names == [".d.ckpt-tmp-live", "d"])
  }

  @Test func theSameTreeGivesTheSameBytes() throws {
    let folder = TemporaryFolder()
    for name in ["a", "b"] { _ = try write(try largeTree(), folder.file(name), shards: 3) }
    for name in filesIn(folder.file("a")) {
      #expect(try readBytes(folder.file("a/\(name)")) == readBytes(folder.file("b/\(name)")))
    }
  }

  @Test func aTensorAloneBecomesAnEntry() throws {
    let folder = TemporaryFolder()
    let written = try DCPWriter.write(try tensor([1, 2], [2]), to: folder.file("a"), Format.WriteOptions())
    #expect(written.warnings == ["a tensor alone is the entry 'tensor': a distributed checkpoint is a dict"])
    let back = try Format.dcp.read(folder.file("a"), Format.ReadOptions()).checkpoint.root
    #expect(try Diff(back, dict(("tensor", try tensor([1, 2], [2])))).isEqual)
  }
}

/// Fails in the middle.
private final class Broken: ByteSource {
  let byteCount: Int

  init(byteCount: Int) { self.byteCount = byteCount }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    try BufferSource([UInt8](repeating: 1, count: byteCount / 2)).withBytes(body)
    throw CheckpointError(.inputOutput, "the disk is gone")
  }
}
