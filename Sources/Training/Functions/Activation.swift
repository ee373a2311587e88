public import Checkpoint
internal import Kernels

/// How GELU is computed: torch's `approximate`.
public enum GELUApproximation: Sendable {
  /// x Phi(x), with the error function.
  case none
  /// The form with tanh, as GPT-2 has it.
  case tanh
}

/// Functions of single elements that a layer ends with.
enum Activation {
  case none, relu, gelu, geluTanh, tanh, sigmoid

  var code: ck_activation {
    switch self {
    case .none: CK_NO_ACTIVATION
    case .relu: CK_RELU
    case .gelu: CK_GELU
    case .geluTanh: CK_GELU_TANH
    case .tanh: CK_TANH
    case .sigmoid: CK_SIGMOID
    }
  }

  /// Whether the way back needs what went in; the others need what came out.
  var needsInput: Bool { self == .gelu || self == .geluTanh }
}

/// max(x, 0).
public func relu(_ input: Variable) throws(CheckpointError) -> Variable { try activate(input, .relu) }

/// x Phi(x), Phi the normal distribution's: `torch.nn.functional.gelu`.
public func gelu(_ input: Variable, approximate: GELUApproximation = .none) throws(CheckpointError) -> Variable {
  try activate(input, approximate == .none ? .gelu : .geluTanh)
}

public func tanh(_ input: Variable) throws(CheckpointError) -> Variable { try activate(input, .tanh) }

/// 1 / (1 + e^-x).
public func sigmoid(_ input: Variable) throws(CheckpointError) -> Variable { try activate(input, .sigmoid) }

/// Any of them; the layout stays.
func activate(_ input: Variable, _ activation: Activation) throws(CheckpointError) -> Variable {
  try input.checkFloats("an activation")
  let storage = try Storage(byteCount: input.count * 4)
  ck_activate(activation.code, storage.floats, input.storage.floats, input.count)
  let result = Variable(shape: input.shape, dtype: .float32, layout: input.layout, storage: storage)
  if records(input) {
    result.computed(by: ActivationNode(input, activation, activation.needsInput ? input.storage : storage))
  }
  return result
}

private final class ActivationNode: Node {
  private let activation: Activation
  private let saved: Storage

  init(_ input: Variable, _ activation: Activation, _ saved: Storage) {
    self.activation = activation
    self.saved = saved
    super.init(input)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    if first.gradient == nil {
      let target = try Storage.reusing(&gradient)
      ck_activate_back(activation.code, target.floats, gradient.floats, saved.floats, 0, first.count)
      try first.addGradient(target)
    } else {
      let target = try first.gradientTarget()
      ck_activate_back(
        activation.code, target.floats, gradient.floats, saved.floats, target.accumulates, first.count)
    }
  }
}

extension Variable {
  /// - Throws: `usage` for tokens and labels.
  @inline(__always)
  final func checkFloats(_ what: String) throws(CheckpointError) {
    if dtype != .float32 { throw notFloats(what) }
  }

  private final func notFloats(_ what: String) -> CheckpointError {
    CheckpointError(
      .usage, "\(what) of integers, of shape \(shape)", advice: "Integers go into Embedding, or are labels.")
  }
}
