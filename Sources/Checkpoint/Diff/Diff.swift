/// What two checkpoints differ in: the whole tree, with types, order, attributes and ties.
public struct Diff: Sendable {
  public struct Options: Sendable {
    /// When numbers count as equal although their bits differ; nil compares bits.
    public var tolerance: Tolerance?
    /// Paths not to be looked at.
    public var ignore: [Glob]
    /// Whether equal recorded digests are taken on faith, without reading the bytes.
    public var trustDigests: Bool

    public init(tolerance: Tolerance? = nil, ignore: [Glob] = [], trustDigests: Bool = false) {
      self.tolerance = tolerance
      self.ignore = ignore
      self.trustDigests = trustDigests
    }
  }

  /// One difference between things that are on both sides.
  public struct Change: Sendable {
    public enum What: String, Sendable {
      /// Same type, another value.
      case value
      /// A tensor of another element type.
      case dtype
      /// A tensor of another shape.
      case shape
      /// Another kind of thing: list and tuple, dict and OrderedDict, int and double, Parameter and plain tensor.
      case type
      /// The same keys in another order.
      case order
    }

    public let path: String
    public let what: What
    /// What either side has: the scalar; the name of the dtype or type; the shape as a list; for `order`, the first
    /// key that is not the same. Nil for tensors that differ in their numbers.
    public let a, b: Value?
    /// The numbers' differences, for tensors and for plain numbers.
    public let difference: TensorDifference?
  }

  /// Paths of what one side alone has; what is below them is not listed.
  public fileprivate(set) var onlyInA: [String] = []
  public fileprivate(set) var onlyInB: [String] = []
  public fileprivate(set) var changed: [Change] = []

  public var isEqual: Bool { onlyInA.isEmpty && onlyInB.isEmpty && changed.isEmpty }

  /// Compares two trees; the order of the result is that of `a`.
  public init(_ a: Value, _ b: Value, _ options: Options = Options()) throws(CheckpointError) {
    var walk = DiffWalk(options)
    try walk.compare(a, b)
    self = walk.result
  }

  fileprivate init() {}
}

/// The walk over both trees. It keeps its own stack.
private struct DiffWalk {
  private enum Task {
    case compare(Value, Value, TreePath)
    case onlyA(Value, TreePath)
    case onlyB(Value, TreePath)
  }

  private(set) var result = Diff()
  private let options: Diff.Options
  private var open: [Task] = []
  private var ties = (a: TiePaths(), b: TiePaths())

  init(_ options: Diff.Options) { self.options = options }

  mutating func compare(_ a: Value, _ b: Value) throws(CheckpointError) {
    open = [.compare(a, b, TreePath())]
    while let task = open.popLast() {
      switch task {
      case .compare(let a, let b, let path):
        let text = path.text
        if options.ignore.matches(text) { continue }
        try compare(a, b, path, text)
      case .onlyA(let value, let path): if counts(value, path) { result.onlyInA.append(path.text) }
      case .onlyB(let value, let path): if counts(value, path) { result.onlyInB.append(path.text) }
      }
    }
  }

  /// Whether anything below a one-sided path is not ignored.
  private func counts(_ value: Value, _ path: TreePath) -> Bool {
    guard !options.ignore.isEmpty else { return true }
    let prefix = path.text
    if options.ignore.matches(prefix) { return false }
    var some = false
    // The walk throws only what its body throws.
    try? value.forEachLeaf(attributes: true) { _, text, _ in
      some = some || !options.ignore.matches(text.isEmpty ? prefix : "\(prefix).\(text)")
    }
    return some
  }

  private mutating func compare(_ a: Value, _ b: Value, _ path: TreePath, _ text: String) throws(CheckpointError) {
    switch (a, b) {
    case (.tensor(let x), .tensor(let y)): try compare(x, y, text)
    case (.dict(let x), .dict(let y)):
      note(text, .type, x.kind.name, y.kind.name)
      pair(x, y, path, text)
    case (.sequence(let k, let x), .sequence(let l, let y)):
      note(text, .type, k.rawValue, l.rawValue)
      pair(x, y, path)
    case (.record(let x), .record(let y)):
      note(text, .type, x.type, y.type)
      pair(x.fields, y.fields, path, text) { x.step(to: $0) }
    default: leaf(a, b, text)
    }
  }

  /// A change when two names are not the same.
  private mutating func note(_ path: String, _ what: Diff.Change.What, _ a: String, _ b: String) {
    guard !a.hasSameBytes(as: b) else { return }
    result.changed.append(Diff.Change(path: path, what: what, a: .string(a), b: .string(b), difference: nil))
  }

