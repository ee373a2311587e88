import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Section 15.
@Suite struct WritingClauseTests {
  let folder = TemporaryFolder()
  private var path: String { folder.file("x.h5") }

  /// Bytes that do something else first when they are asked for: fail, or look around.
  private final class SideEffect: ByteSource {
    let byteCount = 4
    let body: @Sendable () throws(CheckpointError) -> Void

    init(_ body: @escaping @Sendable () throws(CheckpointError) -> Void) { self.body = body }

    func withBytes(_ use: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
      try body()
      try BufferSource(elements: [Float(1)]).withBytes(use)
    }
  }

  private func tree(_ body: @escaping @Sendable () throws(CheckpointError) -> Void) throws -> Value {
    let tensor = try Tensor(dtype: .float32, shape: [1], source: SideEffect(body))
    return dict(("first", try threeFloats()), ("second", .tensor(tensor)), ("n", .int(1)))
  }

  private func threeFloats() throws -> Value { try tensor([1, 2, 3], [3]) }

  /// WRI-1: a source that fails midway leaves the old file as it was, and nothing beside it.
  @Test func aFailedWriteLeavesTheOldFile() throws {
    try NativeFormat.write(.string("old"), to: path)
    let old = try readBytes(path)
    let failing = try tree { () throws(CheckpointError) in throw CheckpointError(.inputOutput, "the disk is gone") }
    let error = #expect(throws: CheckpointError.self) { try NativeFormat.write(failing, to: path, options: replacing) }
    #expect(error?.message == "the disk is gone")
    let now = try readBytes(path)
    #expect(now == old)
    #expect(folder.names == ["x.h5"])
    #expect(throws: CheckpointError.self) { try NativeFormat.write(failing, to: folder.file("new.h5")) }
    #expect(folder.names == ["x.h5"])
  }

  /// WRI-1: a name that another program takes while the new file is made is left to it.
  @Test func aNameTakenMeanwhileIsRefused() throws {
    let path = path
    let racing = try tree { () throws(CheckpointError) in try NativeFormat.write(.string("first"), to: path) }
    let error = #expect(throws: CheckpointError.self) { try NativeFormat.write(racing, to: path) }
    #expect(error?.code == .cannotCreate)
    guard case .string("first") = try NativeFormat.read(path).root else { return #expect(Bool(false)) }
    #expect(folder.names == ["x.h5"])
  }

  /// WRI-1: a link is followed; one that leads nowhere is not replaced by a file.
  @Test func aLinkToNothingIsRefused() throws {
    for target in ["nowhere.h5", "x.h5"] {
      #expect(symlink(target, path) == 0)
      for replaces in [false, true] {
        var options = replacing
        options.replaces = replaces
        let error = #expect(throws: CheckpointError.self) { try NativeFormat.write(.none, to: path, options: options) }
        #expect(error?.code == .cannotCreate)
      }
      #expect(folder.names == ["x.h5"])
      unlink(path)
    }
  }

  /// WRI-1: while the new file is made in the same folder, the name has the old one.
  @Test func theTargetIsWholeAtEveryMoment() throws {
    let content = dict(("n", .int(0)))
    try NativeFormat.write(content, to: path)
    let (path, folderPath) = (path, folder.path)
    let looking = try tree { () throws(CheckpointError) in
      guard case .int(0)? = try NativeFormat.read(path).root.value("n"), filesIn(folderPath).count == 2 else {
        throw CheckpointError(.damaged, "the target is not what it was")
      }
    }
    try NativeFormat.write(looking, to: path, options: replacing)
    #expect(folder.names == ["x.h5"])
    guard case .int(1)? = try NativeFormat.read(path).root.value("n") else { throw Missing() }
  }

  /// WRI-1: an existing file is only replaced when that was asked for.
  @Test func anExistingFileIsNotReplacedUnasked() throws {
    writeBytes([1, 2, 3], to: path)
    let error = #expect(throws: CheckpointError.self) { try NativeFormat.write(.none, to: path) }
    #expect(error?.code == .cannotCreate)
    let bytes = try readBytes(path)
    #expect(bytes == [1, 2, 3])
    #expect(folder.names == ["x.h5"])
  }

  /// WRI-2: what a killed writer left is no checkpoint, and the next save to that name removes it; that of another
  /// name, and that of a writer at work, it leaves.
  @Test func leftoversAreRemovedByALaterSave() throws {
    let abandoned = ".x.h5.ckpt-tmp-abc"
    writeBytes([0x89, 0x48, 0x44, 0x46], to: folder.file(abandoned))
    writeBytes([], to: folder.file(".y.h5.ckpt-tmp-abc"))
    #expect(!NativeFormat.recognises(folder.file(abandoned)))
    let working = try OutputFile(folder.file("z.h5"), replaces: true)
    let concurrent = try OutputFile(path, replaces: true)
    #expect(!folder.names.contains(abandoned))
    try NativeFormat.write(.none, to: path, options: replacing)
    #expect(folder.names.contains(".y.h5.ckpt-tmp-abc"))
    for file in [working, concurrent] { #expect(access(file.temporaryPath, F_OK) == 0) }
    #expect(folder.names.count == 4)
    withExtendedLifetime((working, concurrent)) {}
  }

  /// WRI-2: a writer that was killed before its last step leaves a file that no verifying reader takes.
  @Test func anUnfinishedFileIsNotSound() throws {
    let folderPath = folder.path
    let copy = folder.file("copy.h5")
    let looking = try tree { () throws(CheckpointError) in
      let name = filesIn(folderPath).first { $0.hasPrefix(".x.h5.ckpt-tmp-") } ?? ""
      let half = try MappedFile("\(folderPath)/\(name)")
      writeBytes(withExtendedLifetime(half) { Array(half.bytes) }, to: copy)
    }
    try NativeFormat.write(looking, to: path)
    #expect(problems(path) == [])
    #expect(problems(copy).contains { $0.contains("content_digest is missing") })
    #expect(problems(copy).contains { $0.hasPrefix("/manifest") })
  }
}
