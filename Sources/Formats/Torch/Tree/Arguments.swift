import Checkpoint

/// A call's arguments: nodes, read by position.
struct Arguments {
  let nodes: ArraySlice<Int32>

  var count: Int { nodes.count }

  subscript(index: Int) -> Int32 { nodes[nodes.startIndex + index] }
}

extension TorchTree {
  /// - Throws: `damaged` for something that is no tuple, or one that is too short.
  func arguments(_ node: Int32, atLeast least: Int = 0, of what: String) throws(CheckpointError) -> Arguments {
    guard case .tuple(let run) = pickle.nodes[Int(node)] else {
      throw CheckpointError(.damaged, "\(what): a tuple is due")
    }
    guard run.count >= least else {
      throw CheckpointError(.damaged, "\(what): \(run.count) values where \(least) are due")
    }
    return Arguments(nodes: pickle.pool[run.range])
  }

  func int(_ node: Int32, _ what: String) throws(CheckpointError) -> Int {
    guard case .int(let value) = pickle.nodes[Int(node)] else {
      throw CheckpointError(.damaged, "\(what) is no integer, or one beyond 64 bits")
    }
    return Int(value)
  }

  func bool(_ node: Int32, _ what: String) throws(CheckpointError) -> Bool {
    switch pickle.nodes[Int(node)] {
    case .bool(let value): return value
    case .int(let value) where value == 0 || value == 1: return value == 1
    default: throw CheckpointError(.damaged, "\(what) is neither true nor false")
    }
  }

  /// A short word: a storage's key, the name of a device, of a layout, of an encoding.
  func string(_ node: Int32, _ what: String) throws(CheckpointError) -> String {
    let text: String? =
      switch pickle.nodes[Int(node)] {
      case .string(let span) where span.count <= Self.wordLimit,
        .byteString(let span) where span.count <= Self.wordLimit:
        String(validating: bytes[span.range], as: UTF8.self)
      case .stringOwned(let index) where pickle.owned[Int(index)].count <= Self.wordLimit,
        .byteStringOwned(let index) where pickle.owned[Int(index)].count <= Self.wordLimit:
        String(validating: pickle.owned[Int(index)], as: UTF8.self)
      default: nil
      }
    guard let text else { throw CheckpointError(.damaged, "\(what) is no proper string") }
    return text
  }

  private static var wordLimit: Int { 255 }

  /// Sizes or strides: a tuple of integers, or `torch.Size`.
  mutating func ints(_ node: Int32, _ what: String) throws(CheckpointError) -> [Int] {
    let items: ArraySlice<Int32>
    switch pickle.nodes[Int(node)] {
    case .tuple(let run): items = pickle.pool[run.range]
    case .list(let index): items = pickle.containers[Int(index)][...]
    case .object(let index):
      let object = pickle.objects[Int(index)]
      guard case .global(let global) = pickle.nodes[Int(object.callable)], case .size = known[Int(global)],
        let inner = try arguments(object.arguments, of: what).nodes.first
      else { fallthrough }
      guard case .tuple(let run) = pickle.nodes[Int(inner)] else { fallthrough }
      items = pickle.pool[run.range]
    default: throw CheckpointError(.damaged, "\(what) is no tuple of integers")
    }
    guard items.count <= 1024 else { throw CheckpointError(.damaged, "\(what) has \(items.count) numbers") }
    // Each number counts as a value: sizes may be used over and over too.
    try spend(bytes: items.count * 64)
    var result: [Int] = []
    result.reserveCapacity(items.count)
    for item in items { result.append(try int(item, what)) }
    return result
  }

  /// The name of a class that is named as an argument.
  mutating func className(_ node: Int32) throws(CheckpointError) -> String {
    guard case .global(let index) = pickle.nodes[Int(node)] else {
      throw CheckpointError(.damaged, "a class is due, and something else is there")
    }
    return try modernName(Int(index))
  }

  func known(_ node: Int32) -> KnownGlobal {
    guard case .global(let index) = pickle.nodes[Int(node)] else { return .unknown }
    return known[Int(index)]
  }

  func isNone(_ node: Int32) -> Bool {
    if case .none = pickle.nodes[Int(node)] { return true }
    return false
  }
}
