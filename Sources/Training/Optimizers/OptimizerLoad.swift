internal import Checkpoint

extension TableOptimizer {
  @discardableResult
  public func load(
    _ state: OptimizerState, names: [String?], keepsOptions: Bool, allowMissing: [Glob]
  ) throws(CheckpointError) -> OptimizerLoadReport {
    throw CheckpointError(.unsupported, "not yet")
  }
}
