import Checkpoint
import HDF5
import Testing

@testable import CheckpointFormats

/// Writing `.weights.h5`; what Keras says of the files is told by the peer tests.
@Suite struct KerasWriteTests {
  private let folder = TemporaryFolder()

  private func write(
    _ root: Value, _ name: String = "a.weights.h5", _ change: (inout Format.WriteOptions) -> Void = { _ in }
  ) throws -> (path: String, warnings: [String]) {
    var options = Format.WriteOptions()
    change(&options)
    let path = folder.file(name)
    let write = try #require(try Format.output(path).write)
    let written = try write(root, path, options)
    return (path, written.warnings)
  }

  @Test(arguments: ["small.weights.h5", "bfloat16.weights.h5", "shards/tiny.weights.json"])
  func whatKerasWroteIsWrittenBack(_ name: String) throws {
    let root = try readKeras(name).checkpoint.root
    let (path, warnings) = try write(root)
    #expect(warnings.isEmpty)
    let format = try Format.input(path)
    #expect(format.id == "keras-weights")
    let back = try format.read(path, Format.ReadOptions()).checkpoint
    #expect(try ContentDigest.compute(back.root) == ContentDigest.compute(root))
    #expect(try format.verify(path).isSound)
  }

  @Test func equalTreesAreEqualFiles() throws {
    let root = try readKeras("small.weights.h5").checkpoint.root
    #expect(try readBytes(write(root, "a.weights.h5").path) == readBytes(write(root, "b.weights.h5").path))
  }

  @Test func anArchivesDescriptionIsLeftOutWithAWord() throws {
    let (path, warnings) = try write(try readKeras("small.keras").checkpoint.root)
    #expect(warnings.count == 1 && warnings[0].contains("'config.json'") && warnings[0].contains("'metadata.json'"))
    let found = try Format.input(path).read(path, Format.ReadOptions()).checkpoint.root.tensorsByPath
    #expect(Set(found.keys) == Set(try KerasExpected("small").tensors.keys))
  }

  /// Any other tree comes back as it was, though Keras cannot use it.
  @Test func otherTreesComeBack() throws {
    let odd = try tensor([1], [1])
    let packed = try Tensor(dtype: .uint4, shape: [3], source: BufferSource([0x21, 0x03]))
    let float8 = try Tensor(dtype: .float8_e4m3fn, shape: [2], source: BufferSource([0x38, 0xB8]))
    let names = dict(
      ("a", odd), ("a.b", try tensor([2], [1])), ("with/slash", try tensor([3], [1])), ("", try tensor([4], [1])),
      ("x..y", try tensor([5], [1])), ("packed", .tensor(packed)), ("float8", .tensor(float8)))
    for root in [try trainingTree(), dict(("model", names), ("epoch", .int(3)))] {
      let (path, warnings) = try write(root, "a.weights.h5") { $0.replaces = true }
      #expect(warnings.contains { $0.contains("the tree is none of Keras") })
      let format = try Format.input(path)
      #expect(format.id == "keras-weights")
      let back = try format.read(path, Format.ReadOptions()).checkpoint
      #expect(try ContentDigest.compute(back.root) == ContentDigest.compute(root))
      #expect(back.recordedDigest == (try ContentDigest.compute(root)).description)
      #expect(try format.verify(path).isSound)
    }
  }

  @Test func aChangedByteIsNoticed() throws {
    let (path, _) = try write(try trainingTree())
    let opened = try Format.input(path).read(path, Format.ReadOptions())
    let tensor = try #require(opened.checkpoint.root.tensorsByPath["model.fc.weight"])
    let range = try #require(tensor.source as? MappedRange).range
    var bytes = try readBytes(path)
    bytes[range.lowerBound] ^= 1
    writeBytes(bytes, to: path)
    let report = try Format.input(path).verify(path)
    #expect(report.problems.count == 1 && report.problems[0].what.contains("content digest"))
  }

  @Test func anExistingFileStays() throws {
    let root = try readKeras("small.weights.h5").checkpoint.root
    _ = try write(root)
    let error = #expect(throws: CheckpointError.self) { try write(root) }
    #expect(error?.code == .cannotCreate)
    #expect(folder.names == ["a.weights.h5"])
  }
}
