public import Checkpoint

/// Samples from a CSV file with a header, a row each; columns are taken by name.
///
/// Inputs are `[samples, columns]` as float32; targets likewise, or labels (int64): `[samples]` for one column. The
/// whole file is read when the set is made, and a row that cannot be used is an error with its line and column. Lines
/// are counted from 1, the header's.
public final class CSVDataset: Dataset {
  private let samples: ArrayDataset
  /// The columns that are the inputs and the targets.
  public let inputColumns, targetColumns: [String]

  public var count: Int { samples.count }
  public var inputInfo: SampleInfo? { samples.inputInfo }
  public var targetInfo: SampleInfo? { samples.targetInfo }

  /// - Parameters:
  ///   - inputs: the columns' names; nil takes all that are no targets.
  ///   - targets: the columns' names.
  ///   - kind: what the targets are to the loss.
  /// - Throws: `damaged` with line and column; `usage` for a column that is not there, with the near ones.
  public init(
    _ path: String, inputs: [String]? = nil, targets: [String], kind: TargetKind = .numbers
  ) throws(CheckpointError) {
    let file = try MappedFile(path)
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      let table = try CSVTable(file.bytes, labels: kind == .labels ? 1 : nil) { (names) throws(CheckpointError) in
        try Self.columns(names, inputs, targets)
      }
      let groups = try Self.columns(table.names, inputs, targets)
      inputColumns = groups[0].map { table.names[$0] }
      targetColumns = groups[1].map { table.names[$0] }
      let place = DataPlace(file: path, place: nil)
      let x = SampleInfo(shape: [groups[0].count], dtype: .float32)
      let y =
        kind == .numbers
        ? SampleInfo(shape: [groups[1].count], dtype: .float32)
        : SampleInfo(shape: groups[1].count == 1 ? [] : [groups[1].count], dtype: .int64, range: table.labelRange)
      samples = ArrayDataset(
        inputs: SampleArray(try Storage(copying: table.numbers[0]), count: table.rows, info: x, place: place),
        targets: SampleArray(
          try kind == .labels ? Storage(copying: table.integers) : Storage(copying: table.numbers[1]),
          count: table.rows, info: y, place: DataPlace(file: path, place: "column '\(targetColumns[0])'")))
    } catch {
      throw error.inFile(path)
    }
  }

  private static func columns(
    _ names: [String], _ inputs: [String]?, _ targets: [String]
  ) throws(CheckpointError) -> [[Int]] {
    var wanted: [Int] = []
    for name in targets { wanted.append(try column(name, in: names)) }
    guard !wanted.isEmpty else { throw CheckpointError(.usage, "no target column is named") }
    var given: [Int] = []
    if let inputs {
      for name in inputs { given.append(try column(name, in: names)) }
    } else {
      given = names.indices.filter { !wanted.contains($0) }
    }
    guard !given.isEmpty else { throw CheckpointError(.usage, "no input column is named, and none is left") }
    return [given, wanted]
  }

  private static func column(_ name: String, in names: [String]) throws(CheckpointError) -> Int {
    let places = names.indices.filter { names[$0].hasSameBytes(as: name) }
    guard let place = places.first else {
      throw CheckpointError(
        .usage, "there is no column '\(name)'", place: "line 1", advice: advice(for: name, among: names, "columns"))
    }
    guard places.count == 1 else {
      throw CheckpointError(
        .usage, "the column '\(name)' comes \(places.count) times", place: "line 1", advice: "Name each column once.")
    }
    return place
  }

  public func batch(_ samples: [Int]) throws(CheckpointError) -> Batch { try self.samples.batch(samples) }

  /// Checks that the targets are labels of so many classes, as `ArrayDataset.checkLabels`.
  public func checkLabels(classes: Int, ignoring: Int? = -100) throws(CheckpointError) {
    try samples.checkLabels(classes: classes, ignoring: ignoring)
  }
}

extension Storage {
  fileprivate convenience init<Element: BitwiseCopyable>(copying elements: [Element]) throws(CheckpointError) {
    try self.init(byteCount: elements.count * MemoryLayout<Element>.size)
    elements.withUnsafeBytes { bytes in
      if let start = bytes.baseAddress { base.copyMemory(from: start, byteCount: bytes.count) }
    }
  }
}
