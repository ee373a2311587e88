public import Checkpoint

/// max(x, 0): `torch.nn.ReLU`.
public final class ReLU: Module {
  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable { try relu(input) }
}

/// x Phi(x): `torch.nn.GELU`.
public final class GELU: Module {
  public let approximate: GELUApproximation

  public init(approximate: GELUApproximation = .none) {
    self.approximate = approximate
    super.init()
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try gelu(input, approximate: approximate)
  }
}

/// `torch.nn.Tanh`.
public final class Tanh: Module {
  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable { try tanh(input) }
}

/// 1 / (1 + e^-x): `torch.nn.Sigmoid`.
public final class Sigmoid: Module {
  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable { try sigmoid(input) }
}

/// `torch.nn.Softmax`.
public final class Softmax: Module {
  public let dim: Int

  public init(dim: Int = -1) {
    self.dim = dim
    super.init()
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable { try softmax(input, dim: dim) }
}
