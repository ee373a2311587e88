import Checkpoint
import Testing

@testable import Training

/// Values and gradients of functions and losses against PyTorch's autograd.
@Suite struct FunctionGradientTests {
  private static func apply(_ name: String, _ x: [Variable]) throws -> Variable? {
    switch name {
    case "add", "add a row": try x[0] + x[1]
    case "subtract from a row": try x[0] - x[1]
    case "multiply in the middle": try x[0] * x[1]
    case "divide crosswise", "divide by a scalar tensor": try x[0] / x[1]
    case "scalars": try 2 - (3 / (x[0] * 2 + 1) - 1) / 4
    case "a value used twice": try x[0] * x[0] + x[0]
    case "matmul", "matmul of stacks": try matmul(x[0], x[1])
    case "transpose": try x[0].transpose(0, 2)
    case "reshape": try x[0].view(6, -1)
    case "sum": try (x[0] * x[0]).sum()
    case "mean": try (x[0] * x[0]).mean()
    case "log softmax": try logSoftmax(x[0])
    case "log softmax over dimension 0": try logSoftmax(x[0], dim: 0)
    case "attention": try scaledDotProductAttention(x[0], x[1], x[2])
    case "causal attention", "causal attention to more keys":
      try scaledDotProductAttention(x[0], x[1], x[2], isCausal: true)
    case "mse": try MSELoss()(x[0], x[1])
    case "l1": try L1Loss()(x[0], x[1])
    case "huber": try HuberLoss(delta: 0.7)(x[0], x[1])
    case "bce with logits": try BCEWithLogitsLoss()(x[0], x[1])
    case "cross entropy", "cross entropy of sequences": try CrossEntropyLoss()(x[0], x[1])
    default: nil
    }
  }

  @Test(arguments: EngineCase.functions) func agreesWithAutograd(_ fixture: EngineCase) throws {
    let inputs = try fixture.inputs()
    let output = try #require(try Self.apply(fixture.name, inputs))
    #expect(try error(output, fixture.tensor("output")) < engineTolerance)
    try fixture.goBack(from: output)
    for (input, expected) in zip(inputs, fixture.list("input_grads")) where expected != nil {
      #expect(try error(input.grad, expected) < engineTolerance)
    }
  }

  @Test func aLongChainGoesBackInOrder() throws {
    let start = try Variable([0.5], shape: [1])
    start.requiresGrad = true
    var value = start
    for _ in 0..<50 { value = try value + value * 0.5 }
    try value.sum().backward()
    let expected = (0..<50).reduce(Float(1)) { product, _ in product * 1.5 }
    #expect(abs(try #require(start.grad).item() / expected - 1) < 1e-5)
  }

  @Test func lossesSayWhatDoesNotFit() throws {
    let logits = try Variable([1, 2, 3, 4, 5, 6], shape: [2, 3])
    let wrong = try Variable([Int64(0), 7], shape: [2])
    let error = #expect(throws: CheckpointError.self) { try crossEntropy(logits, wrong) }
    #expect(error?.message == "cross entropy: label 7 in row 1 of 2 is outside 0 to 2")
    let shapes = #expect(throws: CheckpointError.self) { try mseLoss(logits, try Variable([1, 2], shape: [2])) }
    #expect(shapes?.message == "MSE loss: an output of shape [2, 3] beside a target of shape [2]")
    let floats = #expect(throws: CheckpointError.self) { try crossEntropy(logits, try Variable([1, 2], shape: [2])) }
    #expect(floats?.message.contains("holds floats, where labels (integers) are due") == true)
  }

  @Test func functionsSayWhatDoesNotFit() throws {
    let input = try Variable([1, 2, 3, 4], shape: [2, 2])
    let layer = try Linear(3, 5)
    let misfit = #expect(throws: CheckpointError.self) { try layer(input) }
    #expect(
      misfit?.message == "linear: an input of shape [2, 2] does not fit a weight of shape [5, 3] ([out, in]): "
        + "the input's last dimension must be 3")
    let index = #expect(throws: CheckpointError.self) {
      try embedding(try Variable([Int64(1), -1], shape: [2]), try Embedding(4, 2).weight)
    }
    #expect(index?.message == "embedding: index -1 at position 1 of 2 is outside 0 to 3")
    #expect(throws: CheckpointError.self) { try input + Variable([1, 2, 3], shape: [3]) }
    #expect(throws: CheckpointError.self) { try input.reshape([3, -1]) }
    #expect(throws: CheckpointError.self) { try Variable([1, 2, 3], shape: [2, 2]) }
    #expect(throws: CheckpointError.self) { try matmul(input, Variable([1, 2, 3], shape: [3, 1])) }
    #expect(throws: CheckpointError.self) { try layerNorm(input, normalizedShape: [3]) }
    #expect(throws: CheckpointError.self) { try input.backward() }
  }

  @Test func aLossOfIgnoredRowsAloneIsNotANumber() throws {
    let logits = try Variable([1, 2, 3], shape: [1, 3])
    #expect(try crossEntropy(logits, try Variable([Int64(-100)], shape: [1])).item().isNaN)
  }
}
