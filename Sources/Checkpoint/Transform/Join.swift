extension Transform {
  /// Puts the entries of several trees into one, in order; their attributes too. `label` says which file a tree is of.
  ///
  /// Where one of them is an optimizer's state and nothing else, as distributed checkpoints often keep it, it becomes the
  /// entry `optimizer`, and what is a state dict and nothing else goes into the entry `model`.
  ///
  /// - Throws: `usage` when a root is no dictionary, or when two have a key in common (naming all such keys).
  public static func join(_ trees: [(label: String, root: Value)]) throws(CheckpointError) -> Value {
    if trees.count == 1, let only = trees.first { return only.root }
    guard trees.contains(where: { OptimizerState($0.root) != nil }) else { return try merge(trees) }
    let models = trees.filter { StateDict($0.root) != nil }
    var parts: [(label: String, root: Value)] = []
    if let first = models.first {
      parts.append((first.label, .dict(Dict([Dict.Entry(.string("model"), try merge(models))]))))
    }
    for (label, root) in trees where StateDict(root) == nil {
      let isBare = OptimizerState(root) != nil
      parts.append((label, isBare ? .dict(Dict([Dict.Entry(.string("optimizer"), root)])) : root))
    }
    return try merge(parts)
  }

  private static func merge(_ trees: [(label: String, root: Value)]) throws(CheckpointError) -> Value {
    if trees.count == 1, let only = trees.first { return only.root }
    var joined = Dict()
    var owners: [Key: String] = [:]
    var clashes: [String] = []
    for (label, root) in trees {
      guard case .dict(let dict) = root else {
        throw CheckpointError(.usage, "the tree is a \(root.typeName); only dictionaries can be joined", file: label)
      }
      if case .plain = joined.kind { joined.kind = dict.kind }
      for entry in dict.entries {
        if let owner = owners[entry.key] {
          clashes.append("'\(entry.key.text)' (in \(owner) and \(label))")
        } else {
          owners[entry.key] = label
          joined.entries.append(entry)
        }
      }
      for field in dict.attributes { try merge(field, into: &joined, label) }
    }
    guard clashes.isEmpty else {
      let shown = clashes.prefix(5).joined(separator: ", ")
      let rest = clashes.count > 5 ? " and \(clashes.count - 5) more" : ""
      throw CheckpointError(
        .usage, "the inputs have keys in common: \(shown)\(rest)",
        advice: "Convert each by itself first, with --key or --exclude, to what shall come from it.")
    }
    return .dict(joined)
  }

  /// Modules that both know keep the first's versions; any other attribute that both have must be the same.
  private static func merge(_ field: Record.Field, into joined: inout Dict, _ label: String) throws(CheckpointError) {
    guard let index = joined.attributes.firstIndex(where: { $0.name.hasSameBytes(as: field.name) }) else {
      return joined.attributes.append(field)
    }
    let before = joined.attributes[index].value
    guard case .dict(var known) = before, case .dict(let new) = field.value else {
      guard try Diff(before, field.value).isEqual else {
        throw CheckpointError(.usage, "the inputs have different attributes '\(field.name)'", file: label)
      }
      return
    }
    let keys = Set(known.entries.map(\.key))
    known.entries += new.entries.filter { !keys.contains($0.key) }
    joined.attributes[index].value = .dict(known)
  }
}
