import Checkpoint

/// Builds dicts and lists from paths, as PyTorch's `set_element` does: a text is a dict's key, a number a list's index.
struct NestedTree {
  private struct Node {
    var value: Value?
    /// Nil where it is a leaf.
    var isList: Bool?
    var children: [(key: Key, node: Int)] = []
    var index: [Key: Int] = [:]
  }

  private var nodes = [Node(isList: false)]
  /// No list can have more items than there are entries, but for the holes that None left.
  private let longest: Int

  init(entries: Int) { longest = entries }

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
      if case .int(let place) = key, place < 0 || place >= longest {
        throw CheckpointError(.damaged, "the path \(Self.text(path)) has the index \(place) in a list of fewer entries")
      }
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

  func root() -> Value { value(0) }

  /// As deep as the paths are long, which their reader bounds.
  private func value(_ index: Int) -> Value {
    let node = nodes[index]
    if let value = node.value { return value }
    guard node.isList == true else {
      return .dict(Dict(node.children.map { Dict.Entry($0.key, value($0.node)) }))
    }
    let places = node.children.map { if case .int(let place) = $0.key { Int(place) } else { 0 } }
    var items = Array(repeating: Value.none, count: (places.max() ?? -1) + 1)
    for (place, child) in zip(places, node.children) { items[place] = value(child.node) }
    return .sequence(.list, items)
  }

  private static func text(_ path: [Key]) -> String { path.map { TorchTree.text($0) }.joined(separator: ".") }
}
