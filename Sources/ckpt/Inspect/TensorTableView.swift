import Checkpoint
import CommandSupport

/// The table with every tensor in a row of its own.
struct TensorTableView {
  private(set) var table: Table
  private let listing: Listing
  private let statistics: [Int: Statistics?]?

  init(_ listing: Listing, statistics: [Int: Statistics?]?) {
    self.listing = listing
    self.statistics = statistics
    var columns = [
      Table.Column(title: "path", isFlexible: true), Table.Column(title: "dtype"), Table.Column(title: "shape"),
      Table.Column(title: "size", alignment: .right),
    ]
    if statistics != nil {
      columns += ["min", "max", "mean", "std", "nan", "inf", "zeros"].map { Table.Column(title: $0, alignment: .right) }
    }
    columns.append(Table.Column(title: "", isFlexible: true, isDim: true))
    table = Table(columns)
  }

  mutating func add(_ index: Int) {
    let row = listing.tensors[index]
    var cells = [
      label(listing.path(index)), row.block.map { printable($0.type) } ?? row.tensor.dtype.rawValue,
      shape(row.block?.shape ?? row.tensor.shape), size(row.tensor.byteCount),
    ]
    if let statistics { cells += Self.cells(statistics[index] ?? nil) }
    cells.append(note(row))
    table.rows.append(cells)
  }

  /// What the path does not say: the parameter's name, or the tensor that this one is tied to.
  private func note(_ row: Listing.TensorRow) -> String {
    if let owner = row.aliasOf { return printable("= \(listing.path(owner))") }
    return row.slot == nil ? "" : printable(row.name)
  }

  private static func cells(_ statistics: Statistics?) -> [String] {
    guard let statistics else { return Array(repeating: "-", count: 7) }
    let numbers = [statistics.min, statistics.max, statistics.mean, statistics.std].map { $0.map { short($0) } ?? "-" }
    return numbers + [statistics.nan, statistics.inf, statistics.zeros].map(grouped)
  }
}
