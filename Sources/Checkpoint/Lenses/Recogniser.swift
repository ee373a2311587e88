/// A part of the tree that has a meaning.
public struct Section: Sendable {
  public enum Kind: String, Sendable {
    case stateDict = "state-dict"
    case optimizer
  }

  /// Where it lies; empty when the whole tree is the section.
  public let path: TreePath
  public let kind: Kind
  /// Why it was recognised, in words.
  public let reason: String

  /// The path's text.
  public var text: String { path.text }
}

/// Finds state dicts and optimizers anywhere in a tree.
public enum Recogniser {
  /// The sections in file order. Sections do not lie inside each other: what an optimizer holds belongs to it.
  public static func sections(in root: Value) -> [Section] {
    var found: [Section] = []
    var open: [(value: Value, path: TreePath)] = [(root, TreePath())]
    while let (value, path) = open.popLast() {
      if let section = section(value, at: path) {
        found.append(section)
        continue
      }
      guard let children = Children(value, attributes: false) else { continue }
      for index in (0..<children.count).reversed() {
        let (step, child) = children[index]
        switch child {
        case .dict, .sequence: open.append((child, path.appending(step)))
        // A tensor's parts are no model.
        case .record(let record) where !record.type.utf8.starts(with: "torch.".utf8):
          open.append((child, path.appending(step)))
        default: break
        }
      }
    }
    return found
  }

  /// The section that a value is, if it is one.
  private static func section(_ value: Value, at path: TreePath) -> Section? {
    guard case .dict(let dict) = value else { return nil }
    if let optimizer = OptimizerState(value) {
      let reason =
        "it has 'state' and 'param_groups' (\(optimizer.groups.count) with \(optimizer.keys.count) parameters)"
      return Section(path: path, kind: .optimizer, reason: reason)
    }
    if let keras = KerasOptimizer(value) {
      let reason = "it has '\(KerasOptimizer.attribute)', and \(keras.slots.count) of its tensors are slots"
      return Section(path: path, kind: .optimizer, reason: reason)
    }
    guard StateDict.mismatch(dict) == nil, !isNoModel(path) else { return nil }
    let metadata = dict.attributes.contains { $0.name.hasSameBytes(as: "_metadata") }
    let reason = "all its \(dict.count) entries are tensors under names" + (metadata ? ", and it has '_metadata'" : "")
    return Section(path: path, kind: .stateDict, reason: reason)
  }

  /// Dictionaries of tensors that are no model by their name: random number generators, histories, scalers.
  private static func isNoModel(_ path: TreePath) -> Bool {
    path.steps.contains { step in
      guard case .key(.string(let name)) = step else { return false }
      return noModels.contains(.string(name.lowercased()))
    }
  }

  private static let noModels: Set<Key> = Set(
    [
      "rng", "rng_state", "rng_states", "random_state", "metrics", "history", "losses", "log", "logs", "scaler",
      "grad_scaler", "scheduler", "lr_scheduler", "lr_schedulers", "schedule",
    ].map(Key.string))
}
