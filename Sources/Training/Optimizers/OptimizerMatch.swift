internal import Checkpoint

/// Which parameter of a stored optimizer is which of the one here.
struct OptimizerMatch {
  /// For each parameter here, its position among the stored ones.
  var positions: [Int?]
  /// For each group here, the stored one whose hyper-parameters it takes.
  var groups: [Int?]
  var isByName: Bool

  /// Matches by name where every stored parameter has one and no two are the same; else by position, as PyTorch does.
  ///
  /// - Parameter keepsOptions: whether the groups need no match.
  init(
    _ state: OptimizerState, names: [String?], here: [[NamedParameter]], keepsOptions: Bool,
    problems: inout OptimizerProblems
  ) {
    let storedGroups = state.groups.enumerated().flatMap { number, group in group.params.map { _ in number } }
    if let index = Self.index(state, names) {
      isByName = true
      positions = here.flatMap { $0.map { index[.string($0.name)] } }
      groups = here.map { _ in nil }
      let matched = Set(positions.compactMap(\.self))
      for (name, position) in index.sorted(by: { $0.value < $1.value }) where !matched.contains(position) {
        problems.add(.unexpected, name.text)
      }
      if !keepsOptions { matchGroups(storedGroups, here, &problems) }
    } else {
      isByName = false
      groups = Array(here.indices)
      positions = Array(0..<here.reduce(0) { $0 + $1.count })
      let (stored, own) = (state.groups.map(\.params.count), here.map(\.count))
      // With hyper-parameters of its own, only the order of the parameters counts.
      if keepsOptions ? stored.reduce(0, +) != own.reduce(0, +) : stored != own {
        problems.add(.groups, "\(stored) parameters in the stored groups, \(own) here")
      }
    }
  }

  /// Positions by name, or nil where the names do not tell all parameters apart.
  private static func index(_ state: OptimizerState, _ names: [String?]) -> [Key: Int]? {
    var names = names
    if names.isEmpty { names = state.groups.flatMap(\.names) }
    guard names.count == state.keys.count else { return nil }
    var index: [Key: Int] = [:]
    for (position, name) in names.enumerated() {
      guard let name, index.updateValue(position, forKey: .string(name)) == nil else { return nil }
    }
    return index
  }

  /// By name, a group here may hold what was spread over several.
  private mutating func matchGroups(
    _ storedGroups: [Int], _ here: [[NamedParameter]], _ problems: inout OptimizerProblems
  ) {
    var first = 0
    for (number, group) in here.enumerated() {
      let found = Set(positions[first..<first + group.count].compactMap(\.self).map { storedGroups[$0] })
      first += group.count
      if found.count > 1 {
        problems.add(.groups, "group \(number) here is in groups \(found.sorted()) there, with options of their own")
      }
      groups[number] = found.count == 1 ? found.first : nil
    }
  }
}

extension OptimizerState.Group {
  /// The parameters' names: `param_names`, or the keys where those are names, as in the state dicts that FSDP gathers.
  fileprivate var names: [String?] {
    paramNames ?? params.map { if case .string(let name) = $0 { name } else { nil } }
  }
}
