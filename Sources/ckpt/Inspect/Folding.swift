import Checkpoint

/// Rows of a table of tensors in which layers that repeat are one row.
struct FoldedRow: Sendable, Equatable {
  /// The name, with `{0-11}` where the layers' numbers were.
  var name: String
  var dtype: DType
  var shape: [Int]
  /// Bytes of all tensors together.
  var bytes: Int
  /// How many tensors the row stands for.
  var count: Int
  /// `buffer`, `= wte.weight`: tensors with different notes are never folded together.
  var note: String
}

/// Folds runs of consecutive numbers in names: `h.0.weight`, `h.1.weight`, … with one element type and shape become
/// `h.{0-11}.weight`. The numbers further right are folded first, so that experts fold inside of layers.
struct Folding {
  /// A row in the making: its name in parts between the dots, and the first row it came from.
  fileprivate struct Item {
    var parts: [Substring]
    var row: FoldedRow
    var origin: Int
  }

  /// What all members of a run have in common.
  fileprivate struct Shared: Hashable {
    let prefix: Key
    let suffix: Key
    let dtype: DType
    let shape: [Int]
    let note: Key
    let count: Int
  }

  static func fold(_ rows: [FoldedRow]) -> [FoldedRow] {
    var items = rows.enumerated().map { index, row in
      let parts = row.name.utf8.split(separator: 0x2E, omittingEmptySubsequences: false).map { Substring($0) }
      return Item(parts: parts, row: row, origin: index)
    }
    let deepest = items.map(\.parts.count).max() ?? 0
    for place in (0..<deepest).reversed() { fold(&items, at: place) }
    return items.map(\.row)
  }

  /// Folds the numbers that are the part `place` of a name.
  private static func fold(_ items: inout [Item], at place: Int) {
    var groups: [Shared: [(number: Int, item: Int)]] = [:]
    for (index, item) in items.enumerated() {
      guard let number = item.number(at: place), !item.row.note.utf8.starts(with: "=".utf8) else { continue }
      groups[item.shared(around: place), default: []].append((number, index))
    }
    var gone: Set<Int> = []
    for var members in groups.values where members.count > 1 {
      members.sort { ($0.number, $0.item) < ($1.number, $1.item) }
      for run in runs(members) where run.count > 1 { merge(run.map(\.item), at: place, in: &items, &gone) }
    }
    if gone.isEmpty { return }
    items = items.indices.filter { !gone.contains($0) }.map { items[$0] }.sorted { $0.origin < $1.origin }
  }

  /// Cuts sorted numbers where they are not consecutive.
  private static func runs(_ members: [(number: Int, item: Int)]) -> [ArraySlice<(number: Int, item: Int)>] {
    var runs: [ArraySlice<(number: Int, item: Int)>] = []
    var start = 0
    for index in 1...members.count
    where index == members.count || members[index].number != members[index - 1].number + 1 {
      runs.append(members[start..<index])
      start = index
    }
    return runs
  }

  /// Makes one item of a run, at the place of the one that comes first in the file.
  private static func merge(_ run: [Int], at place: Int, in items: inout [Item], _ gone: inout Set<Int>) {
    guard let first = run.first, let last = run.last else { return }
    var item = items[first]
    let (low, high) = (item.parts[place], items[last].parts[place])
    item.parts[place] = "{\(low)-\(high)}"
    item.row.name = item.parts.joined(separator: ".")
    item.row.count = run.reduce(0) { $0 + items[$1].row.count }
    item.row.bytes = run.reduce(0) { $0 + items[$1].row.bytes }
    item.origin = run.reduce(item.origin) { min($0, items[$1].origin) }
    items[first] = item
    gone.formUnion(run.dropFirst())
  }
}

extension Folding.Item {
  /// The part as a number that is written as numbers are.
  fileprivate func number(at place: Int) -> Int? {
    guard place < parts.count, let number = Int(parts[place]), number >= 0, String(number) == parts[place] else {
      return nil
    }
    return number
  }

  fileprivate func shared(around place: Int) -> Folding.Shared {
    Folding.Shared(
      prefix: .string(parts[..<place].joined(separator: ".")),
      suffix: .string(parts[(place + 1)...].joined(separator: ".")), dtype: row.dtype, shape: row.shape,
      note: .string(row.note), count: row.count)
  }
}
