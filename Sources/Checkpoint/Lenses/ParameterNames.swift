/// The names of an optimizer's parameters, and how they are known. PyTorch numbers them; the model names them.
public struct ParameterNames: Sendable {
  /// One name for each position over the concatenated groups; no two are the same.
  public let names: [String]
  /// Whether the name at a position is known; the others are called `param.<id>`.
  public let known: [Bool]
  /// The state dict whose names these are, where one told them.
  public let model: TreePath?
  /// How the names are known, in words.
  public let evidence: String
  /// What could not be told.
  public let warnings: [String]

  /// Whether every name is known.
  public var isComplete: Bool { known.allSatisfy { $0 } }

  /// The names for every optimizer of a tree, in the order of the optimizers among `sections`.
  public static func resolve(in root: Value, sections: [Section]) -> [ParameterNames] {
    NameResolver(root: root, sections: sections).resolve()
  }

  /// The names for every optimizer of a tree, by the path of its section.
  public static func resolve(in root: Value) -> [(path: TreePath, names: ParameterNames)] {
    let sections = Recogniser.sections(in: root)
    let paths = sections.filter { $0.kind == .optimizer }.map(\.path)
    return Array(zip(paths, resolve(in: root, sections: sections)).map { (path: $0, names: $1) })
  }
}

extension ParameterNames {
  /// From what was found at each position; nil becomes `param.<id>` with a warning.
  init(_ found: [String?], keys: [Key], model: TreePath?, evidence: String, warnings: [String] = []) {
    var warnings = warnings
    var names = zip(found, keys).map { name, key in name ?? "param.\(key.text)" }
    var known = found.map { $0 != nil }
    if Set(names.map(Key.string)).count < names.count {
      warnings.append("two of the optimizer's parameters would have one name; they are numbered by position")
      names = names.indices.map { "param.\($0)" }
      known = names.map { _ in false }
    }
    let unknown = known.indices.filter { !known[$0] }
    if !unknown.isEmpty {
      warnings.append(
        "no name could be told for \(unknown.count) of \(names.count) optimizer parameters (ids "
          + "\(Self.ranges(unknown.map { keys[$0] }))); they are called param.<id>")
    }
    self.names = names
    self.known = known
    self.model = model
    self.evidence = evidence
    self.warnings = warnings
  }

  /// `0-5, 8` for numbers, at most a dozen of anything.
  private static func ranges(_ keys: [Key]) -> String {
    var parts: [String] = []
    var run: ClosedRange<Int64>?
    func close() {
      if let run { parts.append(run.count == 1 ? "\(run.lowerBound)" : "\(run.lowerBound)-\(run.upperBound)") }
      run = nil
    }
    for key in keys {
      guard case .int(let id) = key else {
        close()
        parts.append(key.text)
        continue
      }
      if let last = run, last.upperBound < .max, last.upperBound + 1 == id {
        run = last.lowerBound...id
      } else {
        close()
        run = id...id
      }
    }
    close()
    return parts.prefix(12).joined(separator: ", ") + (parts.count > 12 ? ", …" : "")
  }
}

/// Resolves all optimizers of a tree together: what one of them owns tells about the others.
struct NameResolver {
  private struct Optimizer {
    let path: TreePath
    let state: OptimizerState
  }

  private let optimizers: [Optimizer]
  private let models: [NamedShapes]

  init(root: Value, sections: [Section]) {
    var optimizers: [Optimizer] = []
    var models: [NamedShapes] = []
    // Without an optimizer nobody asks for the models' names.
    for section in sections where sections.contains(where: { $0.kind == .optimizer }) {
      guard let value = root[section.path] else { continue }
      if section.kind == .optimizer, let state = OptimizerState(value) ?? KerasOptimizer(value)?.state {
        optimizers.append(Optimizer(path: section.path, state: state))
      } else if section.kind == .stateDict, let dict = StateDict(value) {
        models.append(NamedShapes(path: section.path, dict))
      }
    }
    self.optimizers = optimizers
    self.models = models
  }

