public import Checkpoint

/// A parameter with the name that the module gives it.
public struct NamedParameter {
  public let name: String
  public let parameter: Parameter

  public init(_ name: String, _ parameter: Parameter) {
    self.name = name
    self.parameter = parameter
  }
}

/// Changes parameters by their gradients: `torch.optim.Optimizer`.
public protocol Optimizer: AnyObject {
  /// The class's name in PyTorch: `Adam`, `AdamW`, `SGD`, `RMSprop`, `Adagrad`.
  var algorithm: String { get }

  /// The groups' parameters in order, without repetition.
  var parameters: [[NamedParameter]] { get }

  /// The learning rate of each group, as a schedule sets it before each step.
  var learningRates: [Double] { get set }

  /// One step. Parameters without a gradient are skipped, as PyTorch does.
  ///
  /// - Parameter factor: multiplies the gradients on the way in: to clip them, or to turn a sum into a mean. The bits are
  ///   those of multiplying the gradients first.
  func step(scalingGradientsBy factor: Float) throws(CheckpointError)

  /// A copy of the state as it is now, in the layout of torch's `state_dict()`: `state` by number, and `param_groups`
  /// with `param_names`.
  ///
  /// `step` is an int, which `load_state_dict` of every release of torch takes, and which has no largest value. Where
  /// some parameters have state, those without have an empty dictionary, so that state that was never made can be told
  /// from state that was lost; torch makes it when it is needed.
  func stateDict() throws(CheckpointError) -> Dict
}

extension Optimizer {
  /// One step with the gradients as they are.
  public func step() throws(CheckpointError) { try step(scalingGradientsBy: 1) }

  /// Forgets the gradients, as `zero_grad(set_to_none=True)`.
  public func zeroGrad() {
    for group in parameters { for entry in group { entry.parameter.gradient = nil } }
  }
}
