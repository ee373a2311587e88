/// A walk over the leaves of a tree in file order: scalars, text, tensors, and containers that are empty.
///
/// It keeps its own stack, so a deep tree costs memory and not the thread's stack.
struct TreeWalk {
  private struct Level {
    var children: Children
    var next = 0
    /// How much of the path's text was there before this level.
    let textLength: Int
    /// Whether a step below is the first that is seen in the text.
    let isFirst: Bool
  }

  private var levels: [Level] = []
  private var path = TreePath()
  private var text: [UInt8] = []
  private let attributes: Bool

  init(attributes: Bool) { self.attributes = attributes }

  mutating func run(
    _ root: Value, _ body: (TreePath, String, Value) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard let children = Children(root, attributes: attributes) else { return try body(path, "", root) }
    levels.append(Level(children: children, textLength: 0, isFirst: true))
    while let level = levels.last {
      guard level.next < level.children.count else {
        levels.removeLast()
        if !levels.isEmpty { path.steps.removeLast() }
        continue
      }
      levels[levels.count - 1].next += 1
      let (step, value) = level.children[level.next]
      text.removeSubrange(level.textLength...)
      if step.hasText {
        if !level.isFirst { text.append(0x2E) }
        text.append(contentsOf: step.text.utf8)
      }
      path.steps.append(step)
      if let below = Children(value, attributes: attributes) {
        levels.append(
          Level(children: below, textLength: text.count, isFirst: level.isFirst && !step.hasText))
      } else {
        try body(path, String(decoding: text, as: UTF8.self), value)
        path.steps.removeLast()
      }
    }
  }
}

/// What lies directly below a value, in order; nil for a leaf (an empty container is one).
struct Children {
  private enum Source {
    case items([Value])
    case entries([Dict.Entry], attributes: [Record.Field])
    case fields(Record)
  }

  private let source: Source
  let count: Int

  init?(_ value: Value, attributes: Bool) {
    switch value {
    case .sequence(_, let items):
      source = .items(items)
      count = items.count
    case .dict(let dict):
      let extras = attributes ? dict.attributes : []
      source = .entries(dict.entries, attributes: extras)
      count = dict.entries.count + extras.count
    case .record(let record):
      source = .fields(record)
      count = record.fields.count
    default: return nil
    }
    if count == 0 { return nil }
  }

  subscript(index: Int) -> (step: TreePath.Step, value: Value) {
    switch source {
    case .items(let items): (.index(index), items[index])
    case .fields(let record): (record.step(to: record.fields[index].name), record.fields[index].value)
    case .entries(let entries, let attributes):
      index < entries.count
        ? (.key(entries[index].key), entries[index].value)
        : (.attribute(attributes[index - entries.count].name), attributes[index - entries.count].value)
    }
  }
}

extension Value {
  /// Calls `body` for each leaf in file order with its path, the path's text, and the value. A leaf is whatever holds
  /// nothing else: scalars, text, tensors, and containers that are empty.
  ///
  /// - Parameter attributes: whether to visit the attributes of dictionary objects too (`_metadata`), after the
  ///   dictionary's entries.
  public func forEachLeaf(
    attributes: Bool = false, _ body: (TreePath, String, Value) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var walk = TreeWalk(attributes: attributes)
    try walk.run(self, body)
  }

  /// Calls `body` for each tensor in file order, those inside records (sparse, quantised) included.
  public func forEachTensor(
    attributes: Bool = false, _ body: (TreePath, String, Tensor) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try forEachLeaf(attributes: attributes) { (path, text, value) throws(CheckpointError) in
      if case .tensor(let tensor) = value { try body(path, text, tensor) }
    }
  }

  /// What lies one step below, or nil where there is no such thing.
  public subscript(step: TreePath.Step) -> Value? {
    switch (self, step) {
    case (.sequence(_, let items), .index(let index)): items.indices.contains(index) ? items[index] : nil
    case (.dict(let dict), .key(let key)): dict[key]
    case (.dict(let dict), .attribute(let name)): dict.attributes.first { $0.name.hasSameBytes(as: name) }?.value
    case (.record(let record), .field(let name)), (.record(let record), .part(let name)):
      record.fields.first { $0.name.hasSameBytes(as: name) }?.value
    default: nil
    }
  }

  /// What lies at a path, or nil where there is no such thing.
  public subscript(path: TreePath) -> Value? {
    var value = self
    for step in path.steps {
      guard let next = value[step] else { return nil }
      value = next
    }
    return value
  }
}
