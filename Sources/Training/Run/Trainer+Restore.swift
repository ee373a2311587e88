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
  /// Parameters whose optimizer state may be missing though others have theirs.
  public var allowMissingState: [Glob] = []

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
  /// - Throws: `usage` with one report of all that does not fit, in the model and in the optimizer; `damaged` where
  ///   something is no state at all. Nothing has been changed then.
  @discardableResult
  public func restore(_ root: Value, _ options: RestoreOptions = RestoreOptions()) throws(CheckpointError)
    -> RestoreReport
  {
    guard case .dict(let dict) = root else {
      throw CheckpointError(.damaged, "expected a dictionary with 'model' and 'optimizer', found something else")
    }
    var failures = Failures()
    let weights = failures.collect { () throws(CheckpointError) in try self.checkModel(dict, options) }
    let state = failures.collect { () throws(CheckpointError) in try self.checkOptimizer(root, options) }
    let average = failures.collect { () throws(CheckpointError) in try self.checkAverage(dict["ema"]) }
    // A position is worth a look only where the rest fits.
    try failures.check()
    guard let weights, let state, let average else { return RestoreReport() }
    let position = try checkPosition(dict["training"], state.step, options)

    for (value, tensor) in weights.tensors { try value.copy(from: tensor) }
    try state.load.apply()
    take(position)
    baseRates = schedule is ConstantSchedule ? optimizer.learningRates : optimizer.initialLearningRates
    if average.isStored { try average.load() } else { ema?.restart() }
    // A run that was stopped before its first step has no average yet.
    ema?.hasBegun = step > 0
    return RestoreReport(
      weights: weights.report, notes: state.load.report.notes + position.notes + average.notes)
  }

  private func checkModel(_ root: Dict, _ options: RestoreOptions) throws(CheckpointError) -> StateLoadPlan {
    guard case .dict(let weights)? = root["model"] ?? root["state_dict"] ?? root["model_state_dict"] else {
      throw CheckpointError(.damaged, "expected the key 'model', the weights, and found none")
    }
    return try model.checkStateDict(
      weights, allowMissing: options.allowMissing, allowUnexpected: options.allowUnexpected)
  }

  private func checkOptimizer(
    _ root: Value, _ options: RestoreOptions
  ) throws(CheckpointError) -> (load: PreparedLoad, step: Int64?) {
    let sections = Recogniser.sections(in: root).filter { $0.kind == .optimizer }
    guard sections.count == 1, let section = sections.first, let value = root.value(at: section.path),
      let state = OptimizerState(options.changed(value))
    else {
      throw CheckpointError(
        .damaged, "expected one optimizer's state, found \(sections.count)",
        advice: "To begin with its weights alone, use init: in the config.")
    }
    let names = ParameterNames.resolve(in: root).first?.names
    let known = names?.isComplete ?? false
    let load = try optimizer.prepareLoad(
      state, names: known ? (names?.names ?? []) : [], keepsOptions: options.keepsHyperparameters,
      allowMissing: options.allowMissingState)
    return (load, try state.step())
  }

  /// What is to be done with the averages of the weights.
  private struct Average {
    var isStored = false
    var load: () throws(CheckpointError) -> Void = {}
    var notes: [String] = []
  }

  private func checkAverage(_ stored: Value?) throws(CheckpointError) -> Average {
    guard let ema else { return Average() }
    guard case .dict(let stored)? = stored else {
      return Average(notes: ["the checkpoint has no averaged weights; they begin with its weights"])
    }
    return Average(isStored: true, load: try ema.prepareLoad(stored))
  }
}

/// Several things that may fail, told in one report.
private struct Failures {
  private var all: [CheckpointError] = []

  mutating func collect<Result>(_ body: () throws(CheckpointError) -> Result) -> Result? {
    do throws(CheckpointError) { return try body() } catch {
      all.append(error)
      return nil
    }
  }

  func check() throws(CheckpointError) {
    guard var first = all.first else { return }
    first.advice = all.compactMap(\.advice).first
    // Each has one line.
    first.message = all.map { failure in
      failure.message.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: " ")
    }.joined(separator: "; and ")
    throw first
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
