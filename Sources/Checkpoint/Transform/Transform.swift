/// What a conversion changes in a tree, as the options of `ckpt convert` say it.
///
/// All patterns are matched against the tree **as it was read**: against the path (`model.fc.weight`,
/// `optimizer.state.0.exp_avg`) and against the name inside the section (`fc.weight`; for what an optimizer keeps, the
/// name of its parameter). It is enough when one of the two fits.
///
/// Tensors that were tied stay tied: one source in, one source out.
public struct Transform: Sendable {
  public enum OptimizerKeys: String, Sendable, CaseIterable {
    /// Parameters are numbered 0, 1, … over the groups, as PyTorch does.
    case ids
    /// Parameters are called by their names.
    case names
    /// The same; and a distributed checkpoint has no groups, each parameter has all its options for itself
    /// (`StateDictOptions(flatten_optimizer_state_dict=True)`). Other formats have no such form.
    case flat
  }

  /// Tensors to keep; empty keeps all. Values that are no tensors stay. An optimizer keeps the parameters that fit by
  /// name or path, and vanishes when none does.
  public var include: [Glob] = []
  /// What to leave out: tensors by path or name, other values and whole sub-trees by path. A model tensor that is left
  /// out takes its optimizer state with it, so that both still load together; `*.exp_avg` leaves out just that slot.
  public var exclude: [Glob] = []
  /// Prefixes that are taken off the names of state dicts, each once, in whatever order they occur.
  public var stripPrefixes: [String] = []
  /// Applied to the names of state dicts in order, after the prefixes are gone.
  public var renames: [Rename] = []
  /// The last rule that fits a tensor wins.
  public var casts: [CastRule] = []
  /// Keep state dicts only. When there is one, it becomes the whole tree.
  public var modelOnly = false
  /// The path of the sub-tree that becomes the whole tree.
  public var key: String?
  /// How optimizers are to name their parameters; nil leaves them as they are.
  public var optimizerKeys: OptimizerKeys?

  public init() {}

  public struct Result: Sendable {
    public let root: Value
    public let warnings: [String]
    /// The casts that will be done when the tensors are read.
    public let casts: [(path: String, source: CastSource)]

    /// Warnings that are known only after the tensors were read: numbers too large for their new type.
    public var overflowWarnings: [String] {
      casts.compactMap { path, source in
        source.overflowed == 0
          ? nil
          : "\(path): \(source.overflowed) of \(source.byteCount / (source.to.itemSize ?? 1)) numbers are too large for "
            + "\(source.to.rawValue) and became \(source.to == .float8_e4m3fn ? "its largest" : "infinite")"
      }
    }
  }

  /// Whether the tree comes out as it is.
  public var isIdentity: Bool {
    include.isEmpty && exclude.isEmpty && stripPrefixes.isEmpty && renames.isEmpty && casts.isEmpty && !modelOnly
      && key == nil && optimizerKeys == nil
  }

  /// - Throws: `usage` for a path that is not there, names that clash, casts that do not exist, or when nothing is left.
  public func apply(to root: Value) throws(CheckpointError) -> Result {
    if isIdentity { return Result(root: root, warnings: [], casts: []) }
    var rewriter = try Rewriter(self, root)
    return try rewriter.run()
  }
}

/// One walk over the tree in which everything happens, so that all patterns see the paths as they were read.
struct Rewriter {
  let options: Transform
  let root: Value
  /// By path.
  let sections: [TreePath: Section]
  /// By path of the optimizer; empty unless an option needs names.
  var names: [TreePath: ParameterNames] = [:]
  let plan: CastPlan
  let renamer: Renamer
  var filter: Filter
  /// Names of model tensors that were left out, by path of their section.
  var removed: [TreePath: Set<Key>] = [:]
  var warnings: [String] = []
  var depth = 0

  /// Deeper than anything that is a checkpoint; the walk uses the thread's stack.
  private static let maximumDepth = 500

