public import Checkpoint

extension Module {
  /// A copy of all parameters and buffers as they are now, in the order and under the names that PyTorch has. What has
  /// two names is one tensor there, tied.
  ///
  /// - Throws: `inputOutput` when memory is short.
  public final func stateDict() throws(CheckpointError) -> Dict { try stateDict(replacing: [:]) }

  /// The state dict with other values in place of some.
  final func stateDict(replacing: [ObjectIdentifier: Variable]) throws(CheckpointError) -> Dict {
    var copies: [ObjectIdentifier: Tensor] = [:]
    var dict = Dict(kind: .ordered)
    for (name, value) in namedState() {
      let known = copies[ObjectIdentifier(value)]
      let tensor = if let known { known } else { try (replacing[ObjectIdentifier(value)] ?? value).snapshot() }
      copies[ObjectIdentifier(value)] = tensor
      dict.entries.append(Dict.Entry(.string(name), .tensor(tensor)))
    }
    return dict
  }

  /// Takes over a state dict by its names. All is checked before anything is changed.
  ///
  /// - Parameters:
  ///   - allowMissing: patterns of names that may be missing; what they name stays as it is.
  ///   - allowUnexpected: patterns of names that may be there although the module has no such entry.
  /// - Returns: the names that were missing or passed over.
  /// - Throws: `usage` with one report of all entries that are missing, unexpected, or of another shape or type.
  @discardableResult
  public final func loadStateDict(
    _ dict: Dict, allowMissing: [Glob] = [], allowUnexpected: [Glob] = []
  ) throws(CheckpointError) -> StateLoadReport {
    let plan = try checkStateDict(dict, allowMissing: allowMissing, allowUnexpected: allowUnexpected)
    for (value, tensor) in plan.tensors { try value.copy(from: tensor) }
    return plan.report
  }

  /// What `loadStateDict` would copy where. Changes nothing.
  ///
  /// - Throws: `usage` with one report of all that does not fit.
  final func checkStateDict(
    _ dict: Dict, allowMissing: [Glob] = [], allowUnexpected: [Glob] = []
  ) throws(CheckpointError) -> StateLoadPlan {
    let state = namedState()
    var found: [Key: Value] = [:]
    for entry in dict.entries { found[entry.key] = entry.value }
    var report = StateLoadReport()
    var problems = StateProblems()
    var tensors: [(value: Variable, tensor: Tensor)] = []
    for (name, value) in state {
      switch found.removeValue(forKey: .string(name)) {
      case .tensor(let tensor)?:
        if let reason = value.misfit(tensor) { problems.misfits.append("'\(name)': \(reason)") }
        tensors.append((value, tensor))
      case .some: problems.misfits.append("'\(name)': a tensor is wanted, found something else")
      case nil where allowMissing.matches(name): report.missing.append(name)
      case nil: problems.missing.append(name)
      }
    }
    for entry in dict.entries where found[entry.key] != nil {
      let name = entry.key.text
      if allowUnexpected.matches(name) { report.unexpected.append(name) } else { problems.unexpected.append(name) }
    }
    try problems.check(module: String(describing: type(of: self)))
    return StateLoadPlan(tensors: tensors, report: report)
  }

  /// Every entry of the state dict, in order.
  final func namedState() -> [(name: String, value: Variable)] {
    var result: [(name: String, value: Variable)] = []
    walk("") { members, prefix in
      for (name, parameter) in members.parameters { result.append((prefix + name, parameter)) }
      for (name, buffer) in members.buffers { result.append((prefix + name, buffer.value)) }
    }
    return result
  }
}

/// What a state dict did not have, or had too much, and was allowed to.
public struct StateLoadReport: Sendable, Equatable {
  /// Entries that stay as they were.
  public var missing: [String] = []
  /// Entries that were passed over.
  public var unexpected: [String] = []
}

/// What loading a state dict will do, once all of it is known to fit.
struct StateLoadPlan {
  var tensors: [(value: Variable, tensor: Tensor)]
  var report: StateLoadReport
}

/// What does not fit between a module and a state dict.
private struct StateProblems {
  var missing: [String] = []
  var unexpected: [String] = []
  var misfits: [String] = []

  func check(module: String) throws(CheckpointError) {
    var parts: [String] = []
    if !missing.isEmpty { parts.append("missing: \(missing.joined(separator: ", "))") }
    if !unexpected.isEmpty { parts.append("unexpected: \(unexpected.joined(separator: ", "))") }
    if !misfits.isEmpty { parts.append("not fitting: \(misfits.joined(separator: "; "))") }
    guard !parts.isEmpty else { return }
    throw CheckpointError(
      .usage, "the state dict does not fit \(module); nothing was changed; " + parts.joined(separator: "; "),
      advice: missing.isEmpty && unexpected.isEmpty
        ? "A model of these sizes is needed." : "Allow entries to be missing or unexpected by their names to go on.")
  }
}

extension Key {
  /// The key as a message shows it.
  fileprivate var text: String { if case .string(let text) = self { text } else { "\(self)" } }
}
