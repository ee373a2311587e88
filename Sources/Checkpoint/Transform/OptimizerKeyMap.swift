/// Gives the parameters of an optimizer other keys: in the groups' `params` and in `state` alike.
struct OptimizerKeyMap {
  private let wanted: Transform.OptimizerKeys?
  private let names: [Key: String]
  private let renamer: Renamer

  init(_ wanted: Transform.OptimizerKeys?, names: [Key: String], renamer: Renamer) {
    self.wanted = wanted
    self.names = names
    self.renamer = renamer
  }

  /// - Throws: `usage` when two parameters, or a parameter and another entry of `state`, would have one key.
  func apply(to dict: Dict, at place: String) throws(CheckpointError) -> Dict {
    guard let lens = OptimizerState(.dict(dict)) else { return dict }
    var map: [Key: Key] = [:]
    for (position, key) in lens.keys.enumerated() { map[key] = try newKey(key, position) }
    try checkUnique(map, lens, place)
    var result = dict
    for (index, entry) in dict.entries.enumerated() {
      switch (entry.key.text, entry.value) {
      case ("state", .dict(var state)):
        state.entries = state.entries.map { Dict.Entry(map[$0.key] ?? $0.key, $0.value) }
        result.entries[index].value = .dict(state)
      case ("param_groups", .sequence(let kind, let groups)):
        var changed: [Value] = []
        for group in groups { changed.append(try self.group(group, map)) }
        result.entries[index].value = .sequence(kind, changed)
      default: break
      }
    }
    return result
  }

  private func newKey(_ key: Key, _ position: Int) throws(CheckpointError) -> Key {
    switch (wanted, key) {
    case (.ids, .int): return key
    case (.ids, _): return .int(Int64(position))
    case (.names, .string(let name)), (.flat, .string(let name)), (nil, .string(let name)):
      return .string(try renamer.rename(name))
    case (.names, _), (.flat, _): return .string(try renamer.rename(names[key] ?? "param.\(key.text)"))
    case (nil, _): return key
    }
  }

  private func checkUnique(_ map: [Key: Key], _ lens: OptimizerState, _ place: String) throws(CheckpointError) {
    var origins: [Key: Key] = [:]
    for key in lens.keys + lens.orphans {
      let new = map[key] ?? key
      if let other = origins.updateValue(key, forKey: new), other != key {
        throw CheckpointError(
          .usage, "the parameters \(other.literal) and \(key.literal) would both have the key \(new.literal)",
          place: place.isEmpty ? nil : place)
      }
    }
  }

  private func group(_ value: Value, _ map: [Key: Key]) throws(CheckpointError) -> Value {
    guard let group = OptimizerState.Group(value) else { return value }
    var dict = group.dict
    for (index, entry) in dict.entries.enumerated() {
      guard case .sequence(let kind, let items) = entry.value else { continue }
      if entry.key == .string("params") {
        dict.entries[index].value = .sequence(kind, group.params.map { (map[$0] ?? $0).value })
      } else if entry.key == .string("param_names"), let names = group.paramNames, !items.isEmpty {
        var renamed: [Value] = []
        for name in names { renamed.append(.string(try renamer.rename(name))) }
        dict.entries[index].value = .sequence(kind, renamed)
      }
    }
    if wanted == .ids { try keepNames(of: group, in: &dict) }
    return .dict(dict)
  }

  /// Numbers in place of names would lose the names: they go where PyTorch keeps them.
  private func keepNames(of group: OptimizerState.Group, in dict: inout Dict) throws(CheckpointError) {
    guard dict["param_names"] == nil, !group.params.isEmpty else { return }
    var names: [Value] = []
    for key in group.params {
      guard case .string(let name) = key else { return }
      names.append(.string(try renamer.rename(name)))
    }
    let entry = Dict.Entry(.string("param_names"), .sequence(.list, names))
    dict.entries.insert(entry, at: dict.entries.firstIndex { $0.key == .string("params") } ?? dict.count)
  }
}
