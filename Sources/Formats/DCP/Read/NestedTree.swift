import Checkpoint

/// Builds dicts and lists from paths, as PyTorch's `set_element` does: a text is a dict's key, a number a list's index.
struct NestedTree {
  private struct Node {
    var value: Value?
    /// Nil where it is a leaf.
    var isList: Bool?
    /// Of a list.
    var length = 0
    var children: [(key: Key, node: Int)] = []
    var index: [Key: Int] = [:]
  }

  private var nodes = [Node(isList: false)]
  /// How many items all lists may have. What an empty dict or list in a list left is a hole, so that a list may have
  /// more items than there are entries.
  private var itemsLeft: Int

  init(entries: Int) { itemsLeft = entries + 1_000_000 }

  /// - Throws: `damaged` for a place that is taken, or that lies in something else.
  mutating func set(_ path: [Key], _ value: Value) throws(CheckpointError) {
    var node = 0
    for (depth, key) in path.enumerated() {
      let isList = if case .int = key { true } else { false }
      if nodes[node].isList == nil, nodes[node].value == nil { nodes[node].isList = isList }
      guard nodes[node].isList == isList else {
        throw CheckpointError(
          .damaged, "the path \(Self.text(path)) leads through something that is no container for it")
      }
      if case .int(let place) = key { try extend(node, to: place, path) }
      let known = nodes[node].index[key]
      guard depth + 1 < path.count || known == nil else {
        throw CheckpointError(.damaged, "two entries have the path \(Self.text(path))")
      }
      if let known {
        node = known
      } else {
        nodes.append(Node())
        nodes[node].children.append((key, nodes.count - 1))
        nodes[node].index[key] = nodes.count - 1
        node = nodes.count - 1
      }
    }
    nodes[node].value = value
  }

  private mutating func extend(_ node: Int, to place: Int64, _ path: [Key]) throws(CheckpointError) {
    let more = place.subtractingReportingOverflow(Int64(nodes[node].length) - 1).partialValue
    guard place >= 0, more <= itemsLeft else {
      throw CheckpointError(
        .damaged, "the path \(Self.text(path)) has the index \(place), which is beyond any list here")
    }
    guard more > 0 else { return }
    itemsLeft -= Int(more)
    nodes[node].length += Int(more)
  }

  func root() -> Value { value(0) }

  /// As deep as the paths are long, which their reader bounds.
  private func value(_ index: Int) -> Value {
    let node = nodes[index]
    if let value = node.value { return value }
    guard node.isList == true else {
      return .dict(Dict(node.children.map { Dict.Entry($0.key, value($0.node)) }))
    }
    let places = node.children.map { if case .int(let place) = $0.key { Int(place) } else { 0 } }
    var items = Array(repeating: Value.none, count: node.length)
    for (place, child) in zip(places, node.children) { items[place] = value(child.node) }
    return .sequence(.list, items)
  }

  private static func text(_ path: [Key]) -> String { path.map { TorchTree.text($0) }.joined(separator: ".") }
}
