import Checkpoint

// Whole optimizers (`torch.save(optimizer)`): their state is kept by parameter, and a tensor is no key of a tree. As in
// `Optimizer.state_dict()` the parameters become their numbers.
extension TorchTree {
  /// The state dict of an object that is an optimizer; nil for any other.
  ///
  /// An optimizer is known by what `Optimizer.__getstate__` gives: its class may be anyone's.
  mutating func optimizer(_ object: PickleObject) throws(CheckpointError) -> Value? {
    guard object.form == .instance || isReconstructed(object), object.states.count == 1, object.items.isEmpty,
      object.pairs.isEmpty, case .dict(let place) = pickle.nodes[Int(object.states[0])]
    else { return nil }
    let fields = pickle.containers[Int(place)]
    guard fields.count <= 64, let defaults = field("defaults", in: fields), isDict(defaults),
      let groupsNode = field("param_groups", in: fields), case .list(let index) = pickle.nodes[Int(groupsNode)],
      let state = field("state", in: fields).flatMap(dictItems)
    else { return nil }
    try spend(bytes: state.count * 8)
    let name = try moduleClass(object)
    var numbers: [Int32: Int64] = [:]
    var groups: [Value] = []
    for node in pickle.containers[Int(index)] {
      guard let group = try group(node, &numbers) else { return nil }
      groups.append(group)
    }
    warn("an optimizer of class \(name) was read as its state dict; its defaults were left out")
    return .dict(
      Dict([
        Dict.Entry(.string("state"), .dict(Dict(try slots(state, numbers)))),
        Dict.Entry(.string("param_groups"), .sequence(.list, groups)),
      ]))
  }

  /// A group with the numbers of its parameters, last as in a state dict.
  private mutating func group(_ node: Int32, _ numbers: inout [Int32: Int64]) throws(CheckpointError) -> Value? {
    guard let items = dictItems(node), let params = field("params", in: items),
      case .list(let index) = pickle.nodes[Int(params)]
    else { return nil }
    try spend(bytes: items.count * 8)
    try enter(node)
    defer { leave(node) }
    var entries: [Dict.Entry] = []
    for place in stride(from: 0, to: items.count - 1, by: 2) where items[place + 1] != params {
      guard let key = Key(try value(items[place])) else { return nil }
      entries.append(Dict.Entry(key, try value(items[place + 1])))
    }
    var members: [Value] = []
    for parameter in pickle.containers[Int(index)] {
      try spend(bytes: 0)
      let number = numbers[parameter] ?? Int64(numbers.count)
      numbers[parameter] = number
      members.append(.int(number))
    }
    entries.append(Dict.Entry(.string("params"), .sequence(.list, members)))
    return .dict(Dict(lastOfEach: entries))
  }

  private mutating func slots(
    _ state: [Int32], _ numbers: [Int32: Int64]
  ) throws(CheckpointError) -> [Dict.Entry] {
    var entries: [Dict.Entry] = []
    for place in stride(from: 0, to: state.count - 1, by: 2) {
      let key: Key
      if let number = numbers[state[place]] {
        key = .int(number)
      } else if let other = Key(try value(state[place])) {
        key = other
      } else {
        warn("an optimizer's state of a parameter that no group has was left out")
        continue
      }
      do throws(CheckpointError) {
        entries.append(Dict.Entry(key, try value(state[place + 1])))
      } catch {
        throw error.at(Self.text(key))
      }
    }
    return Dict(lastOfEach: entries).entries
  }

  private func isReconstructed(_ object: PickleObject) -> Bool {
    if case .reconstructor = known(object.callable) { true } else { false }
  }

  /// The node under a name, in keys and values that alternate.
  private func field(_ name: String, in fields: [Int32]) -> Int32? {
    let name = Array(name.utf8)
    let place = stride(from: 0, to: fields.count - 1, by: 2).first { isKey(fields[$0], name) }
    return place.map { fields[$0 + 1] }
  }
}
