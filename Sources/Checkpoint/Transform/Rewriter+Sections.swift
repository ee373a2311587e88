extension Rewriter {
  /// Notes which model tensors go, before any optimizer is looked at.
  mutating func findRemoved(_ models: [Section]) {
    guard !options.exclude.isEmpty else { return }
    for section in models {
      guard case .dict(let dict)? = root[section.path] else { continue }
      let text = section.text
      var gone: Set<Key> = []
      for entry in dict.entries where filter.excludes(joined(text, .key(entry.key)), entry.key.text) {
        gone.insert(entry.key)
      }
      removed[section.path] = gone
    }
  }

  mutating func stateDict(_ value: Value, _ path: TreePath) throws(CheckpointError) -> Value? {
    guard case .dict(var dict) = value else { return value }
    let text = path.text
    var kept: [Dict.Entry] = []
    kept.reserveCapacity(dict.count)
    for entry in dict.entries {
      if removed[path]?.contains(entry.key) == true { continue }
      if StateDict.isTensor(entry.value), !filter.includes(joined(text, .key(entry.key)), entry.key.text) { continue }
      kept.append(Dict.Entry(entry.key, try plan.cast(entry.value)))
    }
    // Extra state alone is no model.
    guard kept.contains(where: { StateDict.isTensor($0.value) }) else { return nil }
    dict.entries = try renamer.rename(kept, in: text)
    dict.attributes = dict.attributes.map { renamer.rename(metadata: $0) }
    return .dict(dict)
  }

  /// Thins out an optimizer, then names its parameters as asked.
  mutating func optimizer(_ value: Value, _ path: TreePath, _ text: String) throws(CheckpointError) -> Value? {
    guard let lens = OptimizerState(value) else { return try kerasOptimizer(value, text) }
    var dict = lens.dict
    if !filter.isEmpty {
      guard let kept = thinned(lens, path, text) else { return nil }
      dict = kept
    }
    if !plan.isEmpty { dict = try castState(dict) }
    guard options.optimizerKeys != nil || !renamer.isEmpty else { return .dict(dict) }
    let known = names[path].map { Dictionary(zip(lens.keys, $0.names), uniquingKeysWith: { first, _ in first }) } ?? [:]
    return .dict(try OptimizerKeyMap(options.optimizerKeys, names: known, renamer: renamer).apply(to: dict, at: text))
  }

  private func castState(_ dict: Dict) throws(CheckpointError) -> Dict {
    var result = dict
    for (index, entry) in dict.entries.enumerated() { result.entries[index].value = try plan.cast(entry.value) }
    return result
  }
}

// MARK: - Thinning out an optimizer

extension Rewriter {
  private mutating func thinned(_ lens: OptimizerState, _ path: TreePath, _ text: String) -> Dict? {
    let keep = keptParameters(lens, path, text)
    if filter.hasIncludes || !lens.keys.isEmpty, keep.isEmpty { return nil }
    var result = lens.dict
    result.entries = []
    for entry in lens.dict.entries {
      let below = joined(text, .key(entry.key))
      switch (entry.key.text, entry.value) {
      case ("state", .dict(let state)):
        result.entries.append(Dict.Entry(entry.key, .dict(thinned(state, keep, known(lens), below))))
      case ("param_groups", .sequence(let kind, let groups)):
        result.entries.append(Dict.Entry(entry.key, .sequence(kind, groups.compactMap { thinned($0, keep) })))
      default:
        if !filter.excludes(below) { result.entries.append(entry) }
      }
    }
    return result
  }

  private func known(_ lens: OptimizerState) -> Set<Key> { Set(lens.keys) }

  /// The parameters that stay, with whether each is wanted by its name (then with all its slots).
  private mutating func keptParameters(_ lens: OptimizerState, _ path: TreePath, _ text: String) -> [Key: Bool] {
    let names = self.names[path]
    // The section whose tensors the names are of, though they may be of a part of it only.
    let model = names?.model.flatMap { model in
      sections.keys.first { !$0.steps.isEmpty && model.isInside($0) } ?? TreePath()
    }
    let gone = model.flatMap { removed[$0] } ?? []
    var keep: [Key: Bool] = [:]
    for (position, key) in lens.keys.enumerated() {
      let name = names?.names[position] ?? key.text
      let place = "\(joined(text, .key(.string("state")))).\(key.text)"
      if filter.excludes(place, name) || (names?.known[position] == true && gone.contains(.string(name))) { continue }
      if filter.includes(place, name) {
        keep[key] = true
      } else if let slots = lens.slots(of: key) {
        // Not short-circuited: every pattern that fits counts as used.
        let fitting = slots.entries.filter { filter.includes("\(place).\($0.key.text)") }
        if !fitting.isEmpty { keep[key] = false }
      }
    }
    return keep
  }

  private mutating func thinned(_ state: Dict, _ keep: [Key: Bool], _ known: Set<Key>, _ text: String) -> Dict {
    var result = state
    result.entries = []
    if filter.excludes(text) { return result }
    for entry in state.entries {
      let place = joined(text, .key(entry.key))
      guard known.contains(entry.key) else {
        if !filter.excludes(place), filter.includes(place) { result.entries.append(entry) }
        continue
      }
      guard let byName = keep[entry.key] else { continue }
      guard case .dict(var slots) = entry.value else {
        result.entries.append(entry)
        continue
      }
      slots.entries = slots.entries.filter { slot in
        let below = joined(place, .key(slot.key))
        if filter.excludes(below) { return false }
        if byName { return true }
        if case .tensor = slot.value { return filter.includes(below) }
        return true
      }
      result.entries.append(Dict.Entry(entry.key, .dict(slots)))
    }
    return result
  }

  /// A group without those of its parameters that go; nil when none stays.
  private func thinned(_ value: Value, _ keep: [Key: Bool]) -> Value? {
    guard let group = OptimizerState.Group(value) else { return value }
    let stays = group.params.map { keep[$0] != nil }
    if !group.params.isEmpty, !stays.contains(true) { return nil }
    var dict = group.dict
    for (index, entry) in dict.entries.enumerated() {
      guard entry.key == .string("params") || (entry.key == .string("param_names") && group.paramNames != nil),
        case .sequence(let kind, let items) = entry.value
      else { continue }
      dict.entries[index].value = .sequence(kind, zip(items, stays).filter(\.1).map(\.0))
    }
    return .dict(dict)
  }
}
