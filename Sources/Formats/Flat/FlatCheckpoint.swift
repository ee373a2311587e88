import Checkpoint

/// A whole checkpoint as formats of names and tensors hold it: every tensor under a name, and all the rest as JSON.
///
/// A model's tensors have the names that the model gives them, an optimizer's slots are `optimizer.<slot>.<param>`, any
/// other tensor has its path for a name. The rest is the tree itself in packed JSON, with names where the tensors are;
/// `FlatTree` puts both together again.
struct FlatCheckpoint {
  /// A tensor as the file is to have it.
  struct Item {
    let name: String
    let tensor: Tensor
  }

  /// Where formats that have a place for text keep the rest.
  static let key = "ckpt.training"

  /// Each name once, in the tree's order. Tensors that share their storage are there once, or all of them.
  let items: [Item]
  /// Names that share the storage of an item: that of the group whose name comes first in the order of bytes, as
  /// safetensors' `save_model` has it.
  let ties: [(name: String, kept: String)]
  /// Whether names, tensors and ties say everything: a plain dict of plain tensors under string keys, its attributes
  /// and its order aside.
  let isPlain: Bool
  /// Names of tensors that are stored as another type, for want of their own.
  let carried: [String]
  private let skeleton: Value

  /// - Parameters:
  ///   - keepsTies: whether a tensor that shares another's storage gets an item of its own, as where a format cannot
  ///     say so.
  ///   - carry: the tensor to store in place of one that the format has no type for: the same bytes as another type
  ///     and shape. Nil for all others.
  ///   - named: the name that a tensor is to have where the format cannot have its own.
  init(
    _ root: Value, keepsTies: Bool, carry: (Tensor) throws(CheckpointError) -> Tensor?,
    named: @escaping @Sendable (String) -> String = { $0 }
  ) throws(CheckpointError) {
    guard !root.holdsOversizedInteger else {
      throw CheckpointError(.unsupported, "an integer of more than \(BigInt.maximumDigits) digits")
    }
    var collector = FlatCollector(FlatNames(root, adapted: named))
    try root.forEachTensor(attributes: true) { (path, _, tensor) throws(CheckpointError) in
      try collector.add(tensor, path, carry)
    }
    items = collector.items(keepsTies: keepsTies)
    ties = collector.ties
    carried = collector.carried
    skeleton = try collector.skeleton(root, keepsTies: keepsTies)
    isPlain = carried.isEmpty && Self.isPlain(root, collector.names)
  }

  /// Everything but the tensors' bytes: `{"version":1,"content_digest":…,"tree":…}`.
  ///
  /// - Parameter digest: of the tree, known when its bytes have passed. Nil keeps a place of the same length for it.
  func rest(digest: Digest? = nil) throws(CheckpointError) -> [UInt8] {
    let json = PackedJSON.bytes(skeleton)
    guard PackedJSON.nesting(of: json) <= FlatTree.maximumNesting else {
      throw CheckpointError(.unsupported, "values lie more than \(FlatTree.maximumNesting) levels deep")
    }
    let digest = digest ?? Digest(.xxh3, bytes: repeatElement(0, count: Digest.Algorithm.xxh3.byteCount))
    return Array("{\"version\":1,\"content_digest\":\"\(digest)\",\"tree\":".utf8) + json + Array("}".utf8)
  }

  private static func isPlain(_ root: Value, _ names: [String]) -> Bool {
    guard case .dict(let dict) = root, dict.kind == .plain, dict.count == names.count else { return false }
    return zip(dict.entries, names).allSatisfy { entry, name in
      guard case .tensor(let tensor) = entry.value else { return false }
      return entry.key == .string(name) && tensor.kind == .tensor && !tensor.requiresGrad
    }
  }
}

/// The tensors of a tree in its order, and the tree with names in their places.
private struct FlatCollector {
  private struct Group {
    let stored: Tensor
    var kept: String
  }

  /// A name for every tensor of the tree, in its order.
  private(set) var names: [String] = []
  private(set) var carried: [String] = []
  /// For every tensor, the storage that it has, alone or with others.
  private var owners: [Int] = []
  private var groups: [Group] = []
  private var shared: [Int: Int] = [:]
  private var table = TensorTable()
  private var naming: FlatNames
  /// How many of the tensors the skeleton has.
  private var next = 0

  init(_ naming: FlatNames) { self.naming = naming }

  mutating func add(
    _ tensor: Tensor, _ path: TreePath, _ carry: (Tensor) throws(CheckpointError) -> Tensor?
  ) throws(CheckpointError) {
    let name = naming.name(at: path)
    names.append(name)
    let (index, isNew) = tensor.byteCount > 0 ? table.insert(tensor) : (-1, true)
    if !isNew, let group = shared[index] {
      owners.append(group)
      if name.utf8.lexicographicallyPrecedes(groups[group].kept.utf8) { groups[group].kept = name }
      return
    }
    var stored = tensor
    if let other = try carry(tensor) {
      stored = other
      carried.append(name)
    }
    if index >= 0 { shared[index] = groups.count }
    owners.append(groups.count)
    groups.append(Group(stored: stored, kept: name))
  }

  func items(keepsTies: Bool) -> [FlatCheckpoint.Item] {
    zip(names, owners).compactMap { name, owner in
      guard keepsTies || name.hasSameBytes(as: groups[owner].kept) else { return nil }
      return FlatCheckpoint.Item(name: name, tensor: groups[owner].stored)
    }
  }

  var ties: [(name: String, kept: String)] {
    zip(names, owners).compactMap { name, owner in
      name.hasSameBytes(as: groups[owner].kept) ? nil : (name, groups[owner].kept)
    }
  }

  /// The tree with references where the tensors are. As deep as the tree, which readers bound.
  mutating func skeleton(_ value: Value, keepsTies: Bool) throws(CheckpointError) -> Value {
    switch value {
    case .tensor(let tensor):
      let (name, group) = (names[next], groups[owners[next]])
      next += 1
      let also = keepsTies && !name.hasSameBytes(as: group.kept) ? name : nil
      return FlatReference(group.kept, of: tensor, storedAs: group.stored, also: also).value
    case .sequence(let kind, var items):
      for index in items.indices { items[index] = try skeleton(items[index], keepsTies: keepsTies) }
      return .sequence(kind, items)
    case .dict(var dict):
      for index in dict.entries.indices {
        dict.entries[index].value = try skeleton(dict.entries[index].value, keepsTies: keepsTies)
      }
      for index in dict.attributes.indices {
        dict.attributes[index].value = try skeleton(dict.attributes[index].value, keepsTies: keepsTies)
      }
      return .dict(dict)
    case .record(var record):
      guard !FlatReference.isOne(record) else {
        throw CheckpointError(.unsupported, "a record of the type '\(record.type)', which is kept for tensors")
      }
      for index in record.fields.indices {
        record.fields[index].value = try skeleton(record.fields[index].value, keepsTies: keepsTies)
      }
      return .record(record)
    default: return value
    }
  }
}
