public import Checkpoint

/// What a step is computed from.
public struct Batch {
  /// `[samples, …]`.
  public let inputs: Variable
  /// `[samples, …]`, numbers or labels.
  public let targets: Variable
  public let samples: Int

  public init(inputs: Variable, targets: Variable, samples: Int) {
    self.inputs = inputs
    self.targets = targets
    self.samples = samples
  }
}

/// Samples to train on, each with a number.
public protocol Dataset {
  /// How many samples there are.
  var count: Int { get }

  /// The samples with these numbers, gathered.
  ///
  /// - Throws: `damaged` when what the file holds there cannot be used, saying where.
  func batch(_ samples: [Int]) throws(CheckpointError) -> Batch
}
