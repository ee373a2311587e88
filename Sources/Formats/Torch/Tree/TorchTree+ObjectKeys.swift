import Checkpoint

// Dicts by tensor, by enumeration, by path: Python hashes what no key of a tree can be.
extension TorchTree {
  /// A dict with such keys as what `dict([(key, value), …])` would make; nil for any other.
  mutating func objectKeyed(_ items: [Int32], _ name: String) throws(CheckpointError) -> Value? {
    guard try hasObjectKey(items) else { return nil }
    var pairs: [Value] = []
    for place in stride(from: 0, to: items.count - 1, by: 2) {
      pairs.append(.sequence(.tuple, [try value(items[place]), try value(items[place + 1])]))
    }
    warn("a dict whose keys are tensors or objects is kept as a list of pairs")
    let arguments = Value.sequence(.tuple, [.sequence(.list, pairs)])
    return .record(
      Record(TorchRecord.reduce, [Record.Field("class", .string(name)), Record.Field("args", arguments)]))
  }

  /// Likewise for an object that is a kind of dict, where it has items and nothing else.
  mutating func objectKeyed(_ object: PickleObject, _ name: String) throws(CheckpointError) -> Value? {
    guard object.states.isEmpty, object.items.isEmpty else { return nil }
    return try objectKeyed(object.pairs, name)
  }

  /// Lists, dicts and sets are no keys in Python either; a pickle that has them is damaged.
  private mutating func hasObjectKey(_ items: [Int32]) throws(CheckpointError) -> Bool {
    for place in stride(from: 0, to: items.count - 1, by: 2) {
      guard case .object = pickle.nodes[Int(items[place])] else { continue }
      switch try value(items[place]) {
      case .tensor, .record: return true
      default: continue
      }
    }
    return false
  }
}
