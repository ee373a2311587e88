import Checkpoint
import CommandSupport

/// The part of `diff` that tells of tensors whose numbers differ: a row for each, layers that repeat in one.
struct DiffNumbers {
  private let view: DiffView
  /// The beginnings of the paths of optimizers' states, whose numbers stand for parameters of any shape.
  private let states: [String]

  init(_ view: DiffView) {
    self.view = view
    states = Recogniser.sections(in: view.a.root).filter { $0.kind == .optimizer }.map {
      $0.path.steps.isEmpty ? "state." : "\($0.path.text).state."
    }
  }

  /// Whether a change is one of a tensor's numbers.
  func holds(_ change: Diff.Change) -> Bool { change.what == .value && change.a == nil && tensor(change) != nil }

  /// The table, and how many rows it has or would have.
  func lines(_ terminal: Terminal) throws(CheckpointError) -> (lines: [String], count: Int) {
    let changes = view.diff.changed.filter(holds)
    guard !changes.isEmpty else { return ([], 0) }
    let names = parameterNames(changes)
    var table = Table(
      [Table.Column(title: "tensor", isFlexible: true)]
        + ["", "differ", "of", "max abs", "max rel"].map { Table.Column(title: $0, alignment: .right) }
        + [Table.Column(title: "", isFlexible: true, isDim: true)])
    let rows = view.folded(changes.map(row))
    for row in view.showsValues ? rows[...] : rows.prefix(DiffView.shown) {
      let members = row.members.map { changes[$0] }
      table.rows.append(
        [view.place(row), row.count > 1 ? "x\(row.count)" : ""] + amounts(members)
          + [row.count == 1 ? printable(names[Key.string(row.name)] ?? "") : ""])
      if view.showsValues, let change = members.first { table.rows += try numbers(change) }
    }
    return (table.lines(terminal), rows.count)
  }

  private func tensor(_ change: Diff.Change) -> Tensor? {
    if case .tensor(let tensor)? = view.value(at: change.path, in: view.a.root) { tensor } else { nil }
  }

  private func row(_ change: Diff.Change) -> FoldedRow {
    let tensor = tensor(change)
    let isState = states.contains { change.path.utf8.starts(with: $0.utf8) }
    return FoldedRow(
      name: change.path, dtype: tensor?.dtype ?? .bool, shape: isState ? [] : tensor?.shape ?? [], bytes: 0, count: 1,
      note: "")
  }

  /// The parameters' names by the paths of their states.
  private func parameterNames(_ changes: [Diff.Change]) -> [Key: String] {
    guard changes.contains(where: { change in states.contains { change.path.utf8.starts(with: $0.utf8) } }),
      let listing = try? Listing(view.a.root)
    else { return [:] }
    var names: [Key: String] = [:]
    for (index, row) in listing.tensors.enumerated() where row.slot != nil {
      names[.string(listing.path(index))] = row.name
    }
    return names
  }

  private func amounts(_ changes: [Diff.Change]) -> [String] {
    let differences = changes.compactMap(\.difference)
    let count = changes.reduce(0) { $0 + (tensor($1)?.count ?? 0) }
    return [
      grouped(differences.reduce(0) { $0 + $1.differing }), grouped(count),
      largest(differences.compactMap(\.maxAbs)), largest(differences.compactMap(\.maxRel)),
    ]
  }

  private func largest(_ numbers: [Double]) -> String {
    guard let first = numbers.first else { return "-" }
    return short(numbers.reduce(first) { $0.isNaN || $0 > $1 ? $0 : $1 })
  }

  // MARK: - The numbers themselves

  private static let numbersShown = 5

  /// Rows with the first elements that differ, each with its position.
  private func numbers(_ change: Diff.Change) throws(CheckpointError) -> [[String]] {
    guard case .tensor(let x)? = view.value(at: change.path, in: view.a.root),
      case .tensor(let y)? = view.value(at: change.path, in: view.b.root), x.dtype == y.dtype, x.shape == y.shape,
      let size = x.dtype.itemSize
    else { return [] }
    return try differing(x, y, size).map { position in
      let (before, after) = (
        Elements.texts(of: x, position..<(position + 1)), Elements.texts(of: y, position..<(position + 1))
      )
      return ["  \(index(position, in: x.shape))  \(before.first ?? "?") -> \(after.first ?? "?")"]
    }
  }

  private func differing(_ x: Tensor, _ y: Tensor, _ size: Int) throws(CheckpointError) -> [Int] {
    var found: [Int] = []
    try x.source.withBytes { (left) throws(CheckpointError) in
      try y.source.withBytes { (right) throws(CheckpointError) in
        var position = 0
        while position < x.count, found.count < Self.numbersShown {
          let range = (position * size)..<((position + 1) * size)
          if !left[range].elementsEqual(right[range]) { found.append(position) }
          position += 1
        }
      }
    }
    return found
  }

  /// `[2, 3]` for a position in row-major order.
  private func index(_ position: Int, in sizes: [Int]) -> String {
    var rest = position
    var indices: [Int] = []
    for size in sizes.reversed() where size > 0 {
      indices.append(rest % size)
      rest /= size
    }
    return shape(indices.reversed())
  }
}
