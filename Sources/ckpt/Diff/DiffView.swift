import Checkpoint
import CommandSupport

/// What `diff` says.
struct DiffView {
  let diff: Diff
  let a: (path: String, root: Value)
  let b: (path: String, root: Value)
  var showsValues = false
  /// What was not looked at, or loosely: `within the tolerance`.
  var reservation = ""

  /// How many lines of each sort are shown to a person who has not asked for all.
  static let shown = 30

  static func equal(_ a: String, _ b: String, _ how: String) -> [UInt8] {
    Array("\(printable(a)) and \(printable(b)) are equal \(printable(how))\n".utf8)
  }

  func text(_ terminal: Terminal) throws(CheckpointError) -> [UInt8] {
    if diff.isEqual {
      let count = "(\(counted(TensorTable(a.root).tensors.count, "tensor")), and everything else)"
      return Self.equal(a.path, b.path, reservation.isEmpty ? count : reservation)
    }
    let style = Style(isOn: terminal.hasColour)
    var lines = ["\(printable(a.path)) and \(printable(b.path)) differ: \(summary)"]
    list("only in \(printable(a.path))", lone(diff.onlyInA, a.root), style, terminal, &lines)
    list("only in \(printable(b.path))", lone(diff.onlyInB, b.root), style, terminal, &lines)
    let numbers = DiffNumbers(self)
    let others = diff.changed.filter { !numbers.holds($0) }
    list("changed", others.map { Item(path: $0.path, text: what($0)) }, style, terminal, &lines)
    let (rows, count) = try numbers.lines(terminal)
    if count > 0 { lines += ["", style.bold("changed tensors")] + rows }
    more(count, &lines)
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  private var summary: String {
    var words: [String] = []
    if !diff.changed.isEmpty { words.append("\(grouped(diff.changed.count)) changed") }
    if !diff.onlyInA.isEmpty { words.append("\(grouped(diff.onlyInA.count)) only in the first") }
    if !diff.onlyInB.isEmpty { words.append("\(grouped(diff.onlyInB.count)) only in the second") }
    return words.joined(separator: ", ")
  }

  private func more(_ count: Int, _ lines: inout [String]) {
    guard !showsValues, count > Self.shown else { return }
    lines.append("  … and \(grouped(count - Self.shown)) more (--values or --json lists all)")
  }

  /// A place that differs, and how.
  private struct Item {
    let path: String
    let text: String
  }

  private func lone(_ paths: [String], _ root: Value) -> [Item] {
    paths.map { Item(path: $0, text: value(at: $0, in: root)?.text(limit: 70) ?? "") }
  }

  private func list(
    _ title: String, _ items: [Item], _ style: Style, _ terminal: Terminal, _ lines: inout [String]
  ) {
    guard !items.isEmpty else { return }
    lines += ["", style.bold(title)]
    var table = Table([Table.Column(title: "", isFlexible: true), Table.Column(title: ""), Table.Column(title: "")])
    table.hasTitles = false
    let rows = folded(
      items.map { FoldedRow(name: $0.path, dtype: .bool, shape: [], bytes: 0, count: 1, note: $0.text) })
    for row in showsValues ? rows[...] : rows.prefix(Self.shown) {
      table.rows.append([place(row), row.count > 1 ? "x\(row.count)" : "", cut(row.note, to: 110)])
    }
    lines += table.lines(terminal)
    more(rows.count, &lines)
  }

  /// Rows with layers that repeat in one, unless all are wanted.
  func folded(_ rows: [FoldedRow]) -> [FoldedRow] {
    var rows = rows
    for index in rows.indices { rows[index].members = [index] }
    return showsValues ? rows : Folding.fold(rows)
  }

  func place(_ row: FoldedRow) -> String { row.name.isEmpty ? "(root)" : printable(row.name) }

  func value(at path: String, in root: Value) -> Value? {
    root.candidates(for: path).first.flatMap { root[$0] }
  }

  // MARK: - One change

  private func what(_ change: Diff.Change) -> String {
    let sides = "\(side(change.a, change.what)) -> \(side(change.b, change.what))"
    return switch change.what {
    case .order: "order, first at \(sides)"
    case .value: sides
    case .type: values(change).map { "\($0) (\(sides))" } ?? "type \(sides)"
    case .dtype, .shape: "\(change.what.rawValue) \(sides)"
    }
  }

  /// The values of scalars whose types differ.
  private func values(_ change: Diff.Change) -> String? {
    guard let x = value(at: change.path, in: a.root), let y = value(at: change.path, in: b.root), x.isScalar, y.isScalar
    else { return nil }
    return "\(side(x, .value)) -> \(side(y, .value))"
  }

  /// Names of types and shapes stand without quotes.
  private func side(_ value: Value?, _ what: Diff.Change.What) -> String {
    switch (value, what) {
    case (.string(let text)?, .type), (.string(let text)?, .dtype): printable(text)
    case (let value?, _): cut(value.text(limit: 48), to: 60)
    case (nil, _): "?"
    }
  }
}

// MARK: - JSON

extension DiffView {
  static let equalJSON =
    Array(
      #"{"schema":"ckpt.diff/1","equal":true,"only_in_a":[],"only_in_b":[],"changed":[]}"#.utf8) + [0x0A]

  func json() -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key(plain: "schema")
    json.string("ckpt.diff/1")
    json.key(plain: "equal")
    json.bool(diff.isEqual)
    json.key(plain: "only_in_a")
    json.strings(diff.onlyInA)
    json.key(plain: "only_in_b")
    json.strings(diff.onlyInB)
    json.key(plain: "changed")
    json.beginArray()
    for change in diff.changed { write(change, &json) }
    json.endArray()
    json.endObject()
    return json.bytes + [0x0A]
  }

  private func write(_ change: Diff.Change, _ json: inout JSONWriter) {
    json.newline(indent: 2)
    json.beginObject()
    json.key(plain: "path")
    json.string(change.path)
    json.key(plain: "what")
    json.string(change.what.rawValue)
    json.key(plain: "a")
    if let value = change.a { json.value(value) } else { json.null() }
    json.key(plain: "b")
    if let value = change.b { json.value(value) } else { json.null() }
    json.key(plain: "max_abs")
    json.number(change.difference?.maxAbs)
    json.key(plain: "max_rel")
    json.number(change.difference?.maxRel)
    json.key(plain: "differing")
    if let count = change.difference?.differing { json.int(count) } else { json.null() }
    json.endObject()
  }
}