  private mutating func leaf(_ a: Value, _ b: Value, _ text: String) {
    guard a.typeName == b.typeName else { return note(text, .type, a.typeName, b.typeName) }
    guard !a.hasSameScalar(as: b) else { return }
    var difference: TensorDifference?
    if let x = a.number, let y = b.number {
      if let tolerance = options.tolerance, tolerance.covers(x, y) { return }
      let distance = x == y || (x.isNaN && y.isNaN) ? 0 : (x - y).magnitude
      difference = TensorDifference(
        differing: 1, maxAbs: distance,
        maxRel: distance == 0 ? 0 : distance.isInfinite ? distance : distance / y.magnitude)
    }
    result.changed.append(Diff.Change(path: text, what: .value, a: a, b: b, difference: difference))
  }
}

// MARK: - Containers

extension DiffWalk {
  private mutating func pair(_ a: [Value], _ b: [Value], _ path: TreePath) {
    var tasks: [Task] = []
    for index in 0..<max(a.count, b.count) {
      let below = path.appending(.index(index))
      if index >= a.count {
        tasks.append(.onlyB(b[index], below))
      } else if index >= b.count {
        tasks.append(.onlyA(a[index], below))
      } else {
        tasks.append(.compare(a[index], b[index], below))
      }
    }
    open.append(contentsOf: tasks.reversed())
  }

  private mutating func pair(_ a: Dict, _ b: Dict, _ path: TreePath, _ text: String) {
    // Pushed first, so done last: attributes come after the entries.
    pair(a.attributes, b.attributes, path, text) { .attribute($0) }
    pair(a.entries, b.entries, path, text) { .key($0) }
  }

  private mutating func pair(
    _ a: [Record.Field], _ b: [Record.Field], _ path: TreePath, _ text: String, _ step: (String) -> TreePath.Step
  ) {
    let entries = [a, b].map { $0.map { Dict.Entry(.string($0.name), $0.value) } }
    pair(entries[0], entries[1], path, text) { step($0.text) }
  }

  private mutating func pair(
    _ a: [Dict.Entry], _ b: [Dict.Entry], _ path: TreePath, _ text: String, _ step: (Key) -> TreePath.Step
  ) {
    let inA = Dictionary(a.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { first, _ in first })
    let inB = Dictionary(b.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { first, _ in first })
    var tasks: [Task] = []
    for entry in a {
      let below = path.appending(step(entry.key))
      if let other = inB[entry.key] {
        tasks.append(.compare(entry.value, b[other].value, below))
      } else {
        tasks.append(.onlyA(entry.value, below))
      }
    }
    for entry in b where inA[entry.key] == nil {
      tasks.append(.onlyB(entry.value, path.appending(step(entry.key))))
    }
    let common = (a.filter { inB[$0.key] != nil }, b.filter { inA[$0.key] != nil })
    if let (x, y) = zip(common.0, common.1).first(where: { $0.key != $1.key }) {
      result.changed.append(
        Diff.Change(path: text, what: .order, a: .string(x.key.text), b: .string(y.key.text), difference: nil))
    }
    open.append(contentsOf: tasks.reversed())
  }
}

// MARK: - Tensors

extension DiffWalk {
  private mutating func compare(_ a: Tensor, _ b: Tensor, _ text: String) throws(CheckpointError) {
    note(text, .type, a.typeName, b.typeName)
    let owners = (ties.a.owner(of: a, at: text), ties.b.owner(of: b, at: text))
    if owners.0.map(Key.string) != owners.1.map(Key.string) {
      note(
        text, .type, owners.0.map { "tied to \($0)" } ?? "own storage",
        owners.1.map { "tied to \($0)" } ?? "own storage")
    }
    note(text, .dtype, a.dtype.rawValue, b.dtype.rawValue)
    guard a.shape == b.shape else {
      let shapes = [a.shape, b.shape].map { Value.sequence(.list, $0.map { .int(Int64($0)) }) }
      result.changed.append(Diff.Change(path: text, what: .shape, a: shapes[0], b: shapes[1], difference: nil))
      return
    }
    guard a.dtype == b.dtype else { return }
    // The first of a tie was compared already; so were its bytes.
    if let owner = owners.0, let other = owners.1, owner.hasSameBytes(as: other) { return }
    if options.trustDigests, let x = a.recordedDigest, let y = b.recordedDigest, x == y { return }
    do throws(CheckpointError) {
      guard let difference = try a.difference(from: b, tolerance: options.tolerance) else { return }
      result.changed.append(Diff.Change(path: text, what: .value, a: nil, b: nil, difference: difference))
    } catch {
      throw error.at(text)
    }
  }
}

/// Which path had a storage first.
private struct TiePaths {
  private var finder = TieFinder()
  private var paths: [String] = []

  mutating func owner(of tensor: Tensor, at path: String) -> String? {
    if let owner = finder.owner(of: tensor, at: paths.count) { return paths[owner] }
    paths.append(path)
    return nil
  }
}
