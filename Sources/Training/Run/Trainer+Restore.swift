public import Checkpoint

/// How a checkpoint is taken over.
public struct RestoreOptions: Sendable {
  /// Whether the optimizer's hyper-parameters stay as they were made, rather than becoming the stored ones.
  public var keepsHyperparameters = false
  /// Hyper-parameters that win over the stored ones, under torch's names.
  public var changes: [Dict.Entry] = []
  /// Whether other parameters may be trainable than were.
  public var allowsOtherTrainable = false
  /// Weights that the checkpoint may lack, and may have too many. For the model alone.
  public var allowMissing: [Glob] = []
  public var allowUnexpected: [Glob] = []

  public init() {}
}

/// What was taken over, and what began anew.
public struct RestoreReport: Sendable {
  public var weights = StateLoadReport()
  /// What is worth telling.
  public var notes: [String] = []
}

extension Trainer {
  /// Takes over a checkpoint: one of a run here, or one of PyTorch with `model` and `optimizer`. What a checkpoint of
  /// PyTorch does not say (the data's position, say) follows from its optimizer's step.
  ///
  /// - Throws: `usage` with one report of all that does not fit, in the model and in the optimizer; the trainer is then
  ///   of no more use.
  @discardableResult
  public func restore(_ root: Value, _ options: RestoreOptions = RestoreOptions()) throws(CheckpointError)
    -> RestoreReport
  {
    guard case .dict(let dict) = root else {
      throw CheckpointError(.damaged, "expected a dictionary with 'model' and 'optimizer', found something else")
    }
    var report = RestoreReport()
    var failures: [CheckpointError] = []
    do throws(CheckpointError) { report.weights = try restoreModel(dict, options) } catch { failures.append(error) }
    var state: OptimizerState?
    do throws(CheckpointError) { state = try restoreOptimizer(root, options, &report) } catch { failures.append(error) }
    if let failure = Self.joined(failures) { throw failure }
    try restoreProgress(dict["training"], state, options, &report)
    try restoreAverage(dict["ema"], &report)
    return report
  }

  private static func joined(_ failures: [CheckpointError]) -> CheckpointError? {
    guard var first = failures.first else { return nil }
    for other in failures.dropFirst() { first.advice = first.advice ?? other.advice }
    // Each has one line.
    first.message = failures.map { failure in
      failure.message.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: " ")
    }.joined(separator: "; and ")
    return first
  }

  private func restoreModel(_ root: Dict, _ options: RestoreOptions) throws(CheckpointError) -> StateLoadReport {
    guard case .dict(let weights)? = root["model"] ?? root["state_dict"] ?? root["model_state_dict"] else {
      throw CheckpointError(.damaged, "expected the key 'model', the weights, and found none")
    }
    return try model.loadStateDict(
      weights, allowMissing: options.allowMissing, allowUnexpected: options.allowUnexpected)
  }

  private func restoreOptimizer(
    _ root: Value, _ options: RestoreOptions, _ report: inout RestoreReport
  ) throws(CheckpointError) -> OptimizerState {
    let sections = Recogniser.sections(in: root).filter { $0.kind == .optimizer }
    let names = ParameterNames.resolve(in: root).first?.names
    guard sections.count == 1, let section = sections.first, let value = root.value(at: section.path),
      let state = OptimizerState(options.changed(value))
    else {
      throw CheckpointError(
        .damaged, "expected one optimizer's state, found \(sections.count)",
        advice: "To begin with its weights alone, use init: in the config.")
    }
    let known = names?.isComplete ?? false
    let loaded = try optimizer.load(
      state, names: known ? (names?.names ?? []) : [], keepsOptions: options.keepsHyperparameters,
      allowMissing: options.allowMissing)
    report.notes += loaded.notes
    baseRates = schedule is ConstantSchedule ? optimizer.learningRates : optimizer.initialLearningRates
    return state
  }

  private func restoreProgress(
    _ training: Value?, _ state: OptimizerState?, _ options: RestoreOptions, _ report: inout RestoreReport
  ) throws(CheckpointError) {
    guard let training else {
      step = Int(try state?.step() ?? 0)
      try sampler.seek(afterBatches: step * self.options.accumulate)
      report.notes.append("the checkpoint is no run's; going on at its optimizer's step, \(step)")
      return
    }
    let fields = try RunFields(training, at: "training")
    step = try fields.int("step")
    let random = try RunFields(fields["rng"], at: "training.rng")
    guard try random.unsigned("seed") == generator.seed else {
      throw CheckpointError(
        .usage, "the run has the seed \(try random.unsigned("seed")), the config \(generator.seed)",
        advice: "Leave the seed as it was.")
    }
    generator.offset = try random.unsigned("offset")
    guard let position = fields["data"] else { throw fields.missing("data", "the data's position") }
    try sampler.restore(position)
    metrics = try Metrics(fields["metrics"])
    if case .dict = fields["best"] {
      let found = try RunFields(fields["best"], at: "training.best")
      best = Best(loss: try found.double("value"), step: try found.int("step"))
    }
    if !options.allowsOtherTrainable { try checkTrainable(fields["trainable"]) }
  }

  /// Resuming must not make frozen weights trainable without a word.
  private func checkTrainable(_ stored: Value?) throws(CheckpointError) {
    guard case .dict(let stored)? = stored else { return }
    var changed: [String] = []
    for (name, parameter) in zip(parameterNames, parameters) {
      if case .bool(let flag)? = stored[name], flag != parameter.requiresGrad { changed.append(name) }
    }
    guard !changed.isEmpty else { return }
    throw CheckpointError(
      .usage, "other parameters would be trained than were: \(changed.prefix(8).joined(separator: ", "))",
      advice: "Leave 'freeze' as it was, or change it with --set freeze=….")
  }

  private func restoreAverage(_ stored: Value?, _ report: inout RestoreReport) throws(CheckpointError) {
    guard let ema else { return }
    if case .dict(let stored)? = stored { return try ema.load(stored) }
    report.notes.append("the checkpoint has no averaged weights; they begin with its weights")
    ema.restart()
  }
}

extension RestoreOptions {
  /// An optimizer's state with the hyper-parameters changed. Groups without weight decay stay without.
  fileprivate func changed(_ value: Value) -> Value {
    guard !changes.isEmpty, case .dict(var state) = value,
      let index = state.entries.firstIndex(where: { $0.key == .string("param_groups") }),
      case .sequence(let kind, let groups) = state.entries[index].value
    else { return value }
    state.entries[index].value = .sequence(kind, groups.map(changedGroup))
    return .dict(state)
  }

  private func changedGroup(_ value: Value) -> Value {
    guard case .dict(var group) = value else { return value }
    for change in changes {
      let isDecay = change.key == .string("weight_decay")
      if isDecay, case .double(0)? = group[change.key] { continue }
      var keys = [change.key]
      // What a schedule starts from.
      if change.key == .string("lr"), group["initial_lr"] != nil { keys.append(.string("initial_lr")) }
      for key in keys {
        if let index = group.entries.firstIndex(where: { $0.key == key }) {
          group.entries[index].value = change.value
        } else {
          group.entries.append(Dict.Entry(key, change.value))
        }
      }
    }
    return .dict(group)
  }
}

extension Value {
  /// What lies at a path of keys.
  fileprivate func value(at path: TreePath) -> Value? {
    var value = self
    for step in path.steps {
      guard case .key(let key) = step, case .dict(let dict) = value, let next = dict[key] else { return nil }
      value = next
    }
    return value
  }
}
