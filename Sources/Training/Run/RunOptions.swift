public import Checkpoint

/// How a run goes, beside its model, data and optimizer.
public struct RunOptions: Sendable {
  /// The step at which the run is complete.
  public var steps: Int
  /// Where this call stops, if that is earlier.
  public var stopAt: Int?
  /// Batches whose gradients one step takes the mean of.
  public var accumulate = 1
  public var clipGradNorm: Double?
  public var clipGradValue: Double?
  /// The decay of the moving average of the weights, where one is kept.
  public var emaDecay: Double?
  /// Compute the validation loss every so many steps.
  public var evaluateEvery: Int?
  /// Log every so many steps, the first and the last of the run as well.
  public var logEvery = 10
  /// Where the run's files go.
  public var folder: RunFolder
  public var checkpoint = CheckpointPolicy()
  /// What the user has written; kept in every checkpoint.
  public var config: Value = .none

  public init(steps: Int, folder: RunFolder) {
    self.steps = steps
    self.folder = folder
  }

  /// - Throws: `usage` for numbers that make no sense.
  func check() throws(CheckpointError) {
    let counts: [(String, Int?)] = [
      ("steps", steps), ("accumulate", accumulate), ("evaluate.every", evaluateEvery), ("log_every", logEvery),
      ("checkpoint.every", checkpoint.every), ("checkpoint.keep", checkpoint.keep),
      ("checkpoint.keep_every", checkpoint.keepEvery),
    ]
    for (name, count) in counts {
      guard let count, count < 1 else { continue }
      throw CheckpointError(.usage, "\(name) is \(count); it must be 1 or more")
    }
  }
}
