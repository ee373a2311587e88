import Checkpoint

/// What `diff` says.
struct DiffView {
  let diff: Diff
  let a: (path: String, root: Value)
  let b: (path: String, root: Value)
  var showsValues = false

  /// How many differences of each sort are shown to a person who has not asked for all.
  static let shown = 20

  static func equal(_ a: String, _ b: String, _ how: String) -> [UInt8] {
    Array("\(printable(a)) and \(printable(b)) are equal \(printable(how))\n".utf8)
  }

  func text(_ terminal: Terminal) throws(CheckpointError) -> [UInt8] {
    if diff.isEqual {
      return Self.equal(
        a.path, b.path, "(\(counted(TensorTable(a.root).tensors.count, "tensor")), and everything else)")
    }
    let style = Style(isOn: terminal.hasColour)
    var lines = ["\(printable(a.path)) and \(printable(b.path)) differ: \(summary)"]
    list("only in \(printable(a.path))", diff.onlyInA, a.root, style, terminal, &lines)
    list("only in \(printable(b.path))", diff.onlyInB, b.root, style, terminal, &lines)
    if !diff.changed.isEmpty {
      lines += ["", style.bold("changed")]
      var table = Table([
        Table.Column(title: "", isFlexible: true), Table.Column(title: ""), Table.Column(title: ""),
      ])
      table.hasTitles = false
      for change in limited(diff.changed) {
        table.rows.append([printable(change.path.isEmpty ? "(root)" : change.path), change.what.rawValue, what(change)])
        if showsValues { table.rows += try numbers(change) }
      }
      lines += table.lines(terminal)
      more(diff.changed.count, &lines)
    }
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  private var summary: String {
    var words: [String] = []
    if !diff.changed.isEmpty { words.append("\(grouped(diff.changed.count)) changed") }
    if !diff.onlyInA.isEmpty { words.append("\(grouped(diff.onlyInA.count)) only in the first") }
    if !diff.onlyInB.isEmpty { words.append("\(grouped(diff.onlyInB.count)) only in the second") }
    return words.joined(separator: ", ")
  }

  private func limited<Item>(_ items: [Item]) -> ArraySlice<Item> {
    showsValues ? items[...] : items.prefix(Self.shown)
  }

  private func more(_ count: Int, _ lines: inout [String]) {
    if !showsValues, count > Self.shown {
      lines.append("  … and \(grouped(count - Self.shown)) more (--values or --json lists all)")
    }
  }

  private func list(
    _ title: String, _ paths: [String], _ root: Value, _ style: Style, _ terminal: Terminal, _ lines: inout [String]
  ) {
    guard !paths.isEmpty else { return }
    lines += ["", style.bold(title)]
    var table = Table([Table.Column(title: "", isFlexible: true), Table.Column(title: "", isDim: true)])
    table.hasTitles = false
    for path in limited(paths) {
      table.rows.append([printable(path), value(at: path, in: root)?.text(limit: 60) ?? ""])
    }
    lines += table.lines(terminal)
    more(paths.count, &lines)
  }

  private func value(at path: String, in root: Value) -> Value? {
    root.candidates(for: path).first.flatMap { root[$0] }
  }

  // MARK: - One change

  private func what(_ change: Diff.Change) -> String {
    if case .tensor(let tensor)? = value(at: change.path, in: a.root), change.a == nil {
      return "\(tensor.dtype.rawValue) \(shape(tensor.shape)): \(amount(change.difference, of: tensor))"
    }
    let sides = "\(side(change.a, change.what)) -> \(side(change.b, change.what))"
    switch change.what {
    case .order: return "the first key out of place: \(sides)"
    case .value:
      guard let distance = change.difference?.maxAbs, distance > 0 else { return sides }
      return "\(sides) (differs by \(short(distance)))"
    default: return sides
    }
  }

  /// Names of types and shapes stand without quotes.
  private func side(_ value: Value?, _ what: Diff.Change.What) -> String {
    switch (value, what) {
    case (.string(let text)?, .type), (.string(let text)?, .dtype): printable(text)
    case (let value?, _): value.text(limit: 48)
    case (nil, _): "?"
    }
  }

  private func amount(_ difference: TensorDifference?, of tensor: Tensor) -> String {
    guard let difference else { return "differs" }
    var words = ["\(grouped(difference.differing)) of \(grouped(tensor.count)) differ"]
    if let distance = difference.maxAbs { words.append("max abs \(short(distance))") }
    if let ratio = difference.maxRel { words.append("max rel \(short(ratio))") }
    return words.joined(separator: ", ")
  }
}

// MARK: - The numbers themselves

extension DiffView {
  private static let numbersShown = 5

  /// Rows with the first elements that differ, each with its position.
  private func numbers(_ change: Diff.Change) throws(CheckpointError) -> [[String]] {
    guard change.what == .value, case .tensor(let x)? = value(at: change.path, in: a.root),
      case .tensor(let y)? = value(at: change.path, in: b.root), x.dtype == y.dtype, x.shape == y.shape,
      let size = x.dtype.itemSize
    else { return [] }
    return try differing(x, y, size).map { position in
      let (before, after) = (
        Elements.texts(of: x, position..<(position + 1)), Elements.texts(of: y, position..<(position + 1))
      )
      return ["  \(index(position, in: x.shape))", "", "\(before.first ?? "?") -> \(after.first ?? "?")"]
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
