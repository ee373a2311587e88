public import Checkpoint
internal import Kernels

/// The norm of all gradients taken together as one vector; parameters without a gradient count as nothing.
///
/// Sums are in doubles, and do not depend on the number of threads; those of `torch.nn.utils.get_total_norm` are in
/// float32, and differ from these by some millionths of a norm.
///
/// - Parameter normType: the exponent, above 0; 2 by default, or infinity for the largest magnitude.
/// - Returns: NaN where an element is.
public func gradNorm(_ parameters: [Parameter], normType: Double = 2) -> Double {
  var total = 0.0
  for parameter in parameters {
    guard let gradient = parameter.gradient else { continue }
    switch normType {
    case .infinity:
      let largest = Double(ck_largest(gradient.floats, parameter.count))
      if largest.isNaN { return largest }
      total = max(total, largest)
    case 1: total += ck_norm_sum(CK_NORM_ABSOLUTE, 1, gradient.floats, parameter.count)
    case 2: total += ck_norm_sum(CK_NORM_SQUARE, 2, gradient.floats, parameter.count)
    default: total += ck_norm_sum(CK_NORM_POWER, normType, gradient.floats, parameter.count)
    }
  }
  return switch normType {
  case .infinity, 1: total
  case 2: total.squareRoot()
  default: power(total, 1 / normType)
  }
}

/// What clipping multiplies gradients of this norm by: `maxNorm / (norm + 1e-6)`, at most 1. NaN for a norm of NaN.
public func clipFactor(norm: Double, maxNorm: Double) -> Double {
  let factor = maxNorm / (norm + 1e-6)
  return factor > 1 ? 1 : factor
}

/// Scales all gradients so that their norm is `maxNorm` at most: `torch.nn.utils.clip_grad_norm_`.
///
/// A norm that is no number, or infinite, spoils all gradients as it does in torch: with NaN, and with 0 or NaN.
///
/// - Returns: the norm before.
/// - Throws: `inputOutput` when memory is short.
@discardableResult
public func clipGradNorm(
  _ parameters: [Parameter], maxNorm: Double, normType: Double = 2
) throws(CheckpointError) -> Double {
  let norm = gradNorm(parameters, normType: normType)
  let factor = Float(clipFactor(norm: norm, maxNorm: maxNorm))
  for parameter in parameters where parameter.gradient != nil {
    let own = try parameter.ownGradient()
    ck_scalar(CK_MUL, own.floats, own.floats, factor, 0, parameter.count)
  }
  return norm
}

/// Moves all gradients' elements into -clipValue ... clipValue: `torch.nn.utils.clip_grad_value_`.
///
/// - Throws: `inputOutput` when memory is short.
public func clipGradValue(_ parameters: [Parameter], _ clipValue: Double) throws(CheckpointError) {
  for parameter in parameters where parameter.gradient != nil {
    let own = try parameter.ownGradient()
    ck_clamp(own.floats, own.floats, Float(clipValue), parameter.count)
  }
}
