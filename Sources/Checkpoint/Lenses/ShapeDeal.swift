/// Deals a model's parameters, in their order, out to groups: each group is a subsequence of the model, and the next
/// parameter of a group must have the shape of the model's next. Finds which group took which parameter in *every*
/// possible deal.
///
/// It walks the model once and keeps the set of states (how far each group is) that are possible. Shapes tell groups
/// apart nearly always (weight decay splits matrices from vectors), so the set stays small; where it grows beyond
/// `maximumStates`, nothing could be told anyway.
struct ShapeDeal {
  private static let maximumStates = 64
  /// Group positions looked at altogether before it gives up; ordinary optimizers need a few thousand.
  private static let maximumWork = 20_000_000

  /// By group: the number of each parameter's shape, or nil for one that fits any.
  private let groups: [[Int?]]
  private let model: [Int]

  init(_ groups: [[[Int]?]], _ model: [[Int]]) {
    var numbers: [[Int]: Int] = [:]
    func number(_ shape: [Int]) -> Int {
      if let known = numbers[shape] { return known }
      numbers[shape] = numbers.count
      return numbers.count - 1
    }
    self.model = model.map(number)
    self.groups = groups.filter { !$0.isEmpty }.map { $0.map { $0.map(number) } }
  }

  /// A move of one parameter of the model: from which state, by which group, to which state.
  private struct Move {
    let from: Int
    let group: Int
    let position: Int
    let to: Int
  }

  /// By position over the concatenated groups: the index in the model, or nil where deals differ. Nil when there is no
  /// deal, or too many.
  func solve() -> [Int?]? {
    guard groups.reduce(0, { $0 + $1.count }) == model.count else { return nil }
    var states = [Array(repeating: 0, count: groups.count)]
    var layers: [[Move]] = []
    layers.reserveCapacity(model.count)
    var index = 0
    var work = 0
    while index < model.count {
      work += states.count * groups.count
      guard work < Self.maximumWork else { return nil }
      if states.count == 1 {
        index = dealForced(from: &states[0], at: index, into: &layers)
        if index == model.count { break }
      }
      guard let moves = step(&states, model[index]) else { return nil }
      layers.append(moves)
      index += 1
    }
    return certain(layers)
  }

  /// Deals as long as one group only can take the next parameter. The groups are found by the shape they wait for, so
  /// that ten thousand groups cost no more than two.
  private func dealForced(from state: inout [Int], at start: Int, into layers: inout [[Move]]) -> Int {
    var waiting: [Int: Set<Int>] = [:]
    var wild = 0
    for group in groups.indices where state[group] < groups[group].count {
      if let shape = groups[group][state[group]] { waiting[shape, default: []].insert(group) } else { wild += 1 }
    }
    var index = start
    while index < model.count, wild == 0, let takers = waiting[model[index]], takers.count == 1,
      let group = takers.first
    {
      layers.append([Move(from: 0, group: group, position: state[group], to: 0)])
      waiting[model[index]] = nil
      state[group] += 1
      index += 1
      guard state[group] < groups[group].count else { continue }
      if let shape = groups[group][state[group]] { waiting[shape, default: []].insert(group) } else { wild += 1 }
    }
    return index
  }

  /// All moves from all states with one parameter; nil when there are none or too many.
  private func step(_ states: inout [[Int]], _ shape: Int) -> [Move]? {
    var next: [[Int]] = []
    var numbers: [[Int]: Int] = [:]
    var moves: [Move] = []
    for (from, state) in states.enumerated() {
      for group in groups.indices where state[group] < groups[group].count {
        if let wanted = groups[group][state[group]], wanted != shape { continue }
        var after = state
        after[group] += 1
        let to = numbers[after] ?? next.count
        if to == next.count {
          guard next.count < Self.maximumStates else { return nil }
          numbers[after] = to
          next.append(after)
        }
        moves.append(Move(from: from, group: group, position: state[group], to: to))
      }
    }
    states = next
    return moves.isEmpty ? nil : moves
  }

  /// Walks back from the end along moves that reach it: what every deal has in common.
  private func certain(_ layers: [[Move]]) -> [Int?] {
    var starts: [Int] = []
    var total = 0
    for group in groups {
      starts.append(total)
      total += group.count
    }
    var found: [Int?] = Array(repeating: nil, count: total)
    var doubtful = Array(repeating: false, count: total)
    var alive: Set<Int> = [0]
    for index in layers.indices.reversed() {
      var before: Set<Int> = []
      for move in layers[index] where alive.contains(move.to) {
        before.insert(move.from)
        let position = starts[move.group] + move.position
        if let other = found[position], other != index { doubtful[position] = true }
        found[position] = index
      }
      alive = before
    }
    return zip(found, doubtful).map { $1 ? nil : $0 }
  }
}
