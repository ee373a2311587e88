import Checkpoint
import Testing

@testable import CheckpointFormats

@Suite struct SafetensorsSetTests {
  private let folder = TemporaryFolder()

  private func write(_ root: Value, _ name: String, limit: Int? = nil, replaces: Bool = true) throws -> Format.Written {
    var options = Format.WriteOptions()
    options.maximumShardSize = limit
    options.replaces = replaces
    return try SafetensorsFile.write(root, to: folder.file(name), options)
  }

  private func read(_ name: String) throws -> Checkpoint {
    let path = folder.file(name)
    return try Format.input(path).read(path, Format.ReadOptions()).checkpoint
  }

  private func model(_ count: Int, _ number: Float) throws -> Value {
    let entries = try (0..<count).map { Dict.Entry(.string("x\($0)"), try tensor([number, 2], [2])) }
    return .dict(Dict(entries))
  }

  /// A single file goes before a set, for us and for Hugging Face's libraries.
  @Test func theFileThatASetReplacesIsGone() throws {
    _ = try write(model(2, 1), "model.safetensors")
    let root = try model(3, 5)
    let written = try write(root, "model.safetensors", limit: 8)
    #expect(written.path == folder.file("model.safetensors.index.json"))
    #expect(!filesIn(folder.path).contains("model.safetensors"))
    let opened = try Format.input(folder.path).read(folder.path, Format.ReadOptions())
    #expect(try ContentDigest.compute(opened.checkpoint.root) == ContentDigest.compute(root))
  }

  @Test(arguments: ["model.safetensors", "model.safetensors.index.json"])
  func aLargerSetThatIsReplacedLeavesNothing(_ name: String) throws {
    _ = try write(model(5, 1), name, limit: 8)
    writeBytes([1], to: folder.file("model-of-mine.safetensors"))
    _ = try write(model(2, 7), name, limit: 8)
    #expect(
      filesIn(folder.path) == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model-of-mine.safetensors",
        "model.safetensors.index.json",
      ])
  }

  @Test func aSetIsNotPutBehindAFileUnasked() throws {
    _ = try write(model(2, 1), "model.safetensors")
    let error = #expect(throws: CheckpointError.self) {
      try write(model(3, 5), "model.safetensors.index.json", limit: 8, replaces: false)
    }
    #expect(error?.code == .cannotCreate)
    #expect(filesIn(folder.path) == ["model.safetensors"])
  }

  /// FLT-4. It has an index and no other file.
  @Test func aSetWithoutTensorsIsWhole() throws {
    let root = dict(("step", .int(3)))
    _ = try write(root, "a.safetensors.index.json", limit: 8)
    let found = try read("a.safetensors.index.json")
    #expect(try ContentDigest.compute(found.root) == ContentDigest.compute(root))
    #expect(found.recordedDigest != nil)
  }

  @Test func anErrorNamesTheFileThatWasToBe() throws {
    let huge = Value.tensor(try Tensor(dtype: .uint8, shape: [1 << 59], source: HugeSource()))
    let error = #expect(throws: CheckpointError.self) {
      try write(dict(("a", huge), ("b", try tensor([1], [1]))), "set", limit: 4)
    }
    #expect(error?.code == .inputOutput)
    #expect(error?.file == folder.file("set/model-00001-of-00002.safetensors"))
    #expect(filesIn(folder.path).isEmpty)
  }

  /// Work that grows with the square of the names would take minutes.
  @Test func manyTiesAndManyMissingFilesAreReadAtOnce() throws {
    let weights = try (0..<20_000).map { try tensor([Float($0)], [1]) }
    let entries = weights.enumerated().flatMap { number, weight in
      [Dict.Entry(.string("w\(number)"), weight), Dict.Entry(.string("z\(number)"), weight)]
    }
    _ = try write(.dict(Dict(entries)), "ties.safetensors.index.json", limit: 1 << 20)
    #expect(try read("ties.safetensors.index.json").warnings.isEmpty)
    let map = (0..<40_000).map { "\"w\($0)\":\"f\($0).safetensors\"" }.joined(separator: ",")
    writeBytes(Array("{\"weight_map\":{\(map)}}".utf8), to: folder.file("m.safetensors.index.json"))
    let error = #expect(throws: CheckpointError.self) { try read("m.safetensors.index.json") }
    #expect(error?.message.contains("with 40000 tensors") == true)
  }
}

/// Bytes that no disk has room for.
private final class HugeSource: ByteSource {
  let byteCount = 1 << 59

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    throw CheckpointError(.damaged, "never asked for")
  }
}
