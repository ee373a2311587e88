import Checkpoint
import CheckpointFormats

/// What `inspect` shows a person: what the file is, the training state, each optimizer at a glance, the models' tensors
/// with repeated layers folded, the rest in short, warnings last.
struct InspectView {
  let file: FileFacts
  let root: Value
  let listing: Listing
  let terminal: Terminal
  var order = Listing.Order.file
  private(set) var lines: [String] = []

  var style: Style { Style(isOn: terminal.hasColour) }
  /// Columns that lines of running text may take.
  var textWidth: Int { terminal.width ?? 120 }

  init(_ file: FileFacts, _ root: Value, _ listing: Listing, _ terminal: Terminal) {
    (self.file, self.root, self.listing, self.terminal) = (file, root, listing, terminal)
  }

  /// The whole view.
  mutating func overview() -> [UInt8] {
    headline()
    facts()
    for section in listing.sections.indices where listing.sections[section].section.kind == .optimizer {
      optimizer(section)
    }
    for section in listing.sections.indices where listing.sections[section].section.kind == .stateDict {
      model(section)
    }
    others()
    warnings()
    return text
  }

  /// Every tensor in its own row.
  mutating func table(_ rows: [Int], statistics: [Int: Statistics?]?) -> [UInt8] {
    headline()
    add(blank: true)
    var table = TensorTableView(listing, statistics: statistics)
    for row in rows { table.add(row) }
    add(rows.isEmpty ? ["  no tensor fits"] : table.table.lines(terminal))
    let distinct = rows.filter { listing.tensors[$0].aliasOf == nil }
    let elements = distinct.reduce(0) { $0 + listing.tensors[$1].tensor.count }
    let bytes = distinct.reduce(0) { $0 + listing.tensors[$1].tensor.byteCount }
    add(["  \(counted(rows.count, "tensor")), \(counted(elements, "element")), \(size(bytes))"])
    warnings()
    return text
  }

  var text: [UInt8] { Array((lines.joined(separator: "\n") + "\n").utf8) }

  mutating func add(_ more: [String] = [], blank: Bool = false) {
    if blank { lines.append("") }
    lines.append(contentsOf: more)
  }

  // MARK: - Head and end

  mutating func headline() {
    var words = [file.version.map { "\(file.name), version \($0)" } ?? file.name, size(file.bytes)]
    if let producer = file.producer, !producer.isEmpty { words.append("written by \(printable(producer))") }
    add([style.bold(printable(file.path)) + "  " + words.joined(separator: ", ")])
    if let digest = file.digest { add([style.dim("  content \(printable(digest))")]) }
  }

  mutating func warnings() {
    let all = file.warnings + listing.warnings
    guard !all.isEmpty else { return }
    add(all.map { style.warning("  warning: ") + printable($0) }, blank: true)
  }

  // MARK: - Training state

  /// Numbers and words directly at the root, or in its entry `training`.
  private mutating func facts() {
    guard case .dict(let dict) = root else { return }
    var found = Self.scalars(in: dict)
    if case .dict(let training)? = dict["training"] { found += Self.scalars(in: training) }
    guard !found.isEmpty else { return }
    heading("Training", "")
    add(
      wrapped(found.map { "\($0.name) \(style.bold($0.text))" }, widths: found.map { columns($0.name + $0.text) + 1 }))
  }

  private static func scalars(in dict: Dict) -> [(name: String, text: String)] {
    dict.entries.compactMap { entry in
      guard entry.value.isScalar else { return nil }
      return (printable(entry.key.text), entry.value.text(limit: 60))
    }
  }

  /// Items side by side, in as many lines as they need.
  private func wrapped(_ items: [String], widths: [Int]) -> [String] {
    var result: [String] = []
    var line = ""
    var used = 0
    for (item, width) in zip(items, widths) {
      if used > 0, used + 3 + width > textWidth {
        result.append(line)
        used = 0
      }
      line = used == 0 ? "  \(item)" : "\(line)   \(item)"
      used += used == 0 ? 2 + width : 3 + width
    }
    return result + (line.isEmpty ? [] : [line])
  }

  mutating func heading(_ title: String, _ rest: String) {
    add([style.bold(title) + (rest.isEmpty ? "" : "  \(rest)")], blank: true)
  }

  // MARK: - The rest

  /// Entries of the root that are no section and no training fact, each in a line.
  private mutating func others() {
    let shown = root.topEntries.filter { entry in
      !entry.value.isScalar && !listing.sections.contains { $0.section.path.steps.first == entry.step }
    }
    let hidden = listing.values.filter { value in value.section == nil && isBesideSection(value.path) }
    guard !shown.isEmpty || !hidden.isEmpty else { return }
    heading("Also in the file", "")
    var table = Table([Table.Column(title: ""), Table.Column(title: "")])
    table.hasTitles = false
    let width = min(textWidth, 160)
    let names = shown.map { shortened(printable($0.step.text), to: 40) }
    let room = max(width - 4 - (names.map(columns).max() ?? 0), 30)
    for (name, entry) in zip(names, shown) {
      table.rows.append([name, shortened(entry.value.text(limit: room), to: room + 20)])
    }
    for value in hidden.prefix(12) { table.rows.append([printable(value.path), value.value.text(limit: room)]) }
    if hidden.count > 12 { table.rows.append(["…", "\(hidden.count - 12) more values (--json lists all)"]) }
    add(table.lines(terminal))
  }

  /// Whether a value lies in an entry of the root that also holds a section deeper down.
  private func isBesideSection(_ path: String) -> Bool {
    listing.sections.contains { row in
      guard row.section.path.steps.count > 1, let first = row.section.path.steps.first else { return false }
      return path.utf8.starts(with: first.text.utf8) && path.utf8.dropFirst(first.text.utf8.count).first == 0x2E
    }
  }
}

extension Value {
  /// Whether it is one number, word or None.
  var isScalar: Bool {
    switch self {
    case .none, .bool, .int, .bigInt, .double, .complex, .string, .surrogateString, .token: true
    case .tensor(let tensor): tensor.shape.isEmpty
    default: false
    }
  }

  /// What lies one step below the root.
  fileprivate var topEntries: [(step: TreePath.Step, value: Value)] {
    switch self {
    case .dict(let dict): dict.entries.map { (.key($0.key), $0.value) }
    case .sequence(_, let items): items.enumerated().map { (.index($0), $1) }
    case .record(let record): record.fields.map { (.field($0.name), $0.value) }
    default: []
    }
  }
}
