public import Checkpoint
internal import Kernels

/// Sets each element to zero with probability `p` and scales the others by 1 / (1 - p): `torch.nn.functional.dropout`.
/// Nothing happens when not `training`.
///
/// - Parameter generator: where the numbers come from; the shared one where nil.
/// - Throws: `usage` when `p` is no probability.
public func dropout(
  _ input: Variable, p: Double = 0.5, training: Bool = true, generator: Generator? = nil
) throws(CheckpointError) -> Variable {
  guard p >= 0, p <= 1 else { throw CheckpointError(.usage, "dropout: p = \(p) is no probability") }
  guard training, p > 0 else { return input }
  try input.checkFloats("dropout")
  let result = Variable(
    shape: input.shape, dtype: .float32, layout: input.layout, storage: try Storage(byteCount: input.count * 4))
  let mask = try Storage(byteCount: input.count)
  let numbers = RandomNumbers(generator, input.count)
  ck_dropout(
    result.storage.floats, mask.base.assumingMemoryBound(to: UInt8.self), input.storage.floats, p, numbers.seed,
    numbers.block, input.count)
  if records(input) { result.computed(by: DropoutNode(input, mask, p < 1 ? Float(1 / (1 - p)) : 0)) }
  return result
}

private final class DropoutNode: Node {
  private let mask: Storage
  private let scale: Float

  init(_ input: Variable, _ mask: Storage, _ scale: Float) {
    self.mask = mask
    self.scale = scale
    super.init(input)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    let bytes = mask.base.assumingMemoryBound(to: UInt8.self)
    if first.gradient == nil {
      let target = try Storage.reusing(&gradient)
      ck_dropout_back(target.floats, gradient.floats, bytes, scale, 0, first.count)
      try first.addGradient(target)
    } else {
      let target = try first.gradientTarget()
      ck_dropout_back(target.floats, gradient.floats, bytes, scale, target.accumulates, first.count)
    }
  }
}
