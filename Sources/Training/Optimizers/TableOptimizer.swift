internal import Checkpoint
internal import Kernels

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

  /// The hyper-parameters of each group: the defaults, changed by the group.
  ///
  /// - Throws: `usage` for a value that makes no sense.
  static func options(
    of groups: [ParameterGroup<Options>], _ defaults: Options
  ) throws(CheckpointError) -> [Options] {
    var all: [Options] = []
    for group in groups {
      var own = defaults
      group.change(&own)
      try own.check()
      all.append(own)
    }
    return all
  }

  /// Makes the slots that a parameter's group asks for, where they are not there yet.
  func makeSlots(_ index: Int) throws(CheckpointError) {
    let options = options[table.tensors[index].group]
    for slot in Options.slotNames.indices where options.needs(slot: slot) { try table.make(index, slot) }
  }

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

/// The hyper-parameters as a kernel takes them, group by group.
final class KernelOptions<Options> {
  private let all: UnsafeMutablePointer<Options>

  init(groups: Int) { all = .allocate(capacity: groups) }

  deinit { all.deallocate() }

  /// Fills in those of this step.
  func set(_ options: some Sequence<Options>) -> UnsafePointer<Options> {
    for (group, own) in options.enumerated() { (all + group).initialize(to: own) }
    return UnsafePointer(all)
  }
}
