import Checkpoint
import Testing

@testable import CheckpointFormats

@Suite struct RegistryTests {
  @Test(arguments: [
    ("a.h5", FormatKind.ckpt), ("dir/a.CKPT.H5", .ckpt), ("a.hdf5", .ckpt), ("a.pt", .pt), ("a.pth", .pt),
    ("pytorch_model.bin", .pt), ("epoch=3.ckpt", .pt), ("a.safetensors", .safetensors), ("m.weights.h5", .kerasWeights),
  ])
  func suffixes(path: String, kind: FormatKind) {
    #expect(FormatKind(suffixOf: path) == kind)
  }

  @Test(arguments: ["a", "a.txt", ".h5", "a.h5/b", "a.pt.gz", ""])
  func noSuffix(path: String) {
    #expect(FormatKind(suffixOf: path) == nil)
  }

  struct Case: Sendable {
    let bytes: [UInt8]
    let words: String
  }

  static let unread: [Case] = [
    Case(bytes: [0x78, 0x9C, 0xEC], words: "zlib"),
    Case(bytes: [UInt8](repeating: 0, count: 257) + Array("ustar".utf8), words: "tar"),
    Case(bytes: [0x1F, 0x8B, 8], words: "gzip"),
    Case(bytes: Array("version https://git-lfs.github.com/spec/v1\n".utf8), words: "Git LFS"),
    Case(bytes: Array("<!DOCTYPE HTML><html>".utf8), words: "web page"),
    Case(bytes: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A], words: "HDF5"),
    Case(bytes: Array("not a checkpoint".utf8), words: "6e 6f 74 20 61 20 63 68 (\"not a ch\")"),
    Case(bytes: [0xFF, 0x00], words: "ff 00"),
    Case(bytes: [], words: "empty"),
  ]

  @Test(arguments: unread)
  func whatIsNotReadIsNamed(file: Case) {
    let error = UnsupportedFormat.error(for: FileStart(bytes: file.bytes))
    #expect(error.code == .unsupported)
    #expect(error.message.contains(file.words), "\(error.message)")
    #expect(error.advice != nil)
  }

  @Test func archivesOfNumPyAreNoneOfTorch() throws {
    let name = Array("a.npy".utf8)
    let header: [UInt8] = [0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 22) + [UInt8(name.count), 0, 0, 0] + name
    let start = FileStart(bytes: header)
    #expect(!Format.torchZip.recognises(start))
    #expect(try Format.input(start).id == "npz")
  }

  @Test func fixturesAreRecognisedByContent() throws {
    #expect(try Format.input(Binary.fixture("torch/state_dict.pt")).id == "torch-zip")
    #expect(try Format.input(Binary.fixture("legacy/checkpoint.pt")).id == "torch-legacy")
    #expect(try Format.input(Binary.fixture("legacy/tar.pt")).id == "torch-tar")
    #expect(try Format.input(Binary.fixture("legacy/plain_protocol0.pkl")).id == "pickle")
    #expect(throws: CheckpointError.self) { try Format.input(Binary.fixture("README.md")) }
  }

  @Test func outputs() throws {
    #expect(try Format.output("a.h5").kind == .ckpt)
    #expect(try Format.output("a.data", kind: .pt).kind == .pt)
    for path in ["a.nonsense", "a.onnx"] {
      #expect(throws: CheckpointError.self) { try Format.output(path) }
    }
  }

  @Test func aDigestThatDoesNotFitStopsAConversion() throws {
    var tensor = try Tensor(dtype: .uint8, shape: [3], source: BufferSource([1, 2, 3]))
    let right = try tensor.digest()
    tensor.recordedDigest = right
    let good = try CheckedSource.checking(.tensor(tensor))
    #expect(try ContentDigest.compute(good) == CheckedSource.contentDigest(of: good))
    tensor.recordedDigest = Digest(.xxh3, bytes: [0])
    guard case .tensor(let bad) = try CheckedSource.checking(.tensor(tensor)) else { return }
    #expect(throws: CheckpointError.self) { try bad.digest() }
  }

  @Test func tiesStayTiesWhenTheyAreChecked() throws {
    let tensor = try Tensor(dtype: .uint8, shape: [3], source: BufferSource([1, 2, 3]))
    let root = try CheckedSource.checking(.sequence(.list, [.tensor(tensor), .tensor(tensor)]), all: true)
    #expect(TensorTable(root).tensors.count == 1)
  }
}
