import Checkpoint
import CommandSupport

// MARK: - Optimizers

extension InspectView {
  mutating func optimizer(_ index: Int) {
    let row = listing.sections[index]
    guard let optimizer = row.optimizer else { return }
    let state = optimizer.state
    var title = optimizer.algorithm.name.map(printable) ?? "unknown algorithm"
    if let step = optimizer.step { title += ", step \(style.bold(grouped(Int(step))))" }
    heading("Optimizer", "\(title)\(place(row))")
    let elements = elements(of: optimizer)
    let total = elements.compactMap(\.self).reduce(0, +)
    let known = elements.contains(nil) || elements.isEmpty ? "" : " (\(counted(total, "element")))"
    var words = ["\(counted(state.keys.count, "parameter"))\(known) in \(counted(state.groups.count, "group"))"]
    let slots = state.slotNames.filter { !$0.hasSameBytes(as: "step") }.map(printable)
    if !slots.isEmpty { words.append("\(slots.joined(separator: ", ")): \(size(row.bytes))") }
    if state.state.count == 0 { words.append("no state yet") }
    if !state.orphans.isEmpty { words.append("state of \(state.orphans.count) more that no group has") }
    add(flowed(words.joined(separator: "; ")))
    if !state.keys.isEmpty {
      add(flowed("parameter names: \(printable(optimizer.names.evidence))").map(style.dim))
    }
    let options = Self.shownOptions(state)
    let (same, differing) = (options.filter { isSame($0, state) }, options.filter { !isSame($0, state) })
    if let first = state.groups.first {
      add(facts: same.map { (printable($0.text), first.dict[$0]?.brief ?? "-") }, limit: 30)
    }
    guard state.groups.count > 1 else { return }
    add(groups(optimizer, differing, elements).lines(terminal))
    if state.groups.count > Self.groupLimit {
      let place = row.text.isEmpty ? "param_groups" : "\(row.text).param_groups"
      add(["  … and \(state.groups.count - Self.groupLimit) more (--values \(printable(place)) lists all)"])
    }
  }

  private static let groupLimit = 16

  /// Whether all groups have one value for an option.
  private func isSame(_ option: Key, _ state: OptimizerState) -> Bool {
    let texts = state.groups.map { $0.dict[option]?.text(limit: 200) }
    return texts.allSatisfy { $0 == texts.first }
  }

  /// One row for each group, with the options in which the groups differ.
  private func groups(_ optimizer: Listing.OptimizerRow, _ options: [Key], _ elements: [Int?]) -> Table {
    var table = Table(
      [Table.Column(title: "group", alignment: .right)]
        + options.map { Table.Column(title: printable($0.text), alignment: .right) } + [
          Table.Column(title: "parameters", alignment: .right), Table.Column(title: "elements", alignment: .right),
        ])
    var position = 0
    for (number, group) in optimizer.state.groups.prefix(Self.groupLimit).enumerated() {
      let known = elements[position..<(position + group.params.count)].compactMap(\.self)
      position += group.params.count
      table.rows.append(
        ["\(number)"] + options.map { key in group.dict[key]?.brief ?? "-" } + [
          grouped(group.params.count), known.count == group.params.count ? grouped(known.reduce(0, +)) : "?",
        ])
    }
    return table
  }

  /// The options that some group has switched on, in order; `amsgrad` always.
  private static func shownOptions(_ state: OptimizerState) -> [Key] {
    var seen: Set<Key> = []
    var keys: [Key] = []
    for group in state.groups {
      for option in group.options {
        let isOff =
          switch option.value {
          case .none, .bool(false): true
          default: false
          }
        let isDull = option.key == .string("decoupled_weight_decay")
        guard !isDull, !isOff || option.key == .string("amsgrad"), seen.insert(option.key).inserted else { continue }
        keys.append(option.key)
      }
    }
    let known = usualOrder.filter(seen.contains)
    return known + keys.filter { !usualOrder.contains($0) }
  }

  private static let usualOrder = [
    "lr", "betas", "momentum", "dampening", "nesterov", "alpha", "rho", "lr_decay", "eps", "weight_decay", "amsgrad",
  ].map(Key.string)

  /// The size of each parameter: that of its largest slot, or of the model's tensor of its name.
  private func elements(of optimizer: Listing.OptimizerRow) -> [Int?] {
    var byName: [Key: Int] = [:]
    if let model = optimizer.names.model, case .dict(let dict)? = root[model] {
      for entry in dict.entries { if case .tensor(let tensor) = entry.value { byName[entry.key] = tensor.count } }
    }
    let shapes = optimizer.state.shapes.flatMap { $0 }
    return zip(zip(optimizer.state.keys, shapes), optimizer.names.names).map { state, name in
      let (key, shape) = state
      if let count = byName[.string(name)] ?? shape?.reduce(1, { $0.multipliedReportingOverflow(by: $1).partialValue })
      {
        return count
      }
      let slots = optimizer.state.slots(of: key)?.entries ?? []
      return slots.compactMap { if case .tensor(let tensor) = $0.value { tensor.count } else { nil } }.max()
    }
  }

