import Checkpoint
import Kernels

/// Columns of numbers from a CSV file with a header.
struct CSVTable {
  private(set) var names: [String] = []
  private(set) var rows = 0
  /// The wanted columns' numbers, row by row, for each group of columns.
  private(set) var numbers: [[Float]]
  private let groups: [[Int]]
  private let labels: Int?
  private(set) var labelRange: ClosedRange<Int>?
  private(set) var integers: [Int64] = []
  private var reader: CSVReader
  private var fields: [CSVReader.Field] = []

  /// Reads a whole table.
  ///
  /// - Parameters:
  ///   - columns: finds the groups of columns that are wanted among the names.
  ///   - labels: the group whose numbers are labels.
  init(
    _ bytes: UnsafeRawBufferPointer, labels: Int?,
    columns: ([String]) throws(CheckpointError) -> [[Int]]
  ) throws(CheckpointError) {
    guard !bytes.isEmpty else { throw CheckpointError(.damaged, "the file is empty", advice: Self.wanted) }
    reader = try CSVReader(bytes)
    guard try reader.next(&fields) else {
      throw CheckpointError(.damaged, "the file is empty", advice: Self.wanted)
    }
    for field in fields { names.append(reader.text(field)) }
    groups = try columns(names)
    numbers = Array(repeating: [], count: groups.count)
    self.labels = labels
    try readRows()
    guard rows > 0 else {
      throw CheckpointError(.damaged, "a header and no rows", advice: "A data set needs at least one sample.")
    }
  }

  private static let wanted = "Expected are a header with the columns' names, and a row a sample."

  private mutating func readRows() throws(CheckpointError) {
    var blank: Int?
    var line = reader.line
    while try reader.next(&fields) {
      defer { line = reader.line }
      if fields.count == 1, !fields[0].isQuoted, reader.trimmed(fields[0]).isEmpty {
        // At the end of a file they mean nothing.
        if blank == nil { blank = line }
        continue
      }
      if let blank { throw CheckpointError(.damaged, "the line is empty", place: "line \(blank)") }
      guard fields.count == names.count else {
        throw CheckpointError(
          .damaged, "\(fields.count) fields, where the header has \(names.count)", place: "line \(line)",
          advice: "Text with commas in it needs quotes around it.")
      }
      for (group, columns) in groups.enumerated() {
        for column in columns { try take(column, group, line) }
      }
      rows += 1
    }
  }

  private mutating func take(_ column: Int, _ group: Int, _ line: Int) throws(CheckpointError) {
    let text = reader.trimmed(fields[column])
    var number = 0.0
    guard ck_parse_number(text.baseAddress, text.count, &number) != 0 else {
      let found = text.isEmpty ? "nothing" : "'\(String(decoding: text.prefix(40), as: UTF8.self))'"
      throw failure(column, line, "\(found), where a number is due")
    }
    if group == labels {
      guard let label = Int64(exactly: number), number.magnitude <= 0x1p53 else {
        throw failure(column, line, "\(number), where a label (an integer) is due")
      }
      integers.append(label)
      let value = Int(label)
      labelRange = min(labelRange?.lowerBound ?? value, value)...max(labelRange?.upperBound ?? value, value)
      return
    }
    let float = Float(number)
    guard float.isFinite else {
      let what =
        number.isNaN ? "not a number (NaN)" : number.isFinite ? "\(number) does not fit float32" : "an infinity"
      throw failure(column, line, what)
    }
    numbers[group].append(float)
  }

  private func failure(_ column: Int, _ line: Int, _ message: String) -> CheckpointError {
    CheckpointError(.damaged, message, place: "line \(line), column '\(names[column])'")
  }
}
