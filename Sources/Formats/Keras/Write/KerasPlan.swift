import Checkpoint

/// What a `.weights.h5` is to hold of a tree: groups and datasets as they will be.
struct KerasPlan {
  private(set) var root: Dict
  private(set) var warnings: [String] = []
  /// For trees that are none of Keras: what puts them together again.
  private(set) var flat: FlatCheckpoint?

  /// - Parameters:
  ///   - layout: `keras` makes Keras' layers of a state dict.
  ///   - weightsAlone: leave out what puts other trees together again.
  init(_ tree: Value, layout: Format.KernelLayout?, weightsAlone: Bool) throws(CheckpointError) {
    var tree = tree
    if layout == .keras, !tree.isOfKeras {
      let (converted, told) = try TorchToKeras.convert(tree)
      (tree, warnings) = (.dict(converted), told)
    }
    if case .dict(let dict) = tree, KerasTree.isOne(dict) {
      root = KerasTree.inModelsOrder(KerasGroups.lowered(dict))
      let lost = root.attributes.map(\.name).filter { $0 != Keras.marker }
      if !lost.isEmpty {
        warnings.append("left out, for .weights.h5 holds variables alone: \(listed(lost.map { "'\($0)'" }))")
      }
      root.attributes = []
      return
    }
    let flat = try FlatCheckpoint(tree, keepsTies: true, carry: Self.carried)
    root = KerasNesting(flat.items.map { ($0.name, $0.tensor) }).root
    warnings.append(
      "the tree is none of Keras: other programs find its tensors by name, but no model of Keras loads them; "
        + "--layout keras makes Keras' layers of a state dict")
    if !flat.carried.isEmpty {
      warnings.append("stored as bytes, as NumPy has no such types: \(listed(flat.carried))")
    }
    if weightsAlone {
      if !flat.isPlain { warnings.append("left out, as only the model was asked for: all that is no tensor") }
    } else {
      self.flat = flat
    }
  }

  /// HDF5 has a type for each, or opaque bytes with the type's name, as Keras does it; the packed types lie there as
  /// bytes.
  static func carried(_ tensor: Tensor) throws(CheckpointError) -> Tensor? {
    if KerasStorage(tensor.dtype) == nil {
      return try Tensor(dtype: .uint8, shape: [tensor.byteCount], source: tensor.source)
    }
    guard tensor.shape.count > 32 else { return nil }
    return try Tensor(dtype: tensor.dtype, shape: [tensor.count], source: tensor.source)
  }
}

extension Value {
  fileprivate var isOfKeras: Bool { if case .dict(let dict) = self { KerasTree.isOne(dict) } else { false } }
}

/// Trees as Keras 3 has them.
enum KerasTree {
  /// Whether all tensors are variables of Keras 3: `…/vars/0`.
  static func isOne(_ dict: Dict) -> Bool {
    var count = 0
    return holds(dict, name: "", depth: 0, &count) && count > 0
  }

  private static func holds(_ dict: Dict, name: String, depth: Int, _ count: inout Int) -> Bool {
    guard depth < Keras.maximumDepth else { return false }
    for entry in dict.entries {
      guard case .string(let key) = entry.key, isLinkName(key) else { return false }
      switch entry.value {
      case .dict(let below):
        guard holds(below, name: key, depth: depth + 1, &count) else { return false }
      case .tensor(let tensor):
        guard name == Keras.variables, KerasStorage(tensor.dtype) != nil, tensor.shape.count <= 32 else {
          return false
        }
        count += 1
      default: return false
      }
    }
    return true
  }

  /// The tree with the layers in the order in which the optimizer has their variables: readers tell by where they are
  /// in the file which of the optimizer's variables are whose.
  static func inModelsOrder(_ dict: Dict) -> Dict {
    guard let optimizer = dict["optimizer"].flatMap({ KerasOptimizer($0) }) else { return dict }
    var ranks: [Key: Int] = [:]
    for slot in optimizer.slots where ranks[.string(slot.parameter)] == nil {
      ranks[.string(slot.parameter)] = ranks.count
    }
    return sorted(dict, "", ranks).dict
  }

  private static func sorted(_ dict: Dict, _ path: String, _ ranks: [Key: Int]) -> (dict: Dict, first: Int) {
    var entries: [(entry: Dict.Entry, rank: Int)] = []
    for entry in dict.entries {
      let place = path.isEmpty ? entry.key.text : "\(path).\(entry.key.text)"
      if case .dict(let below) = entry.value {
        let (inner, rank) = sorted(below, place, ranks)
        entries.append((Dict.Entry(entry.key, .dict(inner)), rank))
      } else {
        entries.append((entry, ranks[.string(place)] ?? .max))
      }
    }
    let first = entries.map(\.rank).min() ?? .max
    var result = dict
    result.entries = entries.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }
      .map(\.element.entry)
    return (result, first)
  }

  /// Whether a name can be that of a link.
  static func isLinkName(_ name: some StringProtocol) -> Bool {
    !name.isEmpty && name != "." && name.utf8.count < 1024 && !name.utf8.contains(0x2F) && !name.utf8.contains(0)
  }
}

/// Flat names as groups in each other: `fc.weight` is the dataset `weight` in the group `fc`.
struct KerasNesting {
  private(set) var root = Dict()
  /// Where names lie that cannot be nested: they hold a slash, or one of them is the group of another.
  static let others = "ckpt.tensors"

  init(_ items: [(name: String, tensor: Tensor)]) {
    let names = Set(items.map { Key.string($0.name) })
    let tree = Node()
    var others: [Dict.Entry] = []
    for item in items {
      let parts = item.name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      if Self.nests(parts, names) {
        tree.add(parts[...], item.tensor)
      } else {
        let name = Record.Field("name", .string(item.name))
        let entries = [Dict.Entry(.string("0"), .tensor(item.tensor))]
        others.append(Dict.Entry(.string(String(others.count)), .dict(Dict(entries, attributes: [name]))))
      }
    }
    root = tree.dict
    if !others.isEmpty { root.entries.append(Dict.Entry(.string(Self.others), .dict(Dict(others)))) }
  }

  private static func nests(_ parts: [String], _ names: Set<Key>) -> Bool {
    guard parts.count < Keras.maximumDepth - 2, parts.allSatisfy({ KerasTree.isLinkName($0) }) else { return false }
    return !(1..<parts.count).contains { names.contains(.string(parts[..<$0].joined(separator: "."))) }
  }

  private final class Node {
    private var order: [String] = []
    private var groups: [Key: Node] = [:]
    private var tensors: [Key: Tensor] = [:]

    func add(_ parts: ArraySlice<String>, _ tensor: Tensor) {
      guard let first = parts.first else { return }
      let key = Key.string(first)
      if groups[key] == nil, tensors[key] == nil { order.append(first) }
      guard parts.count > 1 else { return tensors[key] = tensor }
      let node = groups[key] ?? Node()
      groups[key] = node
      node.add(parts.dropFirst(), tensor)
    }

    var dict: Dict {
      Dict(
        order.compactMap { name in
          let key = Key.string(name)
          if let tensor = tensors[key] { return Dict.Entry(key, .tensor(tensor)) }
          return groups[key].map { Dict.Entry(key, .dict($0.dict)) }
        })
    }
  }
}
