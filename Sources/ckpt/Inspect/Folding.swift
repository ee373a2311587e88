import Checkpoint
import CommandSupport

/// Rows of a table of tensors in which layers that repeat are one row.
struct FoldedRow: Sendable, Equatable {
  /// The name, with `{0-11}` where the layers' numbers were.
  var name: String
  var dtype: DType
  /// The block format of quantised tensors, which is shown in the place of the type of their bytes.
  var block: String?
  var shape: [Int]
  /// Bytes of all tensors together.
  var bytes: Int
  /// How many tensors the row stands for.
  var count: Int
  /// `buffer`, `= wte.weight`: tensors with different notes are never folded together.
  var note: String
  /// What the caller calls the rows that it was made of.
  var members: [Int] = []

  /// How the elements are stored.
  var typeName: String { block ?? dtype.rawValue }

  /// Whether the row has no storage of its own.
  var isTied: Bool { note.utf8.first == 0x3D }
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
    var prefix: Key
    let suffix: Key
    let dtype: DType
    let block: String?
    let shape: [Int]
    let note: Key
    let count: Int
  }

  /// One numbered layer: everything under a prefix and a number.
  private struct Layer: Hashable {
    let prefix: Key
    let number: Int
  }

  private struct Member {
    let number: Int
    let item: Int
    let layer: Layer
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
    var groups: [Shared: [Member]] = [:]
    var structures: [Layer: Hasher] = [:]
    for (index, item) in items.enumerated() {
      guard let number = item.number(at: place), !item.row.isTied else { continue }
      let shared = item.shared(around: place)
      let layer = Layer(prefix: shared.prefix, number: number)
      groups[shared, default: []].append(Member(number: number, item: index, layer: layer))
      var withoutPrefix = shared
      withoutPrefix.prefix = .none
      structures[layer, default: Hasher()].combine(withoutPrefix)
    }
    let equal = structures.mapValues { $0.finalize() }
    var gone: Set<Int> = []
    for var members in groups.values where members.count > 1 {
      members.sort { ($0.number, $0.item) < ($1.number, $1.item) }
      for run in runs(members, equal) where run.count > 1 { merge(run.map(\.item), at: place, in: &items, &gone) }
    }
    if gone.isEmpty { return }
    items = items.indices.filter { !gone.contains($0) }.map { items[$0] }.sorted { $0.origin < $1.origin }
  }

  /// Cuts sorted numbers where they are not consecutive. A short run is one only if its layers are alike in all their
  /// tensors: a Linear and the BatchNorm after it have a bias of one shape, and are no repetition.
  private static func runs(_ members: [Member], _ structure: [Layer: Int]) -> [ArraySlice<Member>] {
    cut(members[...]) { $0.number + 1 == $1.number }.flatMap { run in
      run.count >= certainRun ? [run] : cut(run) { structure[$0.layer] == structure[$1.layer] }
    }
  }

  private static let certainRun = 4

  /// Cuts between neighbours that do not belong together.
  private static func cut(_ members: ArraySlice<Member>, _ together: (Member, Member) -> Bool) -> [ArraySlice<Member>] {
    var runs: [ArraySlice<Member>] = []
    var start = members.startIndex
    for index in members.indices.dropFirst() where !together(members[index - 1], members[index]) {
      runs.append(members[start..<index])
      start = index
    }
    return runs + [members[start...]]
  }

  /// Makes one item of a run, at the place of the one that comes first in the file.
  private static func merge(_ run: [Int], at place: Int, in items: inout [Item], _ gone: inout Set<Int>) {
    guard let first = run.first, let last = run.last else { return }
    var item = items[first]
    let (low, high) = (item.parts[place], items[last].parts[place])
    item.parts[place] = "{\(low)-\(high)}"
    item.row.name = item.parts.joined(separator: ".")
    item.row.count = run.reduce(0) { $0 + items[$1].row.count }
    item.row.members = run.flatMap { items[$0].row.members }
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
      suffix: .string(parts[(place + 1)...].joined(separator: ".")), dtype: row.dtype, block: row.block,
      shape: row.shape,
      note: .string(row.note), count: row.count)
  }
}
