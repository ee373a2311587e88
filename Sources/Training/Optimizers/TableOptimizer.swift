internal import Checkpoint

/// What groups keep beside the hyper-parameters that the algorithm uses.
struct GroupExtras {
  /// What a schedule starts from, as torch's schedulers keep it in the group.
  var initialLearningRate: Double?
  /// Entries that came from a stored group and that nothing here uses (`foreach`, `fused`, a user's own).
  var stored: [Dict.Entry] = []
}

/// The optimizers here, which differ in their hyper-parameters and kernels alone.
protocol TableOptimizer: Optimizer {
  associatedtype Options: HyperParameters
  var options: [Options] { get set }
  var extras: [GroupExtras] { get set }
  var table: ParameterTable { get }

  /// Makes the state that a parameter has before its first step.
  func startState(_ index: Int) throws(CheckpointError)
}

extension TableOptimizer {
  func startState(_ index: Int) throws(CheckpointError) {}

  public var parameters: [[NamedParameter]] { table.groups }

  public var learningRates: [Double] {
    get { options.map(\.lr) }
    set { for (group, rate) in newValue.enumerated() { setLearningRate(rate, ofGroup: group) } }
  }

  public func setLearningRate(_ rate: Double, ofGroup group: Int) {
    guard options.indices.contains(group) else { return }
    options[group].lr = rate
  }

  public var initialLearningRates: [Double] {
    options.indices.map { extras[$0].initialLearningRate ?? options[$0].lr }
  }

  public func attachSchedule() {
    for group in extras.indices where extras[group].initialLearningRate == nil {
      extras[group].initialLearningRate = options[group].lr
    }
  }
}
