public import Checkpoint
internal import Kernels

extension TableOptimizer {
  public func prepareLoad(
    _ state: OptimizerState, names: [String?], keepsOptions: Bool, allowMissing: [Glob]
  ) throws(CheckpointError) -> PreparedLoad {
    var plan = OptimizerPlan(options: options, extras: extras)
    plan.checkAlgorithm(state, is: algorithm, keepsOptions: keepsOptions)
    // Another algorithm's state fits nowhere, nor does one whose positions are others; each is said once.
    guard plan.problems.isEmpty else { throw plan.problems.error() }
    let match = OptimizerMatch(
      state, names: names, here: table.groups, keepsOptions: keepsOptions, problems: &plan.problems)
    guard match.isByName || plan.problems.isEmpty else { throw plan.problems.error() }
    if !keepsOptions { plan.takeOptions(state, match) }
    plan.takeState(state, match, table, allowMissing)
    guard plan.problems.isEmpty else { throw plan.problems.error() }
    plan.report.notes += match.isByName ? [] : ["the state's parameters have no names: matched by position"]
    // Reading may fail too; only then is anything changed.
    let memory = try plan.read(table)
    let done = plan
    return PreparedLoad(report: done.report) { () throws(CheckpointError) in try self.apply(done, memory) }
  }

  private func apply(_ plan: OptimizerPlan<Options>, _ memory: [[Storage?]]) throws(CheckpointError) {
    for index in 0..<table.count {
      for slot in 0..<ParameterTable.slotLimit { table.set(memory[index][slot], index, slot) }
      table.tensors[index].step = plan.states[index]?.step ?? 0
    }
    options = plan.options
    extras = plan.extras
    // Adagrad has state from the start.
    for index in 0..<table.count where plan.states[index] == nil { try startState(index) }
  }
}

/// A state that is known to fit an optimizer, and was read, but not taken over yet.
public struct PreparedLoad {
  /// What will be restored and what starts afresh.
  public let report: OptimizerLoadReport
  /// Takes the state over.
  public let apply: () throws(CheckpointError) -> Void
}

/// What loading a state will do, and what stands against it.
struct OptimizerPlan<Options: HyperParameters> {
  struct Slots {
    var step: Int64
    /// By slot; nil where the options ask for none.
    var tensors: [Tensor?]
  }

  var options: [Options]
  var extras: [GroupExtras]
  /// By parameter; nil for those that start afresh.
  var states: [Slots?] = []
  var problems = OptimizerProblems()
  var report = OptimizerLoadReport()

  init(options: [Options], extras: [GroupExtras]) {
    self.options = options
    self.extras = extras
  }

  /// The moments of another algorithm are no use; those of Adam and AdamW are the same, and only the meaning of
  /// weight_decay differs, which must not change without a word.
  mutating func checkAlgorithm(_ state: OptimizerState, is algorithm: String, keepsOptions: Bool) {
    guard let stored = state.algorithm.name, stored != algorithm else { return }
    let related = algorithm == "Adam" || algorithm == "AdamW"
    switch stored {
    case "Adam or AdamW" where related:
      report.notes.append("the state does not tell Adam from AdamW; it is continued as \(algorithm)")
    case "AdamW (Hugging Face)" where algorithm == "AdamW":
      report.notes.append("the state is that of transformers' AdamW; it is continued as PyTorch's")
    case "Adam" where related, "AdamW" where related:
      let decays = state.groups.contains { group in
        var decay = 0.0
        try? StoredOptions(group: group, name: "").number("weight_decay", into: &decay)
        return decay != 0
      }
      if keepsOptions || !decays {
        report.notes.append("the state is \(stored)'s, whose moments are those of \(algorithm)")
      } else {
        problems.add(
          .options,
          "the state is \(stored)'s, where weight_decay means something else than in \(algorithm); "
            + "keep the options of this one, or use \(stored)")
      }
    default: problems.add(.options, "the state is that of \(stored), not of \(algorithm) (\(state.algorithm.reason))")
    }
  }

  mutating func takeOptions(_ state: OptimizerState, _ match: OptimizerMatch) {
    for (number, stored) in match.groups.enumerated() {
      guard let stored else {
        report.notes.append("group \(number) is not in the state; its hyper-parameters stay")
        continue
      }
      let group = state.groups[stored]
      let reader = StoredOptions(group: group, name: "group \(stored)")
      let own = options[number]
      do throws(CheckpointError) {
        try options[number].take(from: reader)
        try options[number].check()
        extras[number].initialLearningRate = nil
        try reader.number("initial_lr", into: &extras[number].initialLearningRate)
        noteChanges(of: own, number)
      } catch {
        problems.add(.options, error.message)
      }
      let used = Set(options[number].entries.map(\.key)).subtracting(GroupExtras.inert).union([.string("initial_lr")])
      extras[number].stored = group.options.filter { !used.contains($0.key) }
      let absent = used.subtracting(group.options.map(\.key)).subtracting([
        .string("initial_lr"), .string("decoupled_weight_decay"),
      ])
      for key in absent.map(\.text).sorted() {
        report.notes.append("group \(stored) of the state has no '\(key)'; this optimizer's stays")
      }
    }
  }
}

extension OptimizerPlan {
  /// Tells which hyper-parameters become others than this optimizer was made with. A learning rate that a schedule has
  /// changed is compared by what the schedule started from.
  private mutating func noteChanges(of own: Options, _ group: Int) {
    var taken = options[group]
    if let start = extras[group].initialLearningRate { taken.lr = start }
    for (before, after) in zip(own.entries, taken.entries) where !GroupExtras.inert.contains(before.key) {
      let (old, new) = (before.value.shown, after.value.shown)
      if old != new { report.notes.append("group \(group): \(before.key.text) is \(new) as stored, not \(old)") }
    }
  }
}

extension GroupExtras {
  /// What PyTorch keeps in a group to choose among its implementations.
  static let inert: Set<Key> = Set(["foreach", "capturable", "differentiable", "fused"].map(Key.string))
}

extension Value {
  /// A hyper-parameter, as Python writes it.
  fileprivate var shown: String {
    switch self {
    case .bool(let flag): flag ? "True" : "False"
    case .int(let number): "\(number)"
    case .double(let number): "\(number)"
    case .sequence(_, let items): "(\(items.map(\.shown).joined(separator: ", ")))"
    default: "None"
    }
  }
}
