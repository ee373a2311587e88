public import Checkpoint
internal import Kernels

/// The mean of (input - target)^2: `torch.nn.functional.mse_loss`.
///
/// - Throws: `usage` when the shapes differ. (torch broadcasts here, with a warning, which hides mistakes.)
public func mseLoss(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable {
  try pairLoss(CK_MSE, "MSE loss", input, target, 0)
}

/// The mean of |input - target|: `torch.nn.functional.l1_loss`.
public func l1Loss(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable {
  try pairLoss(CK_L1, "L1 loss", input, target, 0)
}

/// Quadratic up to a difference of `delta`, linear beyond: `torch.nn.functional.huber_loss`.
public func huberLoss(_ input: Variable, _ target: Variable, delta: Double = 1) throws(CheckpointError) -> Variable {
  guard delta > 0 else { throw CheckpointError(.usage, "Huber loss: a delta of \(delta) is not positive") }
  return try pairLoss(CK_HUBER, "Huber loss", input, target, Float(delta))
}

/// Binary cross entropy of the sigmoid of `input`: `torch.nn.functional.binary_cross_entropy_with_logits`.
public func binaryCrossEntropyWithLogits(_ input: Variable, _ target: Variable) throws(CheckpointError) -> Variable {
  try pairLoss(CK_BCE, "BCE with logits", input, target, 0)
}

private func pairLoss(
  _ loss: ck_loss, _ name: String, _ input: Variable, _ target: Variable, _ delta: Float
) throws(CheckpointError) -> Variable {
  guard input.shape == target.shape, input.dtype == .float32, target.dtype == .float32 else {
    throw misfit(name, input, target)
  }
  let input = input.layout == .contiguous ? input : try input.contiguous()
  let target = target.layout == .contiguous ? target : try target.contiguous()
  let sum = ck_pair_loss(loss, input.storage.floats, target.storage.floats, delta, input.count)
  let result = try Variable(Float(sum / Double(input.count)))
  if records(input, target) { result.computed(by: PairLossNode(loss, input, target, delta)) }
  return result
}

private func misfit(_ name: String, _ input: Variable, _ target: Variable) -> CheckpointError {
  guard input.shape == target.shape else {
    return CheckpointError(
      .usage, "\(name): an output of shape \(input.shape) beside a target of shape \(target.shape)")
  }
  return CheckpointError(.usage, "\(name): the \(input.dtype == .float32 ? "target" : "output") holds integers")
}

private final class PairLossNode: Node {
  private let loss: ck_loss
  private let delta: Float

  init(_ loss: ck_loss, _ input: Variable, _ target: Variable, _ delta: Float) {
    self.loss = loss
    self.delta = delta
    super.init(input, target)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    guard let second else { return }
    let factor = gradient.floats.pointee / Float(first.count)
    if first.requiresGrad { try add(to: first, second, factor, byTarget: 0) }
    if second.requiresGrad { try add(to: second, second, factor, byTarget: 1) }
  }

  private func add(
    to value: Variable, _ target: Variable, _ factor: Float, byTarget: Int32
  ) throws(CheckpointError) {
    let out = try value.gradientTarget()
    ck_pair_loss_back(
      loss, out.floats, first.storage.floats, target.storage.floats, delta, factor, byTarget, out.accumulates,
      first.count)
  }
}
