public import Checkpoint
internal import Kernels

extension Variable {
  /// The sum of all elements, a scalar.
  public final func sum() throws(CheckpointError) -> Variable { try reduced(by: 1) }

  /// The mean of all elements, a scalar; NaN where there is none.
  public final func mean() throws(CheckpointError) -> Variable { try reduced(by: Double(count)) }

  private func reduced(by divisor: Double) throws(CheckpointError) -> Variable {
    try checkFloats("a sum")
    let result = try Variable(Float(ck_sum(storage.floats, count) / divisor))
    if records(self) { result.computed(by: ReductionNode(self, Float(1 / divisor))) }
    return result
  }
}

private final class ReductionNode: Node {
  private let factor: Float

  init(_ input: Variable, _ factor: Float) {
    self.factor = factor
    super.init(input)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    let each = gradient.floats.pointee * factor
    let target = try first.gradientTarget()
    if target.accumulates == 1 {
      ck_scalar(CK_ADD, target.floats, target.floats, each, 0, first.count)
    } else {
      ck_fill(target.floats, each, first.count)
    }
  }
}
