import Checkpoint

/// Hears how a run goes. Called on the thread that trains, between steps.
public protocol RunObserver {
  /// The run begins, at this step, and is complete at the target.
  func started(step: Int, target: Int)

  /// The validation set was looked at after a step; the step is logged next.
  func evaluated(_ evaluation: Trainer.Evaluation, step: Int)

  /// A step was logged. Speed depends on the machine, so it is told and not kept.
  func logged(_ row: Metrics.Row, samplesPerSecond: Double)

  /// A checkpoint was written and checked.
  func saved(path: String, step: Int, seconds: Double)

  /// Something that the user should know, though the run goes on.
  func warning(_ text: String)
}

extension RunObserver {
  public func started(step: Int, target: Int) {}
  public func evaluated(_ evaluation: Trainer.Evaluation, step: Int) {}
  public func logged(_ row: Metrics.Row, samplesPerSecond: Double) {}
  public func saved(path: String, step: Int, seconds: Double) {}
  public func warning(_ text: String) {}
}

/// Hears and says nothing.
public struct SilentObserver: RunObserver {
  public init() {}
}
