public import Checkpoint
internal import Kernels

/// The rows of `weight` `[numbers, width]` that `indices` say, `[…]` to `[…, width]`: `torch.nn.functional.embedding`.
///
/// - Throws: `usage` for an index that there is no row for; the message names it and where it stands.
public func embedding(_ indices: Variable, _ weight: Variable) throws(CheckpointError) -> Variable {
  try embedding(indices, weight, positions: nil)
}

/// The same, plus the row of `positions` that the place in the last dimension says.
func embedding(_ indices: Variable, _ weight: Variable, positions: Variable?) throws(CheckpointError) -> Variable {
  guard weight.shape.count == 2 else {
    throw CheckpointError(.usage, "embedding: a weight of shape \(weight.shape), where [numbers, width] is due")
  }
  guard indices.dtype == .int64 else {
    throw CheckpointError(.usage, "embedding: indices of shape \(indices.shape) are floats, not integers")
  }
  let (numbers, width) = (weight.shape[0], weight.shape[1])
  let invalid = ck_find_invalid(indices.storage.integers, indices.count, Int64(numbers), 0)
  guard invalid == indices.count || (numbers > 0 && indices.storage.integers[invalid] == 0) else {
    throw CheckpointError(
      .usage,
      "embedding: index \(indices.storage.integers[invalid]) at position \(invalid) of \(indices.count) is "
        + "outside 0 to \(numbers - 1)")
  }
  let period = indices.shape.last ?? 1
  if let positions {
    guard positions.shape.count == 2, positions.shape[1] == width, positions.shape[0] >= period else {
      throw CheckpointError(
        .usage, "a sequence of \(period) tokens is longer than the \(positions.shape.first ?? 0) positions there are")
    }
  }
  let result = Variable(
    shape: indices.shape + [width], dtype: .float32, storage: try Storage(byteCount: indices.count * width * 4))
  ck_embedding(
    result.storage.floats, weight.storage.floats, indices.storage.integers, indices.count, width,
    positions?.storage.floats, period)
  if records(weight, weight, positions) { result.computed(by: EmbeddingNode(weight, indices, positions, period)) }
  return result
}

private final class EmbeddingNode: Node {
  private let indices: Storage
  private let count: Int
  private let period: Int

  init(_ weight: Variable, _ indices: Variable, _ positions: Variable?, _ period: Int) {
    self.indices = indices.storage
    count = indices.count
    self.period = period
    super.init(weight, positions)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    let width = first.shape[1]
    if first.requiresGrad {
      let target = try first.gradientTarget()
      if target.accumulates == 0 { ck_zero(target.floats, first.count) }
      let done = ck_embedding_back(
        target.floats, indices.integers, gradient.floats, count, first.shape[0], width)
      if done == 0 { throw CheckpointError(.inputOutput, "no memory for the gradient of an embedding") }
    }
    guard let positions = second, positions.requiresGrad, period > 0 else { return }
    let target = try positions.gradientTarget()
    let used = period * width
    if target.accumulates == 0 { ck_zero(target.floats + used, positions.count - used) }
    ck_column_sums(target.floats, gradient.floats, count / period, used, target.accumulates)
  }
}
