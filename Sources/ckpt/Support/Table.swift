import CommandSupport

/// Rows of text in aligned columns.
struct Table: Sendable {
  enum Alignment: Sendable { case left, right }

  struct Column: Sendable {
    var title: String
    var alignment = Alignment.left
    /// Gives way when the terminal is too narrow.
    var isFlexible = false
    /// Left out when the terminal is too narrow even so.
    var isOptional = false
    var isDim = false
  }

  var columns: [Column]
  /// Printable text, one for each column; missing ones are empty.
  var rows: [[String]] = []
  var indent = 2
  var hasTitles = true

  init(_ columns: [Column]) { self.columns = columns }

  /// The table's lines. Columns in which no row has anything are left out.
  func lines(_ terminal: Terminal) -> [String] {
    guard !rows.isEmpty else { return [] }
    var used = columns.indices.filter { column in rows.contains { $0.count > column && !$0[column].isEmpty } }
    var widths = self.widths(used)
    if fit(&widths, used, terminal, keepingFirst: true) > 0, used.contains(where: { columns[$0].isOptional }) {
      used.removeAll { columns[$0].isOptional }
      widths = self.widths(used)
      _ = fit(&widths, used, terminal, keepingFirst: true)
    }
    _ = fit(&widths, used, terminal, keepingFirst: false)
    let style = Style(isOn: terminal.hasColour)
    var lines: [String] = []
    if hasTitles {
      lines.append(style.dim(line(used.map { columns[$0].title }, used, widths) { _, text in text }))
    }
    for row in rows {
      lines.append(
        line(used.map { row.count > $0 ? row[$0] : "" }, used, widths) { column, text in
          columns[column].isDim ? style.dim(text) : text
        })
    }
    return lines
  }

  private func widths(_ used: [Int]) -> [Int] {
    used.map { column in
      rows.reduce(hasTitles ? CommandSupport.columns(columns[column].title) : 0) { widest, row in
        max(widest, row.count > column ? CommandSupport.columns(row[column]) : 0)
      }
    }
  }

  /// Takes from the flexible columns what the terminal does not have.
  ///
  /// - Returns: how many columns are still too many.
  private func fit(_ widths: inout [Int], _ used: [Int], _ terminal: Terminal, keepingFirst: Bool) -> Int {
    guard let width = terminal.width else { return 0 }
    let total = indent + widths.reduce(0, +) + 2 * max(0, widths.count - 1)
    var excess = total - width
    // Notes, which stand last and which few rows have, before names.
    for index in widths.indices.reversed() where columns[used[index]].isFlexible && excess > 0 {
      if index == 0, keepingFirst { break }
      let least = min(widths[index], index == 0 ? 16 : 12)
      let taken = min(excess, widths[index] - least)
      widths[index] -= taken
      excess -= taken
    }
    return max(excess, 0)
  }

  private func line(
    _ cells: [String], _ used: [Int], _ widths: [Int], _ paint: (Int, String) -> String
  ) -> String {
    var line = String(repeating: " ", count: indent)
    for (index, cell) in cells.enumerated() {
      let text = shortened(cell, to: widths[index])
      let padding = String(repeating: " ", count: max(0, widths[index] - CommandSupport.columns(text)))
      let isLast = cells[(index + 1)...].allSatisfy(\.isEmpty)
      if columns[used[index]].alignment == .right { line += padding }
      line += paint(used[index], text)
      if isLast { break }
      if columns[used[index]].alignment == .left { line += padding }
      line += "  "
    }
    return line
  }
}
