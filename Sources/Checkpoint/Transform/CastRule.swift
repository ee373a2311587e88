/// Which tensors get which element type.
///
/// Without a pattern: the floating-point tensors of all state dicts (of the whole tree, optimizers aside, where there is
/// no state dict). With one: the tensors whose path or name fits; integers stay integers and floats stay floats unless
/// the pattern names one tensor. What an optimizer keeps is left alone unless the pattern names it by its path: the
/// optimizer (`optimizer.*`) or the slot (`*.exp_avg`), and `step` by its own name only.
public struct CastRule: Sendable {
  public let glob: Glob?
  public let dtype: DType

  /// From `[GLOB=]DTYPE`.
  ///
  /// - Throws: `usage` for a type that is not known, or one that needs a pattern.
  public init(_ text: String) throws(CheckpointError) {
    var name = text[...]
    var glob: Glob?
    if let equals = text.lastIndex(of: "=") {
      name = text[text.index(after: equals)...]
      glob = Glob(String(text[..<equals]))
    }
    if name.hasPrefix("torch.") { name = name.dropFirst(6) }
    guard let dtype = Self.aliases[String(name)] ?? DType(rawValue: String(name)) else {
      throw CheckpointError(
        .usage, "'\(name)' is no element type", advice: "Types are spelled as PyTorch does: float32, bfloat16, int64, …"
      )
    }
    try self.init(glob, dtype)
  }

  /// - Throws: `usage` for a type that needs a pattern.
  public init(_ glob: Glob?, _ dtype: DType) throws(CheckpointError) {
    guard glob != nil || dtype.isFloatingPoint else {
      throw CheckpointError(
        .usage, "\(dtype.rawValue) is no floating-point type; say which tensors are meant: GLOB=\(dtype.rawValue)")
    }
    self.glob = glob
    self.dtype = dtype
  }

  private static let aliases: [String: DType] = [
    "double": .float64, "float": .float32, "fp32": .float32, "half": .float16, "fp16": .float16, "bf16": .bfloat16,
    "long": .int64, "int": .int32, "short": .int16,
  ]
}

/// Which storage becomes which type. Decided by storage, so that tied tensors stay tied: what names one names both.
struct CastPlan {
  private struct Identity: Hashable {
    let source: ObjectIdentifier
    let dtype: DType
  }

  private var planned: [Identity: CastSource] = [:]
  private(set) var sources: [(path: String, source: CastSource)] = []
  /// A warning for each rule that found nothing.
  private(set) var unused: [String] = []

  init(_ rules: [CastRule], _ root: Value, _ sections: [TreePath: Section]) throws(CheckpointError) {
    guard !rules.isEmpty else { return }
    let anywhere = !sections.values.contains { $0.kind == .stateDict }
    var targets: [Identity: (path: String, tensor: Tensor, to: DType)] = [:]
    var order: [Identity] = []
    var used: Set<Int> = []
    try root.forEachTensor(attributes: true) { (path, text, tensor) throws(CheckpointError) in
      let place = TensorPlace(path, text, sections)
      for (index, rule) in rules.enumerated() where place.fits(rule, tensor.dtype, anywhere: anywhere) {
        used.insert(index)
        let identity = Identity(source: ObjectIdentifier(tensor.source), dtype: tensor.dtype)
        if targets[identity] == nil { order.append(identity) }
        targets[identity] = (targets[identity]?.path ?? text, tensor, rule.dtype)
      }
    }
    for identity in order {
      guard let target = targets[identity], target.to != identity.dtype else { continue }
      do throws(CheckpointError) {
        let source = try CastSource(target.tensor.source, from: identity.dtype, to: target.to)
        planned[identity] = source
        sources.append((target.path, source))
      } catch { throw error.at(target.path) }
    }
    unused = rules.indices.filter { !used.contains($0) }.map { index in
      "--dtype '\(rules[index].glob.map { "\($0)=" } ?? "")\(rules[index].dtype.rawValue)' matches no tensor"
    }
  }

  var isEmpty: Bool { planned.isEmpty }

  func cast(_ tensor: Tensor) throws(CheckpointError) -> Tensor {
    let identity = Identity(source: ObjectIdentifier(tensor.source), dtype: tensor.dtype)
    guard let source = planned[identity] else { return tensor }
    // Integers have no gradient.
    let grad = tensor.requiresGrad && (source.to.isFloatingPoint || source.to.isComplex)
    return try Tensor(dtype: source.to, shape: tensor.shape, source: source, kind: tensor.kind, requiresGrad: grad)
  }

  /// The value with every tensor in it cast as planned.
  func cast(_ value: Value) throws(CheckpointError) -> Value {
    if isEmpty { return value }
    switch value {
    case .tensor(let tensor): return .tensor(try cast(tensor))
    case .dict(var dict):
      for index in dict.entries.indices { dict.entries[index].value = try cast(dict.entries[index].value) }
      return .dict(dict)
    case .sequence(let kind, var items):
      for index in items.indices { items[index] = try cast(items[index]) }
      return .sequence(kind, items)
    case .record(var record):
      for index in record.fields.indices { record.fields[index].value = try cast(record.fields[index].value) }
      return .record(record)
    default: return value
    }
  }
}

/// Where a tensor lies, as the rules see it.
private struct TensorPlace {
  let text: String
  let name: String
  let section: Section?
  /// The slot, inside an optimizer.
  let slot: String
  let insideRecord: Bool

  init(_ path: TreePath, _ text: String, _ sections: [TreePath: Section]) {
    self.text = text
    var found: Section?
    for length in 0..<path.steps.count where found == nil {
      found = sections[TreePath(Array(path.steps.prefix(length)))]
    }
    section = found
    let inner = TreePath(Array(path.steps.dropFirst(found?.path.steps.count ?? 0)))
    name = inner.text
    slot = path.steps.last?.text ?? ""
    insideRecord = path.steps.contains { if case .field = $0 { true } else { false } }
  }

  func fits(_ rule: CastRule, _ dtype: DType, anywhere: Bool) -> Bool {
    guard let glob = rule.glob else {
      guard dtype.isFloatingPoint, !insideRecord, dtype.number != nil else { return false }
      return section?.kind == .stateDict || (anywhere && section == nil)
    }
    let optimizer = section?.kind == .optimizer
    guard glob.matches(text) || (!optimizer && glob.matches(name)) else { return false }
    if optimizer, !names(slotBy: glob) { return false }
    if glob.isLiteral { return true }
    return dtype.number != nil && !insideRecord && dtype != .bool && dtype.isFloatingPoint == rule.dtype.isFloatingPoint
  }

  /// Whether a pattern means an optimizer's tensor and does not merely happen to fit it.
  private func names(slotBy glob: Glob) -> Bool {
    if glob.pattern.utf8.contains(slot) { return true }
    guard slot != "step", let owner = section?.text else { return false }
    return glob.literalPrefix.utf8.starts(with: owner.isEmpty ? "state".utf8 : owner.utf8)
  }
}

extension String.UTF8View {
  fileprivate func contains(_ text: String) -> Bool {
    let wanted = Array(text.utf8)
    let bytes = Array(self)
    guard !wanted.isEmpty, wanted.count <= bytes.count else { return false }
    return (0...(bytes.count - wanted.count)).contains { bytes[$0..<($0 + wanted.count)].elementsEqual(wanted) }
  }
}
