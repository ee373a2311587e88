import Checkpoint
import Testing

@testable import CheckpointFormats

/// Tensors of accelerators, of subclasses, and quantised optimizer states: every tensor in them by its path.
@Suite struct SpecialTensorTests {
  static let files = namesIn("\(fixtureFolder)/special").filter { $0.hasSuffix(".pt") }

  private func read(_ file: String) throws -> Checkpoint { try TorchZip.read("\(fixtureFolder)/special/\(file)") }

  /// An entry of the root.
  private func entry(_ name: String, of file: String) throws -> Value {
    guard case .dict(let root) = try read(file).root, let value = root[name] else {
      throw CheckpointError(.missing, name)
    }
    return value
  }

  private func tensors(_ root: Value) throws -> [String] {
    var lines: [String] = []
    try root.forEachTensor { (_, path, tensor) throws(CheckpointError) in
      var raw: [UInt8] = []
      try tensor.source.forEachPiece(limit: 7) { raw.append(contentsOf: $0) }
      lines.append("\(path) \(tensor.dtype.rawValue) \(tensor.shape) \(hex(crc32(raw), 8))")
    }
    return lines
  }

  private func expectation(_ file: String) throws -> [String] {
    try String(decoding: fileBytes("\(fixtureFolder)/special/expected/\(file).txt"), as: UTF8.self)
      .split(separator: "\n").map(String.init)
  }

  @Test(arguments: files) func keepsEveryTensorAndItsBytes(_ file: String) throws {
    let folder = TemporaryFolder()
    let root = try read(file).root
    #expect(try tensors(root) == expectation(file))
    try NativeFormat.write(root, to: folder.file("a.h5"))
    let native = try NativeFormat.read(folder.file("a.h5")).root
    #expect(try ContentDigest.compute(native) == ContentDigest.compute(root))
    #expect(try tensors(native) == expectation(file))
    // In a .pt a class becomes a dict of its parts: a step more in the path, the same tensors.
    try TorchZip.write(native, to: folder.file("b.pt"))
    let plain = try tensors(TorchZip.read(folder.file("b.pt")).root).map { $0.replacing(".state.", with: ".") }
    #expect(try plain == expectation(file).map { $0.replacing(".state.", with: ".") })
  }

  @Test func allKindsAreThere() { #expect(Self.files.count == 10) }

  @Test(arguments: ["torchao_adamw8bit.pt", "torchao_adamw4bit.pt", "torchao_adamwfp8.pt"])
  func quantisedStatesAreAnOptimizersSlots(_ file: String) throws {
    let sections = Recogniser.sections(in: try read(file).root)
    #expect(sections.map(\.text) == ["optimizer"])
    let state = try #require(OptimizerState(entry("optimizer", of: file)))
    #expect(state.slotNames == ["step", "exp_avg", "exp_avg_sq"])
    #expect(state.shapes == [[[64, 64], [64]]])
    guard case .record(let moment)? = state.slot("exp_avg", of: .int(0)), let parts = moment["state"].dict else {
      return #expect(Bool(false))
    }
    guard case .int(let block)? = parts["block_size"], case .tensor(let scales)? = parts["scale"] else {
      return #expect(Bool(false))
    }
    #expect(scales.count * Int(block) == 64 * 64)
    guard case .tensor? = state.slot("exp_avg", of: .int(1)) else { return #expect(Bool(false)) }
  }

  @Test(arguments: ["bitsandbytes.pt", "bitsandbytes_wrapped.pt"])
  func statesOfBitsandbytesAreKnown(_ file: String) throws {
    let state = try #require(OptimizerState(entry("optimizer", of: file)))
    #expect(state.algorithm.name?.contains("bitsandbytes") == true)
    #expect(state.shapes.first?.first == [20, 33])
    #expect(try state.step() == (file == "bitsandbytes.pt" ? 3 : 5))
  }

  @Test func aNestedWrapperIsNoModel() throws {
    #expect(Recogniser.sections(in: try read("wrapper.pt").root).map(\.text) == ["model"])
  }

  @Test func aTensorOfAnAcceleratorHasItsDtypeBack() throws {
    guard case .tensor(let tensor) = try entry("bfloat16", of: "xla.pt"),
      case .tensor(let trained) = try entry("float32", of: "xla.pt")
    else { return #expect(Bool(false)) }
    #expect(try tensor.elements(as: UInt16.self) == [0x3F00, 0xBFC0, 0x4050, 0x3A83, 0x4780, 0x8000])
    #expect(trained.requiresGrad && !tensor.requiresGrad)
  }

  @Test func aMetaTensorIsToldAndKept() throws {
    let checkpoint = try read("meta.pt")
    let state = try #require(StateDict(entry("model", of: "meta.pt")))
    #expect(state.names.prefix(2) == ["0.weight", "0.bias"])
    #expect(checkpoint.warnings.contains { $0.contains("meta device has no data") })
    let scratch = try ScratchFile()
    #expect(try TorchZip.write(checkpoint.root, to: scratch.path).isEmpty)
    #expect(try ContentDigest.compute(TorchZip.read(scratch.path).root) == ContentDigest.compute(checkpoint.root))
  }
}