  init(_ options: Transform, _ root: Value) throws(CheckpointError) {
    self.options = options
    self.root = root
    let found = Recogniser.sections(in: root)
    sections = Dictionary(found.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
    plan = try CastPlan(options.casts, root, sections)
    renamer = try Renamer(prefixes: options.stripPrefixes, rules: options.renames)
    filter = Filter(include: options.include, exclude: options.exclude)
    let optimizers = found.filter { $0.kind == .optimizer }
    if !filter.isEmpty || options.optimizerKeys != nil, !optimizers.isEmpty, !options.modelOnly {
      for (section, known) in zip(optimizers, ParameterNames.resolve(in: root, sections: found)) {
        names[section.path] = known
        if !known.warnings.isEmpty { warnings += known.warnings.map { "\(section.text): \($0)" } }
      }
    }
    findRemoved(found.filter { $0.kind == .stateDict })
  }

  mutating func run() throws(CheckpointError) -> Transform.Result {
    var start = TreePath()
    if let key = options.key { start = try root.find(key) }
    if options.modelOnly {
      let models = sections.values.filter { $0.kind == .stateDict && $0.path.isInside(start) }
      guard let first = models.first else {
        throw CheckpointError(.usage, "there is no model: no dictionary of tensors under names was found")
      }
      if models.count == 1 { start = first.path }
    }
    guard let value = root[start], let result = try rewrite(value, start, start.text) else {
      throw CheckpointError(.usage, "nothing is left of the checkpoint", advice: "See --include, --exclude and --key.")
    }
    warnings += filter.unused + renamer.unused + plan.unused
    return Transform.Result(root: result, warnings: warnings, casts: plan.sources)
  }

  /// The value as it is to be; nil leaves it out.
  mutating func rewrite(_ value: Value, _ path: TreePath, _ text: String) throws(CheckpointError) -> Value? {
    guard depth < Self.maximumDepth else {
      throw CheckpointError(.unsupported, "the tree is nested deeper than \(Self.maximumDepth) levels", place: text)
    }
    depth += 1
    defer { depth -= 1 }
    if !path.steps.isEmpty, filter.excludes(text) { return nil }
    switch sections[path]?.kind {
    case .stateDict: return try stateDict(value, path)
    case .optimizer: return options.modelOnly ? nil : try optimizer(value, path, text)
    case nil: return try plain(value, path, text)
    }
  }

  private mutating func plain(_ value: Value, _ path: TreePath, _ text: String) throws(CheckpointError) -> Value? {
    switch value {
    case .tensor(let tensor):
      if options.modelOnly || !filter.includes(text) { return nil }
      return .tensor(try plan.cast(tensor))
    case .dict(var dict):
      let before = dict.count
      dict.entries = try entries(dict.entries, path, text)
      return dict.count == 0 && (before > 0 || options.modelOnly) ? nil : .dict(dict)
    case .sequence(let kind, let items):
      var kept: [Value] = []
      for (index, item) in items.enumerated() {
        let step = TreePath.Step.index(index)
        if let item = try rewrite(item, path.appending(step), joined(text, step)) { kept.append(item) }
      }
      return kept.isEmpty && (!items.isEmpty || options.modelOnly) ? nil : .sequence(kind, kept)
    case .record(let record): return try self.record(record, path, text)
    default: return options.modelOnly ? nil : value
    }
  }

  private mutating func entries(
    _ entries: [Dict.Entry], _ path: TreePath, _ text: String
  ) throws(CheckpointError) -> [Dict.Entry] {
    var kept: [Dict.Entry] = []
    kept.reserveCapacity(entries.count)
    for entry in entries {
      let step = TreePath.Step.key(entry.key)
      if let value = try rewrite(entry.value, path.appending(step), joined(text, step)) {
        kept.append(Dict.Entry(entry.key, value))
      }
    }
    return kept
  }

  /// A record is one thing: all of it stays or goes.
  private mutating func record(_ record: Record, _ path: TreePath, _ text: String) throws(CheckpointError) -> Value? {
    if options.modelOnly { return nil }
    return StateDict.isTensor(.record(record)) && !filter.includes(text) ? nil : try plan.cast(.record(record))
  }

  func joined(_ text: String, _ step: TreePath.Step) -> String {
    text.isEmpty ? step.text : "\(text).\(step.text)"
  }
}
