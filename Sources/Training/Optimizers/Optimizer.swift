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
  func step() throws(CheckpointError)

  /// A copy of the state as it is now, in the layout of torch's `state_dict()`: `state` by number, and `param_groups`
  /// with `param_names`.
  func stateDict() throws(CheckpointError) -> Dict

  /// Takes over a state, by name where the state has names, else by position. Every shape is checked before anything
  /// is changed.
  ///
  /// - Parameter keepsOptions: whether this optimizer's hyper-parameters stay, rather than those of the state.
  /// - Throws: `usage` with one report of all that does not fit.
  func load(_ state: OptimizerState, names: [String?], keepsOptions: Bool) throws(CheckpointError)
}

extension Optimizer {
  /// Forgets the gradients, as `zero_grad(set_to_none=True)`.
  public func zeroGrad() {
    for group in parameters { for entry in group { entry.parameter.gradient = nil } }
  }
}
