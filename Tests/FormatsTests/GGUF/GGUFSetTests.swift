import Checkpoint
import Testing

@testable import CheckpointFormats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Split sets, as llama.cpp and the package gguf write them.
@Suite struct GGUFSetTests {
  private let folder: TemporaryFolder

  init() { folder = TemporaryFolder() }

  private func part(_ number: Int, of count: Int = 3) -> String { "m-0000\(number)-of-0000\(count).gguf" }

  /// Writes a part: tensors of some names, and what it says of the set.
  private func write(
    _ number: Int, tensors: [String], says: Int? = nil, count: UInt16 = 3, total: Int32? = 4, name: String? = nil,
    more: [(String, UInt32, [UInt8])] = []
  ) throws {
    var builder = GGUFBuilder()
    builder.pairs = number == 1 ? builder.pairs : []
    builder.pairs.append(("split.no", 2, GGUFBuilder.number(UInt16((says ?? number) - 1))))
    builder.pairs.append(("split.count", 2, GGUFBuilder.number(count)))
    if let total { builder.pairs.append(("split.tensors.count", 5, GGUFBuilder.number(total))) }
    builder.pairs += more.map { (key: $0.0, type: $0.1, value: $0.2) }
    builder.tensors = tensors.enumerated().map { ($1, [8], 0, UInt64(32 * $0)) }
    builder.data = [UInt8](repeating: UInt8(number), count: 32 * tensors.count)
    try write(name ?? part(number), builder.bytes)
  }

  private func write(_ name: String, _ bytes: [UInt8]) throws {
    let file = try #require(fopen("\(folder.path)/\(name)", "w"))
    defer { fclose(file) }
    #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }

  private func writeSet() throws {
    try write(1, tensors: ["a", "b"])
    try write(2, tensors: ["c"])
    try write(3, tensors: ["d"])
  }

  private func refused(_ words: String..., at number: Int = 1) throws {
    let path = "\(folder.path)/\(part(number))"
    let error = #expect(throws: CheckpointError.self) { try GGUFFile.read(path) }
    #expect(error?.code == .damaged)
    let told = error?.description ?? ""
    for word in words { #expect(told.contains(word), "\(told)") }
    #expect(try !Format.gguf.verify(path).isSound)
  }

  @Test(arguments: [1, 2, 3]) func anyFileOpensTheSet(number: Int) throws {
    let opened = try Format.gguf.read(ggufFixture("set-0000\(number)-of-00003"), .init())
    let (tensors, metadata) = try #require(halves(opened.checkpoint))
    #expect(tensors.entries.map(\.key) == (0..<5).map { .string("blk.\($0).weight") })
    let keys = ["general.architecture", "general.name", "llama.context_length"]
    #expect(metadata.entries.map(\.key) == keys.map { .string($0) })
    #expect(opened.bytes == 416 + 288 + 192)
  }

  @Test func aFolderOfOneSetIsRead() throws {
    try writeSet()
    try write("README.md", [0x23])
    #expect(try Format.input(folder.path).id == "gguf")
    #expect(halves(try Format.gguf.read(folder.path, .init()).checkpoint)?.tensors.count == 4)
    try write("other-00001-of-00001.gguf", GGUFBuilder().bytes)
    #expect(GGUFSet.first(in: folder.path) == nil)
  }

  @Test func aMissingFileIsNamed() throws {
    try writeSet()
    unlink("\(folder.path)/\(part(2))")
    try refused(part(2), "is missing")
  }

  @Test func aFileThatIsNoModelIsNamed() throws {
    try writeSet()
    try write(part(3), Array("not a model".utf8))
    let error = #expect(throws: CheckpointError.self) { try GGUFFile.read("\(folder.path)/\(part(1))") }
    #expect(error?.file?.hasSuffix(part(3)) == true)
  }

  @Test func namesAndMetadataMustAgree() throws {
    try writeSet()
    try write(2, tensors: ["c"], says: 1)
    try refused(part(2), "its name says part 2 of 3, its metadata part 1 of 3")
    try write(2, tensors: ["c"], count: 4)
    try refused(part(2), "its metadata part 2 of 4")
    try refused("its metadata part 2 of 4", at: 2)
  }

  @Test func aFileOfASetNeedsItsName() throws {
    try write(2, tensors: ["c"], name: "model.gguf")
    let error = #expect(throws: CheckpointError.self) { try GGUFFile.read("\(folder.path)/model.gguf") }
    #expect(error?.message.contains("is part 2 of 3") == true)
  }

  @Test func aTensorIsInOneFile() throws {
    try writeSet()
    try write(3, tensors: ["b"])
    try refused(part(3), "tensor 'b'", "is in '\(part(1))' too")
  }

  @Test func theNumberOfTensorsIsChecked() throws {
    try writeSet()
    try write(3, tensors: ["d"], total: 5)
    try refused(part(3), "says that the set has 5 tensors; its 3 files have 4")
  }

  @Test func valuesMustNotContradict() throws {
    try write(1, tensors: ["a", "b"], more: [("x", 4, GGUFBuilder.number(UInt32(1)))])
    try write(2, tensors: ["c"], more: [("x", 4, GGUFBuilder.number(UInt32(1))), ("y", 0, [9])])
    try write(3, tensors: ["d"])
    let metadata = halves(try GGUFFile.read("\(folder.path)/\(part(1))"))?.metadata
    #expect(metadata?.entries.map(\.key) == ["general.architecture", "x", "y"].map { .string($0) })
    try write(3, tensors: ["d"], more: [("x", 4, GGUFBuilder.number(UInt32(2)))])
    try refused(part(3), "key 'x'", "differs from that in '\(part(1))'")
  }
}
