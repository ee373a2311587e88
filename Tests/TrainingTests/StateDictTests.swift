import Checkpoint
import Testing

@testable import Training

@Suite struct StateDictTests {
  @Test func tiedParametersAreOneTensorWithTwoNames() throws {
    let model = try GPT(layers: 1, heads: 1, width: 4, context: 3, vocab: 5)
    let names = model.namedParameters().map(\.name)
    #expect(!names.contains("lm_head.weight"))
    let dict = try model.stateDict()
    let lens = try #require(StateDict(.dict(dict)))
    #expect(lens.ties == [["transformer.wte.weight", "lm_head.weight"]])
    #expect(dict.kind == .ordered)
  }

  @Test func aSnapshotStaysWhatItWas() throws {
    let layer = try Linear(3, 2)
    let before = layer.weight.values
    guard case .tensor(let tensor) = try layer.stateDict()["weight"] else { throw Missing("weight") }
    layer.weight.fill(7)
    #expect(try tensor.elements(as: Float.self) == before)
    try layer.weight.copy(from: tensor)
    #expect(layer.weight.values == before)
  }

  @Test func allThatDoesNotFitIsReportedAtOnceAndNothingChanged() throws {
    let model = Sequential(try Linear(3, 2), try Linear(2, 1))
    let before = try model.stateDict()
    var dict = try Sequential(try Linear(3, 2), try Linear(4, 1)).stateDict()
    dict.entries.removeFirst()
    let odd = try Tensor(dtype: .int64, shape: [2], source: BufferSource(elements: [Int64(1), 2]))
    dict.entries[0].value = .tensor(odd)
    dict.entries.append(Dict.Entry(.string("2.weight"), .tensor(odd)))
    let error = #expect(throws: CheckpointError.self) { try model.loadStateDict(dict) }
    #expect(
      error?.message == "the state dict does not fit Sequential; nothing was changed; missing: 0.weight; "
        + "unexpected: 2.weight; not fitting: '0.bias': a float type is wanted, found int64; "
        + "'1.weight': shape [1, 2] is wanted, found [1, 4]")
    let after = try model.stateDict()
    for (a, b) in zip(before.entries, after.entries) {
      guard case .tensor(let x) = a.value, case .tensor(let y) = b.value else { throw Missing("tensor") }
      #expect(try x.difference(from: y) == nil)
    }
  }

  @Test func missingAndUnexpectedEntriesCanBeAllowedByName() throws {
    let model = Sequential(try Linear(3, 2), try Linear(2, 1))
    var dict = try Sequential(try Linear(3, 2)).stateDict()
    dict.entries.append(Dict.Entry(.string("head.weight"), dict.entries[0].value))
    let report = try model.loadStateDict(
      dict, allowMissing: [Glob("1.*")], allowUnexpected: [Glob("head.*")])
    #expect(report == StateLoadReport(missing: ["1.weight", "1.bias"], unexpected: ["head.weight"]))
    guard case .tensor(let weight) = dict.entries[0].value else { throw Missing("weight") }
    #expect(model.parameters()[0].values == (try weight.elements(as: Float.self)))
  }

  @Test func floatsOfOtherWidthsAreRounded() throws {
    let parameter = try Parameter(shape: [2])
    try parameter.copy(from: Tensor(dtype: .float64, shape: [2], source: BufferSource(elements: [1.0 / 3, -2])))
    #expect(parameter.values == [Float(1.0 / 3), -2])
    let half = BufferSource(elements: [Float16(0.1).bitPattern, Float16(3).bitPattern])
    try parameter.copy(from: Tensor(dtype: .float16, shape: [2], source: half))
    #expect(parameter.values == [Float(Float16(0.1)), 3])
    #expect(throws: CheckpointError.self) {
      try parameter.copy(from: Tensor(dtype: .float32, shape: [1], source: BufferSource(elements: [Float(1)])))
    }
  }

  /// A module of one's own: properties, names, and no way back to write.
  final class Net: Module {
    let fc1: Linear
    let blocks: [Module]
    @Named var norm: LayerNorm
    let scale: Parameter
    let seen: Buffer
    var none: Linear?

    init(_ width: Int) throws(CheckpointError) {
      fc1 = try Linear(3, width)
      blocks = [ReLU(), try Linear(width, width, bias: false)]
      _norm = Named("ln", try LayerNorm(width))
      scale = try Parameter(shape: [width])
      seen = Buffer(try Variable([Int64(0)], shape: []))
      super.init()
      scale.fill(2)
    }

    override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
      var x = try fc1(input)
      for block in blocks { x = try block(x) }
      return try norm(x) * scale
    }
  }

  @Test func aModuleOfOnesOwnIsFoundByItsProperties() throws {
    let net = try Net(4)
    #expect(
      net.namedParameters().map(\.name) == [
        "scale", "fc1.weight", "fc1.bias", "blocks.1.weight", "ln.weight", "ln.bias",
      ])
    #expect(net.namedBuffers().map(\.name) == ["seen"])
    #expect(net.modules().count == 5)
    try net(try Variable([1, 2, 3, 4, 5, 6], shape: [2, 3])).sum().backward()
    #expect(net.parameters().allSatisfy { $0.grad != nil })
    net.eval()
    #expect(net.blocks.allSatisfy { !$0.training })
    net.train()
    #expect(net.norm.training)
  }
}

struct Missing: Error {
  init(_ name: String) {}
}
