public import Checkpoint
internal import Kernels

/// input weight^T + bias, with `weight` `[out, in]` and `bias` `[out]`, over the last dimension of `input`:
/// `torch.nn.functional.linear`.
///
/// - Throws: `usage` when the shapes do not fit; the message names both.
public func linear(
  _ input: Variable, _ weight: Variable, _ bias: Variable? = nil
) throws(CheckpointError) -> Variable {
  try linear(input, weight, bias, .none)
}

/// f(input weight^T + bias) + residual, in one pass over the result.
func linear(
  _ input: Variable, _ weight: Variable, _ bias: Variable?, _ activation: Activation, residual: Variable? = nil
) throws(CheckpointError) -> Variable {
  let input = input.layout == .contiguous ? input : try input.contiguous()
  guard weight.shape.count == 2, let last = input.shape.last, last == weight.shape[1], input.dtype == .float32,
    bias == nil || bias?.count == weight.shape[0]
  else { throw LinearNode.misfit(input, weight, bias) }
  let (columns, width) = (weight.shape[0], last)
  var shape = input.shape
  shape[shape.count - 1] = columns
  let rows = width == 0 ? shape.dropLast().reduce(1, *) : input.count / width
  let result = try Variable(shape: shape, dtype: .float32, storage: Storage(byteCount: rows * columns * 4))
  if let residual, residual.shape != shape || residual.layout != .contiguous {
    throw CheckpointError(.usage, "linear: a residual of shape \(residual.shape) beside a result of shape \(shape)")
  }
  let recorded =
    GradientMode.isEnabled
    && (weight.requiresGrad || input.requiresGrad || bias?.requiresGrad == true || residual?.requiresGrad == true)
  let saved = recorded && activation.needsInput ? try Storage(byteCount: rows * columns * 4) : nil
  multiply(
    Product(
      transposeB: true, m: rows, n: columns, k: width, a: input.storage.floats, lda: width, b: weight.storage.floats,
      ldb: width, c: result.storage.floats, ldc: columns),
    Epilogue(
      bias: bias.map { UnsafePointer($0.storage.floats) }, residual: residual.map { UnsafePointer($0.storage.floats) },
      activation: activation, input: saved?.floats))
  if recorded {
    result.computed(
      by: LinearNode(input, weight, bias, residual, activation, saved ?? result.storage, rows: rows))
  }
  return result
}

private final class LinearNode: Node {
  private let residual: Variable?
  private let activation: Activation
  /// What the activation was computed from, or its result.
  private let saved: Storage
  private let rows: Int

  init(
    _ input: Variable, _ weight: Variable, _ bias: Variable?, _ residual: Variable?, _ activation: Activation,
    _ saved: Storage, rows: Int
  ) {
    self.residual = residual
    self.activation = activation
    self.saved = saved
    self.rows = rows
    super.init(input, weight, bias, deepest: residual?.depth ?? 0)
  }

  override func pushInputs(into tape: inout Tape) {
    super.pushInputs(into: &tape)
    if let residual { tape.push(residual) }
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    guard let weight = second else { return }
    let (columns, width) = (weight.shape[0], weight.shape[1])
    if let residual, residual.requiresGrad { try residual.addGradient(gradient) }
    var inner = gradient
    if activation != .none {
      inner = try Storage.reusing(&gradient)
      ck_activate_back(activation.code, inner.floats, gradient.floats, saved.floats, 0, rows * columns)
    }
    if let bias = third, bias.requiresGrad {
      let target = try bias.gradientTarget()
      ck_column_sums(target.floats, inner.floats, rows, columns, target.accumulates)
    }
    if first.requiresGrad {
      let target = try first.gradientTarget()
      multiply(
        Product(
          m: rows, n: width, k: columns, a: inner.floats, lda: columns, b: weight.storage.floats, ldb: width,
          beta: Float(target.accumulates), c: target.floats, ldc: width))
    }
    if weight.requiresGrad {
      let target = try weight.gradientTarget()
      multiply(
        Product(
          transposeA: true, m: columns, n: width, k: rows, a: inner.floats, lda: columns, b: first.storage.floats,
          ldb: width, beta: Float(target.accumulates), c: target.floats, ldc: width))
    }
  }

  static func misfit(_ input: Variable, _ weight: Variable, _ bias: Variable?) -> CheckpointError {
    if input.dtype != .float32 {
      return CheckpointError(.usage, "linear: an input of integers, of shape \(input.shape)")
    }
    if let bias, weight.shape.count == 2, bias.count != weight.shape[0] {
      return CheckpointError(.usage, "linear: a bias of shape \(bias.shape) beside a weight of shape \(weight.shape)")
    }
    return CheckpointError(
      .usage,
      "linear: an input of shape \(input.shape) does not fit a weight of shape \(weight.shape) ([out, in]): "
        + "the input's last dimension must be \(weight.shape.last ?? 0)")
  }
}
