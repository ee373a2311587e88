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

  /// The learning rate of each group that a schedule starts from: `initial_lr`, where a schedule has been attached or
  /// the state that was loaded had one; else the learning rate itself.
  var initialLearningRates: [Double] { get }

  /// Keeps the learning rates as they are now as `initial_lr`, as a scheduler of torch does when it is made. Groups
  /// that have one keep it.
  func attachSchedule()

  /// Sets the learning rate of one group; a group that is not there is ignored.
  func setLearningRate(_ rate: Double, ofGroup group: Int)

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

  /// Looks at a state that is to be taken over, by name where every parameter of it has one in `names`, else by
  /// position. Nothing is changed before `apply()`.
  ///
  /// - Parameters:
  ///   - names: the names of the state's parameters in the order of its `keys`; empty for the groups' `param_names`.
  ///   - keepsOptions: whether this optimizer's hyper-parameters stay, rather than those of the state.
  ///   - allowMissing: names of parameters whose state may be missing though others have theirs; it starts afresh.
  /// - Throws: `usage` with one report of all that does not fit.
  func prepareLoad(
    _ state: OptimizerState, names: [String?], keepsOptions: Bool, allowMissing: [Glob]
  ) throws(CheckpointError) -> PreparedLoad
}

extension Optimizer {
  /// One step with the gradients as they are.
  public func step() throws(CheckpointError) { try step(scalingGradientsBy: 1) }

  /// Takes over a state, its hyper-parameters too unless they are to stay; see `prepareLoad`. Everything is checked
  /// before anything is changed.
  ///
  /// - Returns: what was restored and what starts afresh.
  /// - Throws: `usage` with one report of all that does not fit.
  @discardableResult
  public func load(
    _ state: OptimizerState, names: [String?] = [], keepsOptions: Bool = false, allowMissing: [Glob] = []
  ) throws(CheckpointError) -> OptimizerLoadReport {
    let prepared = try prepareLoad(state, names: names, keepsOptions: keepsOptions, allowMissing: allowMissing)
    try prepared.apply()
    return prepared.report
  }

  /// Forgets the gradients, as `zero_grad(set_to_none=True)`.
  public func zeroGrad() {
    for group in parameters { for entry in group { entry.parameter.gradient = nil } }
  }
}

/// What `load` did.
public struct OptimizerLoadReport: Sendable {
  /// Parameters whose state was taken over.
  public var restored: [String] = []
  /// Parameters that have no state yet, because the stored run had none for them.
  public var withoutState: [String] = []
  /// What is worth telling: state matched by position, hyper-parameters that the state did not have.
  public var notes: [String] = []
}
