import Checkpoint

/// Everything that is in a checkpoint, in file order: one walk over the tree, from which JSON and the view are made.
struct Listing: Sendable {
  /// A tensor and where it lies.
  struct TensorRow: Sendable {
    /// Where in `pathBytes` the path in the tree is, keys joined with `.`.
    var pathRange: Range<Int>
    /// The name in its section; a parameter's name in an optimizer.
    var name: String
    /// Index into `sections`.
    var section: Int?
    /// Which of an optimizer's slots it is.
    var slot: String?
    var tensor: Tensor
    /// Row of the tensor that it shares its storage with.
    var aliasOf: Int?
    /// The quantised tensor whose blocks these bytes are.
    var block: BlockTensor?
  }

  /// A leaf that is no tensor.
  struct ValueRow: Sendable {
    var path: String
    var value: Value
    var section: Int?
  }

  struct SectionRow: Sendable {
    var section: Section
    var text: String
    /// Entries, tied ones included.
    var tensors = 0
    /// Elements and bytes, each storage once.
    var elements = 0
    var bytes = 0
    var optimizer: OptimizerRow?
  }

  /// An optimizer, its parameters by name.
  struct OptimizerRow: Sendable {
    var state: OptimizerState
    var names: ParameterNames
    var algorithm: OptimizerState.Algorithm
    var step: Int64?
    /// Of Keras: the slots lie as the file has them, and not by parameter.
    var keras: KerasOptimizer?
  }

  var sections: [SectionRow] = []
  var tensors: [TensorRow] = []
  /// The paths of `tensors`, one after the other: ten thousand texts of their own would be as many allocations.
  private(set) var pathBytes: [UInt8] = []
  var values: [ValueRow] = []
  var warnings: [String] = []

  /// - Throws: what reading an optimizer's `step` tensors throws.
  init(_ root: Value) throws(CheckpointError) {
    let found = Recogniser.sections(in: root)
    sections = found.map { SectionRow(section: $0, text: $0.text) }
    try addOptimizers(root, found)
    var walk = ListingWalk(self)
    walk.visit(root)
    self = walk.finished
  }

  fileprivate mutating func addPath(_ path: [UInt8]) -> Range<Int> {
    let start = pathBytes.count
    pathBytes.append(contentsOf: path)
    return start..<pathBytes.count
  }

  /// The path of a tensor's row: as text, and as that text's bytes.
  func path(_ row: Int) -> String { String(decoding: pathUTF8(row), as: UTF8.self) }
  func pathUTF8(_ row: Int) -> ArraySlice<UInt8> { pathBytes[tensors[row].pathRange] }

  private mutating func addOptimizers(_ root: Value, _ found: [Section]) throws(CheckpointError) {
    guard found.contains(where: { $0.kind == .optimizer }) else { return }
    var names = ParameterNames.resolve(in: root, sections: found)[...]
    for index in sections.indices where sections[index].section.kind == .optimizer {
      guard let known = names.popFirst(), let value = root[found[index].path] else { continue }
      let keras = KerasOptimizer(value)
      guard let state = OptimizerState(value) ?? keras?.state else { continue }
      sections[index].optimizer = OptimizerRow(
        state: state, names: known, algorithm: state.algorithm, step: try state.step(), keras: keras)
      let place = sections[index].text
      warnings += known.warnings.map { place.isEmpty ? $0 : "\(place): \($0)" }
    }
  }
}

/// The walk. It is as deep as the tree, which readers bound.
private struct ListingWalk {
  private(set) var finished: Listing
  private var path: [UInt8] = []
  /// The path's steps, kept only outside of sections.
  private var steps = TreePath()
  private var nextSection = 0
  private var section: Int?
  private var sectionLength = 0
  private var owners: [ObjectIdentifier: Int] = [:]

  init(_ listing: Listing) { finished = listing }

  mutating func visit(_ value: Value) {
    switch value {
    case .tensor(let tensor): add(tensor, name: localName, slot: nil)
    case .dict(let dict):
      if section == nil, isNextSection { return enter(dict) }
      guard dict.count > 0 || !dict.attributes.isEmpty else { return add(value) }
      if dict.count == 0 { add(.dict(Dict([], kind: dict.kind))) }
      for entry in dict.entries { visit(entry.value, at: .key(entry.key)) }
      visit(dict.attributes)
    case .sequence(_, let items):
      guard !items.isEmpty else { return add(value) }
      for (index, item) in items.enumerated() { visit(item, at: .index(index)) }
    case .record(let record):
      guard !record.fields.isEmpty else { return add(value) }
      let first = finished.tensors.count
      for field in record.fields { visit(field.value, at: record.step(to: field.name)) }
      if let block = BlockTensor(value), first < finished.tensors.count { mark(first, block) }
    default: add(value)
    }
  }

  private mutating func visit(_ attributes: [Record.Field]) {
    for field in attributes { visit(field.value, at: .attribute(field.name)) }
  }

  private mutating func visit(_ value: Value, at step: TreePath.Step) {
    let length = path.count
    push(step)
    let tracked = section == nil
    if tracked { steps.steps.append(step) }
    visit(value)
    if tracked { steps.steps.removeLast() }
    path.removeSubrange(length...)
  }

  private mutating func push(_ step: TreePath.Step) {
    guard step.hasText else { return }
    if case .key(.string(let name)) = step { push(name) } else { push(step.text) }
  }

