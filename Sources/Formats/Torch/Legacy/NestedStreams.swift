import Checkpoint

/// The streams that a plain pickle holds: `torch.storage._load_from_bytes(bytes)`, where the bytes are a whole legacy
/// stream with a storage in it.
struct NestedStreams {
  /// The storage of a call, by its node.
  var storages: [Int32: Int] = [:]
  /// What other calls gave.
  var values: [Int32: Value] = [:]
  /// How many streams this one lies in.
  var depth = 0
  /// Bytes of the pickle that are used in place. They cost nothing here, but may be used over and over.
  private var used = 0

  static let depthLimit = 4
  /// What a small file can grow to by that.
  static let useLimit = 4 << 30

  mutating func use(_ count: Int, of total: Int) throws(CheckpointError) {
    guard count <= total + Self.useLimit - used else {
      throw CheckpointError(.damaged, "parts of the pickle are used over and over (a memo bomb); refused")
    }
    used += count
  }
}

extension TorchTree {
  /// The bytes that a node stands for: a range of the file where they lie there as they are, else a copy.
  mutating func byteSource(of node: Int32) throws(CheckpointError) -> any ByteSource {
    if let origin {
      switch pickle.nodes[Int(node)] {
      case .bytes(let span), .byteArray(let span), .byteString(let span):
        try nested.use(span.count, of: origin.byteCount)
        return try part(of: origin, span.range)
      default: break
      }
    }
    return BufferSource(try bytes(of: node))
  }

  /// The storage that a call of `_load_from_bytes` gives; nil where the node is no such call, or gives something else.
  mutating func nestedStorage(_ node: Int32) throws(CheckpointError) -> Int? {
    if let known = nested.storages[node] { return known }
    guard case .object(let index) = pickle.nodes[Int(node)],
      case .loadFromBytes = known(pickle.objects[Int(index)].callable)
    else { return nil }
    _ = try loadedFromBytes(node, try arguments(pickle.objects[Int(index)].arguments, of: "_load_from_bytes"))
    return nested.storages[node]
  }

  mutating func loadedFromBytes(_ node: Int32, _ arguments: Arguments) throws(CheckpointError) -> Value {
    if let storage = nested.storages[node] { return try bareStorage(storage) }
    if let value = nested.values[node] { return value }
    guard arguments.count == 1 else { throw CheckpointError(.damaged, "_load_from_bytes without its bytes") }
    guard nested.depth < NestedStreams.depthLimit else {
      throw CheckpointError(.damaged, "streams in streams, more than \(NestedStreams.depthLimit) deep")
    }
    let source = try byteSource(of: arguments[0])
    var result = Value.none
    do throws(CheckpointError) {
      try LegacyStream.open(source) { (stream) throws(CheckpointError) in result = try load(&stream.tree, node) }
    } catch {
      throw error.at("_load_from_bytes")
    }
    return result
  }

  /// Takes over what a nested stream holds. It spends what is left to this tree, not a budget of its own.
  private mutating func load(_ other: inout TorchTree, _ node: Int32) throws(CheckpointError) -> Value {
    other.nested.depth = nested.depth + 1
    other.depth = depth
    other.budget = min(other.budget, budget)
    other.storages.expanded = storages.expanded
    let before = other.budget
    let value = try other.root()
    budget -= before - other.budget
    storages.expanded = other.storages.expanded
    for warning in other.warnings { warn(warning) }
    // A call that is no node of its own is made once.
    guard node >= 0 else { return value }
    if case .persistent = other.pickle.nodes[Int(other.pickle.root)] {
      let storage = try other.storage(other.pickle.root)
      nested.storages[node] = storages.add(other.storages.source(storage), other.storages.type(storage))
    } else {
      nested.values[node] = value
    }
    return value
  }
}
