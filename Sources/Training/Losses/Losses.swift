public import Checkpoint

/// What a model is trained to make small: a number from its output and the target.
public protocol Loss {
  /// - Returns: a scalar, the mean over the batch.
  /// - Throws: `usage` when the shapes do not fit.
  func callAsFunction(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable
}

/// `torch.nn.MSELoss`, with the mean.
public struct MSELoss: Loss, Sendable {
  public init() {}

  public func callAsFunction(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable {
    try mseLoss(input, target)
  }
}

/// `torch.nn.L1Loss`, with the mean.
public struct L1Loss: Loss, Sendable {
  public init() {}

  public func callAsFunction(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable {
    try l1Loss(input, target)
  }
}

/// `torch.nn.HuberLoss`, with the mean.
public struct HuberLoss: Loss, Sendable {
  public let delta: Double

  public init(delta: Double = 1) { self.delta = delta }

  public func callAsFunction(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable {
    try huberLoss(input, target, delta: delta)
  }
}

/// `torch.nn.CrossEntropyLoss`, with the mean; classes are the input's last dimension.
public struct CrossEntropyLoss: Loss, Sendable {
  public let ignoreIndex: Int

  public init(ignoreIndex: Int = -100) { self.ignoreIndex = ignoreIndex }

  public func callAsFunction(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable {
    try crossEntropy(input, target, ignoreIndex: ignoreIndex)
  }
}

/// `torch.nn.BCEWithLogitsLoss`, with the mean.
public struct BCEWithLogitsLoss: Loss, Sendable {
  public init() {}

  public func callAsFunction(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable {
    try binaryCrossEntropyWithLogits(input, target)
  }
}