  func resolve() -> [ParameterNames] {
    var found = optimizers.map { byOwnNames($0.state) ?? byModel($0) }
    joinUnnamed(&found)
    return optimizers.indices.map { index in
      found[index]
        ?? ParameterNames(
          Array(repeating: nil, count: optimizers[index].state.keys.count), keys: optimizers[index].state.keys,
          model: nil,
          evidence: models.isEmpty
            ? "not known (there is no model in the file)" : "not known (no model's shapes fit, or those of several)")
    }
  }

  /// Names that the optimizer has itself: `param_names`, or keys that are names.
  private func byOwnNames(_ state: OptimizerState) -> ParameterNames? {
    if state.keys.isEmpty { return ParameterNames([], keys: [], model: nil, evidence: "it has no parameters") }
    let stored = state.groups.compactMap(\.paramNames).flatMap { $0 }
    if stored.count == state.keys.count, Set(stored.map(Key.string)).count == stored.count {
      return ParameterNames(
        stored, keys: state.keys, model: owner(of: stored), evidence: "as its groups say ('param_names')")
    }
    let texts = state.keys.compactMap { if case .string(let name) = $0 { name } else { nil } }
    guard texts.count == state.keys.count, Set(state.keys).count == texts.count else { return nil }
    return ParameterNames(texts, keys: state.keys, model: owner(of: texts), evidence: "as its state has them")
  }

  /// The first model that has all the names.
  private func owner(of names: [String]) -> TreePath? {
    models.first { model in names.allSatisfy { model.all.contains(.string($0)) } }?.path
  }

  /// The best of what each model says: completeness first, then the stronger rule, then similar names.
  private func byModel(_ optimizer: Optimizer) -> ParameterNames? {
    let groups = optimizer.state.shapes
    var best: [NameMatch] = []
    for model in models + models.flatMap(\.parts) {
      guard model.names.count == optimizer.state.keys.count, var match = NameMatch(groups, model) else { continue }
      match.similarity = similarity(model.path, optimizer.path)
      if let rival = best.first, rival.isWorse(than: match) { best = [] }
      if best.first.map({ !match.isWorse(than: $0) }) ?? true { best.append(match) }
    }
    guard let first = best.first else { return nil }
    // Equal evidence for different names is none.
    let agreed = best.allSatisfy { $0.names == first.names }
    guard agreed else { return nil }
    return ParameterNames(
      first.names, keys: optimizer.state.keys, model: first.model.path, evidence: first.evidence,
      warnings: first.warnings)
  }

  /// Optimizers that share one model (Muon for the matrices, AdamW for the rest): together they own it once.
  private func joinUnnamed(_ found: inout [ParameterNames?]) {
    let open = found.indices.filter { found[$0] == nil }
    guard open.count > 1 else { return }
    let groups = open.flatMap { optimizers[$0].state.shapes }
    let total = groups.reduce(0) { $0 + $1.count }
    let matches = models.filter { $0.names.count == total }.compactMap { NameMatch(groups, $0) }
    guard matches.count == 1, let match = matches.first, match.rule != .inOrder || match.warnings.isEmpty else {
      return
    }
    var start = 0
    for index in open {
      let keys = optimizers[index].state.keys
      found[index] = ParameterNames(
        Array(match.names[start..<(start + keys.count)]), keys: keys, model: match.model.path,
        evidence: "\(match.evidence), together with the file's other optimizers")
      start += keys.count
    }
  }

  /// How alike the paths of a model and an optimizer are once the words for what they are were taken out.
  private func similarity(_ model: TreePath, _ optimizer: TreePath) -> Int {
    let (a, b) = (Self.stem(model.text), Self.stem(optimizer.text))
    if a == b { return 3 }
    if !a.isEmpty, !b.isEmpty, a.starts(with: b) || b.starts(with: a) { return 2 }
    return a.isEmpty ? 1 : 0
  }

  private static func stem(_ path: String) -> [UInt8] {
    var text = Array(path.lowercased().utf8)
    for word in ["optimizer", "optimiser", "network", "model", "optim", "state", "dict", "opt", "net", "weights"] {
      let word = Array(word.utf8)
      var at = 0
      while at + word.count <= text.count {
        if text[at..<(at + word.count)].elementsEqual(word) {
          text.removeSubrange(at..<(at + word.count))
        } else {
          at += 1
        }
      }
    }
    return text.filter { ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 >= 0x80 }
  }
}