  private mutating func push(_ name: String) {
    if !path.isEmpty { path.append(0x2E) }
    path.append(contentsOf: name.utf8)
  }

  // MARK: - Sections

  /// Sections come in file order, and so does the walk.
  private var isNextSection: Bool {
    nextSection < finished.sections.count && finished.sections[nextSection].section.path == steps
  }

  private mutating func enter(_ dict: Dict) {
    section = nextSection
    nextSection += 1
    sectionLength = path.count
    defer { section = nil }
    if let index = section, let optimizer = finished.sections[index].optimizer {
      if let keras = optimizer.keras { kerasState(dict, keras) } else { optimizerState(dict, optimizer) }
    } else {
      finished.tensors.reserveCapacity(finished.tensors.count + dict.count)
      owners.reserveCapacity(owners.count + dict.count)
      for index in dict.entries.indices { named(dict, index) }
    }
    visit(dict.attributes)
  }

  /// An entry of a state dict: its key is its name.
  private mutating func named(_ dict: Dict, _ index: Int) {
    guard case .string(let name) = dict.entries[index].key, case .tensor(let tensor) = dict.entries[index].value else {
      return visit(dict.entries[index].value, at: .key(dict.entries[index].key))
    }
    let length = path.count
    push(name)
    add(tensor, name: name, slot: nil)
    path.removeSubrange(length...)
  }

  private mutating func optimizerState(_ dict: Dict, _ optimizer: Listing.OptimizerRow) {
    let names = Dictionary(
      zip(optimizer.state.keys, optimizer.names.names), uniquingKeysWith: { first, _ in first })
    for entry in dict.entries {
      guard entry.key == .string("state"), case .dict(let state) = entry.value, state.count > 0 else {
        visit(entry.value, at: .key(entry.key))
        continue
      }
      let length = path.count
      push(.key(entry.key))
      for parameter in state.entries {
        slots(parameter, names[parameter.key] ?? parameter.key.text)
      }
      visit(state.attributes)
      path.removeSubrange(length...)
    }
  }

  private mutating func kerasState(_ dict: Dict, _ keras: KerasOptimizer) {
    let first = finished.tensors.count
    for entry in dict.entries { visit(entry.value, at: .key(entry.key)) }
    for index in first..<finished.tensors.count {
      guard let slot = keras.slot(of: finished.tensors[index].tensor) else { continue }
      finished.tensors[index].name = slot.parameter
      finished.tensors[index].slot = slot.name
    }
  }

  private mutating func slots(_ parameter: Dict.Entry, _ name: String) {
    guard case .dict(let slots) = parameter.value, slots.count > 0 else {
      return visit(parameter.value, at: .key(parameter.key))
    }
    let length = path.count
    push(.key(parameter.key))
    for slot in slots.entries {
      let first = finished.tensors.count
      visit(slot.value, at: .key(slot.key))
      // A slot may be a list of tensors, as L-BFGS has them.
      for index in first..<finished.tensors.count {
        finished.tensors[index].name = name
        finished.tensors[index].slot = slot.key.text
      }
    }
    visit(slots.attributes)
    path.removeSubrange(length...)
  }

  // MARK: - Leaves

  /// The path inside the section.
  private var localName: String? {
    guard section != nil, sectionLength > 0 else { return nil }
    return String(decoding: path[min(sectionLength + 1, path.count)...], as: UTF8.self)
  }

  private mutating func add(_ tensor: Tensor, name: String?, slot: String?) {
    let row = finished.tensors.count
    let range = finished.addPath(path)
    var alias: Int?
    let identity = ObjectIdentifier(tensor.source)
    if let owner = owners[identity] {
      if finished.tensors[owner].tensor.isTied(to: tensor) { alias = owner }
    } else {
      owners[identity] = row
    }
    finished.tensors.append(
      Listing.TensorRow(
        pathRange: range, name: name ?? String(decoding: path, as: UTF8.self), section: section, slot: slot,
        tensor: tensor, aliasOf: alias))
    guard let section else { return }
    finished.sections[section].tensors += 1
    if alias == nil {
      finished.sections[section].elements += tensor.count
      finished.sections[section].bytes += tensor.byteCount
    }
  }

  /// Says of the row of some blocks what they are; their elements are those of the tensor.
  private mutating func mark(_ row: Int, _ block: BlockTensor) {
    finished.tensors[row].block = block
    guard let section, finished.tensors[row].aliasOf == nil else { return }
    finished.sections[section].elements += block.count - block.blocks.count
  }

  private mutating func add(_ value: Value) {
    finished.values.append(
      Listing.ValueRow(path: String(decoding: path, as: UTF8.self), value: value, section: section))
  }
}

// MARK: - Choosing and ordering

extension Listing {
  enum Order: String, Sendable, CaseIterable { case name, size, file }

  /// Rows of the tensors that a pattern fits, by path or by name (all, where there is no pattern), in the order asked.
  func rows(matching globs: [Glob], order: Order) -> [Int] {
    var rows = Array(tensors.indices)
    if !globs.isEmpty { rows = rows.filter { globs.matches(path($0)) || globs.matches(tensors[$0].name) } }
    switch order {
    case .file: return rows
    case .name: return rows.sorted { pathUTF8($0).lexicographicallyPrecedes(pathUTF8($1)) }
    case .size: return rows.sorted { (tensors[$0].tensor.byteCount, $1) > (tensors[$1].tensor.byteCount, $0) }
    }
  }
}