  private func place(_ row: Listing.SectionRow) -> String {
    row.text.isEmpty ? "" : style.dim("  at \(printable(row.text))")
  }
}

// MARK: - Models

extension InspectView {
  mutating func model(_ index: Int) {
    guard let value = root[listing.sections[index].section.path], let lens = StateDict(value) else { return }
    let pickled = PickledModule(value).map { ", a pickled \(printable($0.className))" } ?? ""
    model(lens, pickled, place(listing.sections[index]))
  }

  mutating func model(_ lens: StateDict, _ note: String, _ place: String) {
    let totals = ModelTotals(lens)
    let summary = totals.tensors > 0 ? totals.summary : "no plain tensor"
    heading("Model", "\(summary)\(note)\(place)")
    var table = Table([
      Table.Column(title: "name", isFlexible: true),
      // The line below the table says it too when there is one type only.
      Table.Column(title: "dtype", isOptional: totals.byType.count == 1), Table.Column(title: "shape"),
      Table.Column(title: "", alignment: .right), Table.Column(title: "size", alignment: .right),
      Table.Column(title: "", isFlexible: true, isDim: true),
    ])
    for folded in sorted(Folding.fold(lens.entries.compactMap { $0.folded(lens) })) {
      table.rows.append([
        label(folded.name), folded.typeName, shape(folded.shape), folded.count > 1 ? "x\(folded.count)" : "",
        folded.isTied ? "" : size(folded.bytes), printable(folded.note),
      ])
    }
    add(table.lines(terminal))
    add(
      entries: lens.entries.filter { $0.tensor == nil && BlockTensor($0.value) == nil }.map { ($0.name, $0.value) },
      limit: 40)
    if totals.tensors > 0 { add(flowed(totals.types).map(style.dim)) }
    let prefixes = WrapperPrefix.all(in: lens.names)
    if !prefixes.isEmpty {
      let options = prefixes.map { "--strip-prefix \($0)" }.joined(separator: " ")
      add(flowed("names as a wrapper changed them; ckpt convert \(options) gives the model's own").map(style.dim))
    }
  }

  private func sorted(_ rows: [FoldedRow]) -> [FoldedRow] {
    switch order {
    case .file: rows
    case .name: rows.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    case .size: rows.sorted { $0.bytes > $1.bytes }
    }
  }
}

extension StateDict.Entry {
  /// The entry as a row of the table; nil for what is no tensor.
  fileprivate func folded(_ lens: StateDict) -> FoldedRow? {
    if let block = BlockTensor(value) {
      return FoldedRow(
        name: name, dtype: .uint8, block: printable(block.type), shape: block.shape, bytes: block.blocks.byteCount,
        count: 1, note: "")
    }
    guard let tensor else { return nil }
    var notes: [String] = []
    if let tiedTo { notes.append("= \(tiedTo)") }
    if role == .buffer { notes.append(tensor.kind == .buffer(persistent: false) ? "not persistent" : "buffer") }
    if role == .parameter, !tensor.requiresGrad { notes.append("frozen") }
    return FoldedRow(
      name: name, dtype: tensor.dtype, shape: tensor.shape, bytes: tiedTo == nil ? tensor.byteCount : 0, count: 1,
      note: notes.joined(separator: ", "))
  }
}

/// How much a model holds, each storage counted once.
struct ModelTotals {
  private(set) var tensors = 0
  private(set) var parameters = 0
  private(set) var buffers = 0
  private(set) var bytes = 0
  private(set) var tied = 0
  /// Bytes by element type, in the order in which they are met.
  private(set) var byType: [(name: String, bytes: Int)] = []

  init(_ lens: StateDict) {
    for entry in lens.entries {
      if let block = BlockTensor(entry.value) {
        tensors += 1
        parameters += block.count
        add(block.blocks.byteCount, of: printable(block.type))
      }
      guard let tensor = entry.tensor else { continue }
      tensors += 1
      guard entry.tiedTo == nil else {
        tied += 1
        continue
      }
      if entry.role == .buffer { buffers += tensor.count } else { parameters += tensor.count }
      add(tensor.byteCount, of: tensor.dtype.rawValue)
    }
  }

  private mutating func add(_ count: Int, of type: String) {
    bytes += count
    if let known = byType.firstIndex(where: { $0.name == type }) {
      byType[known].bytes += count
    } else {
      byType.append((type, count))
    }
  }

  /// `10,770,816 parameters, 43.1 MB`
  var summary: String {
    "\(counted(parameters, "parameter")), \(size(bytes))"
  }

  /// `40 tensors (1 tied); 48 elements in buffers; float32 99.9 %, int64 0.1 %`
  var types: String {
    var words = [counted(tensors, "tensor") + (tied > 0 ? ", \(tied) of them tied" : "")]
    if buffers > 0 { words.append("\(counted(buffers, "element")) in buffers") }
    if byType.count == 1, let only = byType.first {
      words.append("all \(only.name)")
    } else {
      let sorted = byType.sorted { $0.bytes > $1.bytes }
      words.append(sorted.map { "\($0.name) \(size($0.bytes))" }.joined(separator: ", "))
    }
    return words.joined(separator: "; ")
  }
}
