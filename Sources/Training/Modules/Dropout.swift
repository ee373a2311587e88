public import Checkpoint

/// While training, sets each element to zero with probability `p` and scales the others: `torch.nn.Dropout`.
public final class Dropout: Module {
  public let p: Double

  /// - Throws: `usage` when `p` is no probability.
  public init(_ p: Double = 0.5, generator: Generator? = nil) throws(CheckpointError) {
    guard p >= 0, p <= 1 else { throw CheckpointError(.usage, "Dropout: p = \(p) is no probability") }
    self.p = p
    super.init()
    self.generator = generator
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try dropout(input, p: p, training: training, generator: generator)
  }
}
