import Checkpoint

/// The names that a tree's tensors have in a flat file.
struct FlatNames {
  private struct Optimizer {
    let path: TreePath
    let prefix: String
    /// Names of its parameters by their keys.
    let names: [Key: String]
  }

  private let optimizers: [Optimizer]
  /// The state dict whose names stand as they are.
  private let model: TreePath?
  private var taken: Set<Key> = []
  /// Makes a name one that the format can have.
  private let adapted: @Sendable (String) -> String

  init(_ root: Value, adapted: @escaping @Sendable (String) -> String = { $0 }) {
    self.adapted = adapted
    let sections = Recogniser.sections(in: root)
    let dicts = sections.filter { $0.kind == .stateDict }.map(\.path)
    model = dicts.count == 1 ? dicts[0] : Self.only(dicts.filter(Self.isCalledModel))
    optimizers = zip(
      sections.filter { $0.kind == .optimizer }.map(\.path), ParameterNames.resolve(in: root, sections: sections)
    ).map { path, names in
      let keys = root[path].flatMap { OptimizerState($0) }?.keys ?? []
      return Optimizer(
        path: path, prefix: path.steps.isEmpty ? "optimizer" : path.text,
        names: Dictionary(zip(keys, names.names), uniquingKeysWith: { first, _ in first }))
    }
    // Where the file's own metadata lies.
    taken.insert(.string("__metadata__"))
    taken.insert(.string(FlatCheckpoint.key))
  }

  /// A name for the tensor at a path, which no other one has.
  mutating func name(at path: TreePath) -> String {
    let first = adapted(slotName(path) ?? modelName(path) ?? path.text)
    var name = first.isEmpty ? "tensor" : first
    if taken.contains(.string(name)), !path.text.isEmpty { name = adapted(path.text) }
    var number = 1
    while !taken.insert(.string(name)).inserted {
      number += 1
      name = "\(first)~\(number)"
    }
    return name
  }

  /// `optimizer.exp_avg.fc.weight` for what lies at `optimizer.state.0.exp_avg`.
  private func slotName(_ path: TreePath) -> String? {
    for optimizer in optimizers where path.isInside(optimizer.path) {
      let steps = path.steps.dropFirst(optimizer.path.steps.count)
      guard steps.count >= 3, steps.first == .key(.string("state")), case .key(let key) = steps[steps.startIndex + 1],
        let name = optimizer.names[key]
      else { return nil }
      let slot = TreePath(Array(steps.dropFirst(2))).text
      return "\(optimizer.prefix).\(slot).\(name)"
    }
    return nil
  }

  private func modelName(_ path: TreePath) -> String? {
    guard let model, path.isInside(model) else { return nil }
    return TreePath(Array(path.steps.dropFirst(model.steps.count))).text
  }

  private static func isCalledModel(_ path: TreePath) -> Bool {
    guard path.steps.count == 1, case .key(.string(let name))? = path.steps.first else { return false }
    return ["model", "state_dict", "model_state_dict", "module"].contains(name)
  }

  private static func only(_ paths: [TreePath]) -> TreePath? { paths.count == 1 ? paths[0] : nil }
}
