public import Checkpoint
internal import Kernels

/// Normalises the trailing dimensions `normalizedShape` to mean 0 and variance 1 and applies weight and bias of that
/// shape: `torch.nn.functional.layer_norm`.
///
/// - Throws: `usage` when the shapes do not fit.
public func layerNorm(
  _ input: Variable, normalizedShape: [Int], weight: Variable? = nil, bias: Variable? = nil, eps: Double = 1e-5
) throws(CheckpointError) -> Variable {
  try input.checkFloats("layer norm")
  let input = try input.contiguous()
  let columns = normalizedShape.reduce(1, *)
  guard !normalizedShape.isEmpty, columns > 0, input.shape.suffix(normalizedShape.count).elementsEqual(normalizedShape),
    weight == nil || weight?.count == columns, bias == nil || bias?.count == columns
  else {
    throw CheckpointError(
      .usage, "layer norm over \(normalizedShape): an input of shape \(input.shape) does not end in that shape")
  }
  let rows = input.count / columns
  let result = Variable(shape: input.shape, dtype: .float32, storage: try Storage(byteCount: input.count * 4))
  // Means first, then scales.
  let statistics = try Storage(byteCount: rows * 8)
  ck_layer_norm(
    result.storage.floats, input.storage.floats, weight?.storage.floats, bias?.storage.floats, Float(eps),
    statistics.floats, statistics.floats + rows, rows, columns)
  let recorded =
    GradientMode.isEnabled
    && (input.requiresGrad || weight?.requiresGrad == true || bias?.requiresGrad == true)
  if recorded { result.computed(by: LayerNormNode(input, weight, bias, statistics, rows)) }
  return result
}

private final class LayerNormNode: Node {
  private let statistics: Storage
  private let rows: Int

  init(_ input: Variable, _ weight: Variable?, _ bias: Variable?, _ statistics: Storage, _ rows: Int) {
    self.statistics = statistics
    self.rows = rows
    super.init(input, weight, bias)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    let input = first.requiresGrad ? try first.gradientTarget() : nil
    let weight = second?.requiresGrad == true ? try second?.gradientTarget() : nil
    let bias = third?.requiresGrad == true ? try third?.gradientTarget() : nil
    let done = ck_layer_norm_back(
      input?.floats, input?.accumulates ?? 0, weight?.floats, weight?.accumulates ?? 0, bias?.floats,
      bias?.accumulates ?? 0, gradient.floats, first.storage.floats, second?.storage.floats, statistics.floats,
      statistics.floats + rows, rows, rows == 0 ? 0 : first.count / rows)
    if done == 0 { throw CheckpointError(.inputOutput, "no memory for the gradient of a layer norm") }
  }
}
