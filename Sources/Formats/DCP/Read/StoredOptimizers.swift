import Checkpoint

/// Gives optimizers back what DCP takes from them: numbers as keys, an empty `state`, and their nesting.
enum StoredOptimizers {
  /// The tree with each optimizer in it as `OptimizerState` knows them. As deep as the tree, which its reader bounds.
  static func restored(_ value: Value) -> Value {
    switch value {
    case .sequence(let kind, let items): return .sequence(kind, items.map(restored))
    case .dict(var dict):
      if let flat = FlatOptimizer(dict) { return flat.value }
      for index in dict.entries.indices { dict.entries[index].value = restored(dict.entries[index].value) }
      return .dict(withNumbers(dict))
    default: return value
    }
  }

  /// DCP makes texts of all keys, and has no place for an empty dict.
  private static func withNumbers(_ dict: Dict) -> Dict {
    guard case .sequence(.list, let groups)? = dict["param_groups"] else { return dict }
    var hasNumbers = false
    for group in groups {
      guard case .dict(let group) = group, case .sequence(let kind, let params)? = group["params"],
        kind == .list || kind == .tuple
      else { return dict }
      hasNumbers = hasNumbers || params.contains { if case .int = $0 { true } else { false } }
    }
    var result = dict
    guard let place = dict.entries.firstIndex(where: { $0.key == .string("state") }) else {
      result.entries.insert(Dict.Entry(.string("state"), .dict(Dict())), at: 0)
      return result
    }
    guard hasNumbers, case .dict(var state) = dict.entries[place].value else { return dict }
    for index in state.entries.indices {
      if case .string(let text) = state.entries[index].key, let id = Int64(text), "\(id)".hasSameBytes(as: text) {
        state.entries[index].key = .int(id)
      }
    }
    result.entries[place].value = .dict(state)
    return result
  }
}

/// An optimizer's state as `flatten_optimizer_state_dict=True` makes it: keys `state.<parameter>.<slot>` and
/// `param_groups.<parameter>.<option>`, no containers.
struct FlatOptimizer {
  private var parameters: [String] = []
  private var known: Set<Key> = []
  private var options: [Key: [Dict.Entry]] = [:]
  private var states: [Key: NestedTree] = [:]
  private var stateOrder: [String] = []

  /// Nil where the dict is none.
  init?(_ dict: Dict) {
    var stateEntries: [(rest: Substring, value: Value)] = []
    for entry in dict.entries {
      guard case .string(let text) = entry.key else { return nil }
      if text.utf8.starts(with: "state.".utf8) {
        stateEntries.append((text.dropFirst(6), entry.value))
      } else if text.utf8.starts(with: "param_groups.".utf8) {
        guard let (name, option) = Self.split(text.dropFirst(13)) else { return nil }
        let key = Key.string(name)
        if known.insert(key).inserted { parameters.append(name) }
        options[key, default: []].append(Dict.Entry(.string(option), entry.value))
      } else {
        return nil
      }
    }
    guard !parameters.isEmpty else { return nil }
    for (rest, value) in stateEntries { guard add(rest, value) else { return nil } }
  }

  /// What stands before and after the last dot.
  private static func split(_ text: Substring) -> (String, String)? {
    guard let dot = text.utf8.lastIndex(of: 0x2E) else { return nil }
    return (String(text[..<dot]), String(text[text.index(after: dot)...]))
  }

  /// The longest beginning that is a parameter is its name; what follows are the slot and what is nested in it.
  private mutating func add(_ text: Substring, _ value: Value) -> Bool {
    var end = text.endIndex
    while let dot = text[..<end].utf8.lastIndex(of: 0x2E) {
      if known.contains(.string(String(text[..<dot]))) { break }
      end = dot
    }
    let dot = text[..<end].utf8.lastIndex(of: 0x2E) ?? text.utf8.lastIndex(of: 0x2E)
    guard let dot else { return false }
    let name = String(text[..<dot])
    if states[.string(name)] == nil { stateOrder.append(name) }
    let steps = text[text.index(after: dot)...].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard steps.count <= TorchTree.depthLimit else { return false }
    let path = steps.map(Key.string)
    do throws(CheckpointError) { try states[.string(name), default: NestedTree(entries: 0)].set(path, value) } catch {
      return false
    }
    return true
  }

  /// The nested form. Parameters whose options are all equal make a group; the flat form does not keep the groups.
  var value: Value {
    var groups: [(options: [Dict.Entry], params: [Value])] = []
    for name in parameters {
      let mine = options[.string(name)] ?? []
      if let place = groups.firstIndex(where: { Self.areEqual($0.options, mine) }) {
        groups[place].params.append(.string(name))
      } else {
        groups.append((mine, [.string(name)]))
      }
    }
    let state = Dict(stateOrder.map { Dict.Entry(.string($0), states[.string($0)]?.root() ?? .dict(Dict())) })
    let list = groups.map {
      Value.dict(Dict($0.options + [Dict.Entry(.string("params"), .sequence(.list, $0.params))]))
    }
    return .dict(
      Dict([Dict.Entry(.string("state"), .dict(state)), Dict.Entry(.string("param_groups"), .sequence(.list, list))]))
  }

  private static func areEqual(_ a: [Dict.Entry], _ b: [Dict.Entry]) -> Bool {
    guard a.count == b.count else { return false }
    return zip(a, b).allSatisfy { x, y in
      // A learning rate may be a tensor; other options are small.
      x.key == y.key && ((try? Diff(x.value, y.value).isEqual) ?? false)
    }
  }
}
