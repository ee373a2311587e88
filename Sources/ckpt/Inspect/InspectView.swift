import Checkpoint
import CheckpointFormats
import CommandSupport

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
    if let whole = NestedModel.joined(root, listing.sections.map(\.section)) {
      model(whole, "", "")
    } else {
      for section in listing.sections.indices where listing.sections[section].section.kind == .stateDict {
        model(section)
      }
    }
    others()
    if lines.count == 1 + (file.digest == nil ? 0 : 1) {
      add(["  \(cut(root.text(limit: textWidth), to: textWidth - 2))"])
    }
    warnings()
    return text
  }

  /// Whether the root itself is a model or an optimizer, so that all there is has been shown with it.
  private var isOneSection: Bool { listing.sections.contains { $0.section.path.steps.isEmpty } }

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
    if let framework = file.framework { words.append("saved by \(printable(framework))") }
    let (path, rest) = (printable(file.path), words.joined(separator: ", "))
    if terminal.width == nil || columns(path) + 2 + columns(rest) <= textWidth {
      add(["\(style.bold(path))  \(rest)"])
    } else {
      add([style.bold(path)] + flowed(rest))
    }
    if let digest = file.digest { add([style.dim("  content \(printable(digest))")]) }
  }

  mutating func warnings() {
    let all = file.warnings + listing.warnings
    guard !all.isEmpty else { return }
    add(all.map { style.warning("  warning: ") + printable($0) }, blank: true)
  }

  // MARK: - Training state

  /// Numbers and words directly at the root, or in its entry `training`; those of `metadata` under their own heading.
  private mutating func facts() {
    guard case .dict(let dict) = root, !isOneSection else { return }
    var found = Self.scalars(in: dict)
    if case .dict(let training)? = dict["training"] { found += Self.scalars(in: training) }
    show(found, under: "Training")
    if case .dict(let metadata)? = dict["metadata"] { show(Self.scalars(in: metadata), under: "Metadata") }
  }

  private mutating func show(_ facts: [(name: String, text: String)], under title: String) {
    guard !facts.isEmpty else { return }
    heading(title, "")
    add(facts: facts, limit: 30)
  }

  /// Names with their values side by side, in as many lines as they need.
  mutating func add(facts: [(name: String, text: String)], limit: Int) {
    let shown = facts.prefix(limit)
    add(
      wrapped(shown.map { "\($0.name) \(style.bold($0.text))" }, widths: shown.map { columns($0.name + $0.text) + 1 }))
    if facts.count > limit { add(["  … and \(grouped(facts.count - limit)) more (--json lists all)"]) }
  }

  private static func scalars(in dict: Dict) -> [(name: String, text: String)] {
    dict.entries.compactMap { entry in
      guard entry.value.isScalar else { return nil }
      return (shortened(label(entry.key.text), to: 60), entry.value.brief)
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

  /// Running text in lines that fit the terminal.
  func flowed(_ text: String) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, columns(last) + 1 + columns(String(word)) <= textWidth {
        lines[lines.count - 1] = "\(last) \(word)"
      } else {
        lines.append("  \(word)")
      }
    }
    return lines
  }

  mutating func heading(_ title: String, _ rest: String) {
    add([style.bold(title) + (rest.isEmpty ? "" : "  \(rest)")], blank: true)
  }

  // MARK: - The rest

  /// Entries of the root that are no section and no training fact, each in a line.
  private mutating func others() {
    if isOneSection { return }
    let shown = root.topEntries.filter { entry in
      !entry.value.isScalar && !listing.sections.contains { $0.section.path.steps.first == entry.step }
    }
    let hidden = listing.values.filter { value in value.section == nil && isBesideSection(value.path) }
    let opened = shown.flatMap(Self.opened)
    guard !opened.isEmpty || !hidden.isEmpty else { return }
    heading("Also in the file", "")
    add(entries: opened, limit: 40)
    add(entries: hidden.map { ($0.path, $0.value) }, limit: 12)
  }

  /// An entry of the root; a run's `training` and a model's `metadata`, whose scalars have been shown, entry by entry.
  private static func opened(_ entry: (step: TreePath.Step, value: Value)) -> [(name: String, value: Value)] {
    let name = name(of: entry.step)
    guard ["training", "metadata"].contains(name), case .dict(let dict) = entry.value else {
      return [(name, entry.value)]
    }
    return dict.entries.filter { !$0.value.isScalar }.map { ("\(name).\($0.key.text)", $0.value) }
  }

  private static func name(of step: TreePath.Step) -> String {
    if case .part(let name) = step { name } else { step.text }
  }

  /// A line for each of some values: its name and its beginning.
  mutating func add(entries: [(name: String, value: Value)], limit: Int) {
    var table = Table([Table.Column(title: ""), Table.Column(title: "")])
    table.hasTitles = false
    let shown = entries.prefix(limit).map { (name: shortened(label($0.name), to: 40), value: $0.value) }
    let widest = shown.map { columns($0.name) }.max() ?? 0
    let room = max(min(textWidth, 160) - 4 - widest, 20)
    for entry in shown { table.rows.append([entry.name, cut(entry.value.text(limit: room), to: room)]) }
    add(table.lines(terminal))
    if entries.count > limit { add(["  … and \(grouped(entries.count - limit)) more (--json lists all)"]) }
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

  /// A scalar, or a tuple of some, in a few characters: six digits of a number are enough to look at.
  var brief: String {
    switch self {
    case .double(let number): CommandSupport.short(number, digits: 6)
    case .sequence(.tuple, let items) where items.allSatisfy(\.isScalar):
      cut("(\(items.map(\.brief).joined(separator: ", ")))", to: 40)
    default: cut(text(limit: 40), to: 60)
    }
  }

  /// What lies one step below the root.
  fileprivate var topEntries: [(step: TreePath.Step, value: Value)] {
    switch self {
    case .dict(let dict): dict.entries.map { (.key($0.key), $0.value) }
    case .sequence(_, let items): items.enumerated().map { (.index($0), $1) }
    case .record(let record): record.fields.map { (record.step(to: $0.name), $0.value) }
    default: []
    }
  }
}
