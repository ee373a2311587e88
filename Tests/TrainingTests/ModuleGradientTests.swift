import Checkpoint
import Testing

@testable import Training

/// Values and gradients of modules against PyTorch's autograd.
@Suite struct ModuleGradientTests {
  private static func module(_ name: String) throws -> Module? {
    switch name {
    case "linear": try Linear(7, 11)
    case "linear without bias": try Linear(33, 17, bias: false)
    case "linear 10 to 1": try Linear(10, 1)
    case "linear large": try Linear(130, 70)
    case "embedding": try Embedding(9, 5)
    case "layer norm": try LayerNorm(37)
    case "layer norm of two dimensions": try LayerNorm([3, 5])
    case "relu": ReLU()
    case "gelu": GELU()
    case "gelu tanh": GELU(approximate: .tanh)
    case "tanh": Tanh()
    case "sigmoid": Sigmoid()
    case "softmax": Softmax()
    case "softmax over dimension 1": Softmax(dim: 1)
    case "sequential":
      Sequential(
        try Linear(6, 9), GELU(), try Linear(9, 33), ReLU(), try Linear(33, 5), Tanh(), try Linear(5, 4),
        GELU(approximate: .tanh), try Linear(4, 3), Sigmoid())
    case "residual": Residual([try Linear(6, 9), ReLU(), try Linear(9, 6)])
    case "attention": try CausalSelfAttention(24, heads: 3)
    case "attention of one token": try CausalSelfAttention(8, heads: 2)
    case "gpt": try GPT(layers: 2, heads: 2, width: 8, context: 72, vocab: 13)
    case "gpt untied, tanh":
      try GPT(layers: 1, heads: 2, width: 8, context: 70, vocab: 13, gelu: .tanh, tieEmbeddings: false)
    default: nil
    }
  }

  @Test func thereAreCases() {
    #expect(EngineCase.modules.count == 20)
    #expect(EngineCase.functions.count == 25)
  }

  @Test(arguments: EngineCase.modules) func agreesWithAutograd(_ fixture: EngineCase) throws {
    let module = try #require(try Self.module(fixture.name))
    try module.loadStateDict(fixture.state)
    let inputs = try fixture.inputs()
    let output = try module(inputs[0])
    #expect(try error(output, fixture.tensor("output")) < engineTolerance)
    try fixture.goBack(from: output)
    for (name, parameter) in module.namedParameters().map({ ($0.name, $0.parameter) }) {
      let difference = try error(parameter.grad, fixture.gradient(name))
      #expect(difference < engineTolerance, "\(name)")
    }
    for (input, expected) in zip(inputs, fixture.list("input_grads")) where expected != nil {
      #expect(try error(input.grad, expected) < engineTolerance)
    }
  }

  @Test(arguments: EngineCase.modules) func hasTorchsNamesInTorchsOrder(_ fixture: EngineCase) throws {
    let module = try #require(try Self.module(fixture.name))
    let names = try module.stateDict().entries.map(\.key)
    #expect(names == fixture.state.entries.map(\.key))
  }

  /// A value used in several places gets the sum of what comes back.
  @Test func gradientsAddUpUntilTheyAreForgotten() throws {
    let layer = try Linear(3, 2)
    let input = try Variable([1, 2, 3], shape: [1, 3])
    try layer(input).sum().backward()
    let once = try #require(layer.weight.grad).values
    try layer(input).sum().backward()
    #expect(try #require(layer.weight.grad).values == once.map { 2 * $0 })
    layer.zeroGrad()
    #expect(layer.weight.grad == nil)
  }

  @Test func frozenParametersGetNoGradient() throws {
    let model = Sequential(try Linear(4, 5), ReLU(), try Linear(5, 2))
    let parameters = model.parameters()
    parameters[0].requiresGrad = false
    parameters[1].requiresGrad = false
    try model(try Variable([1, 2, 3, 4], shape: [1, 4])).sum().backward()
    #expect(parameters.map { $0.grad == nil } == [true, true, false, false])
  }

  @Test func nothingIsRecordedWithoutGradients() throws {
    let layer = try Linear(3, 2)
    let output = try withoutGradients { () throws(CheckpointError) in
      try layer(try Variable([1, 2, 3], shape: [1, 3])).sum()
    }
    #expect(throws: CheckpointError.self) { try output.backward() }
  }
}
