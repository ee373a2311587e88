import Checkpoint

/// A tree as DCP keeps it: leaves with their paths, as PyTorch's `flatten_state_dict` makes them. Dicts are always taken
/// apart, lists where they hold tensors or dicts; all else is a leaf.
struct DCPFlattening {
  struct Leaf {
    /// The path's steps, joined with dots.
    var name: String
    var path: [Key]
    var value: Value
  }

  private(set) var leaves: [Leaf] = []
  private var names: Set<Key> = []
  private var sources: Set<ObjectIdentifier> = []
  private var numbers = 0
  private var ties = 0
  private var dicts = 0
  private var isWrapped = false

  private let flattensOptimizers: Bool

  /// - Parameter flattensOptimizers: whether optimizers are written in their flat form, see `FlatOptimizer`.
  /// - Throws: `unsupported` for a tree that is no dict, and where two leaves would have one name.
  init(_ root: Value, flattensOptimizers: Bool = false) throws(CheckpointError) {
    self.flattensOptimizers = flattensOptimizers
    if case .tensor = root {
      isWrapped = true
      try add(Dict([Dict.Entry(.string("tensor"), root)]), at: [], isState: false)
      return
    }
    guard case .dict(let dict) = root else {
      throw CheckpointError(
        .unsupported, "the tree is a \(root.typeName); a distributed checkpoint is a dict",
        advice: "Take a part of it with --key, or write another format.")
    }
    try add(dict, at: [], isState: false)
  }

  private mutating func add(_ dict: Dict, at path: [Key], isState: Bool) throws(CheckpointError) {
    if flattensOptimizers, let optimizer = OptimizerState(.dict(dict)), let flat = FlatOptimizer.entries(of: optimizer)
    {
      for entry in flat { try add(entry.value, at: path + [entry.key]) }
      return
    }
    if dict.kind != .plain || !dict.attributes.isEmpty { dicts += 1 }
    // An optimizer's numbers come back as numbers.
    let isOptimizer = dict["param_groups"] != nil
    for entry in dict.entries {
      var step = entry.key
      if case .string = step {
      } else {
        if !isState { numbers += 1 }
        step = .string(Self.pythonText(entry.key))
      }
      try add(entry.value, at: path + [step], isState: isOptimizer && entry.key == .string("state"))
    }
  }

  private mutating func add(_ value: Value, at path: [Key], isState: Bool = false) throws(CheckpointError) {
    guard path.count <= TorchTree.depthLimit else {
      throw CheckpointError(.unsupported, "containers nested more than \(TorchTree.depthLimit) deep")
    }
    switch value {
    case .dict(let dict) where dict.count > 0: try add(dict, at: path, isState: isState)
    case .sequence(.list, let items) where !Self.isLeaf(items):
      for (index, item) in items.enumerated() { try add(item, at: path + [.int(Int64(index))]) }
    default: try addLeaf(value, at: path)
    }
  }

  private mutating func addLeaf(_ value: Value, at path: [Key]) throws(CheckpointError) {
    let name = path.map { if case .string(let text) = $0 { text } else { Self.pythonText($0) } }.joined(separator: ".")
    guard names.insert(.string(name)).inserted else {
      throw CheckpointError(
        .unsupported, "two entries would both be called '\(name)' in a distributed checkpoint",
        advice: "Leave one of them out with --exclude, or rename it.")
    }
    if case .tensor(let tensor) = value, tensor.byteCount > 0,
      !sources.insert(ObjectIdentifier(tensor.source)).inserted
    {
      ties += 1
    }
    leaves.append(Leaf(name: name, path: path, value: value))
  }

  /// A list is taken apart when a tensor or a dict is in it, or in a list in it.
  private static func isLeaf(_ items: [Value]) -> Bool {
    items.allSatisfy { item in
      switch item {
      case .tensor, .dict: false
      case .sequence(.list, let inner): isLeaf(inner)
      default: true
      }
    }
  }

  /// What Python's `str` makes of a key.
  private static func pythonText(_ key: Key) -> String {
    switch key {
    case .int(let value): "\(value)"
    case .bigInt(let value): value.description
    case .bool(let value): value ? "True" : "False"
    case .none: "None"
    default: key.text
    }
  }

  /// What the format cannot hold.
  var warnings: [String] {
    var lines: [String] = []
    if isWrapped { lines.append("a tensor alone is the entry 'tensor': a distributed checkpoint is a dict") }
    if numbers > 0 { lines.append("\(numbers) keys that are no texts became texts; DCP has no others") }
    if dicts > 0 { lines.append("dicts became plain ones: DCP keeps neither their kind nor attributes as _metadata") }
    if ties > 0 {
      lines.append("\(ties) tensors that share memory with others were written once more; DCP has no ties")
    }
    return lines
  }
}
