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
  /// - Throws: `damaged` when what the file holds there cannot be used, saying where; `usage` for a number that no
  ///   sample has.
  func batch(_ samples: [Int]) throws(CheckpointError) -> Batch

  /// What the inputs and the targets of one sample are, where that is known before training; nil by default.
  var inputInfo: SampleInfo? { get }
  var targetInfo: SampleInfo? { get }

  /// The order in which to ask for samples. By default an order of `0 ..< count`.
  ///
  /// - Throws: `usage` for a batch below 1, or a set that is empty or too large.
  func sampler(batch: Int, shuffle: Bool, seed: UInt64) throws(CheckpointError) -> Sampler
}

extension Dataset {
  public var inputInfo: SampleInfo? { nil }
  public var targetInfo: SampleInfo? { nil }

  public func sampler(batch: Int, shuffle: Bool, seed: UInt64) throws(CheckpointError) -> Sampler {
    try Sampler(count: count, batch: batch, shuffle: shuffle, seed: seed)
  }
}

/// What one side of a sample is.
public struct SampleInfo: Sendable, Equatable {
  /// The shape of one sample: `[784]`; empty for a number or label of its own.
  public let shape: [Int]
  /// `float32` for numbers, `int64` for tokens and labels.
  public let dtype: Variable.DType
  /// The smallest and the largest token or label; nil for numbers.
  public let range: ClosedRange<Int>?

  public init(shape: [Int], dtype: Variable.DType, range: ClosedRange<Int>? = nil) {
    self.shape = shape
    self.dtype = dtype
    self.range = range
  }
}

/// What the targets of a set are to a loss.
public enum TargetKind: Sendable {
  /// Numbers, as float32: for MSE, L1, Huber and BCE.
  case numbers
  /// Classes, as int64: for cross entropy.
  case labels
}
