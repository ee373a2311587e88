/// The parameters of a model as an optimizer may own them: names and shapes in order.
struct NamedShapes {
  let path: TreePath
  /// Every name of the state dict, buffers included.
  let all: Set<Key>
  let names: [String]
  let shapes: [[Int]]
  /// Whether the order says nothing: the names are sorted, as safetensors files have them, and not as a module registers
  /// its parameters.
  let isSorted: Bool
  /// Whether the order may be that of the names, and no more is known: no `state_dict()` gives an ordinary dict.
  let mayBeSorted: Bool

  init(path: TreePath, _ dict: StateDict) {
    let entries = dict.trainable
    let hasOrder = Self.hasOrder(dict.dict)
    isSorted = hasOrder && dict.dict.attributes.contains { $0.name.hasSameBytes(as: "__metadata__") }
    mayBeSorted = hasOrder && dict.dict.kind == .plain
    self.path = path
    all = Set(dict.dict.entries.map(\.key))
    names = entries.map(\.name)
    shapes = entries.compactMap { $0.tensor?.shape }
  }

  /// Whether a dict has the order of safetensors files, which `__metadata__` tells: by dtype, then by name.
  private static func hasOrder(_ dict: Dict) -> Bool {
    guard dict.count > 1 else { return false }
    return zip(dict.entries, dict.entries.dropFirst()).allSatisfy { before, after in
      guard case .tensor(let a) = before.value, case .tensor(let b) = after.value, a.dtype == b.dtype else {
        return true
      }
      return before.key.text.utf8.lexicographicallyPrecedes(after.key.text.utf8)
    }
  }

  private init(path: TreePath, all: Set<Key>, names: [String], shapes: [[Int]], isSorted: Bool, mayBeSorted: Bool) {
    (self.isSorted, self.mayBeSorted) = (isSorted, mayBeSorted)
    self.path = path
    self.all = all
    self.names = names
    self.shapes = shapes
  }

  /// The model's parts by the first component of the names, where there are several (`generator.…`,
  /// `discriminator.…`): an optimizer may own one of them.
  var parts: [NamedShapes] {
    var order: [Key] = []
    var members: [Key: [Int]] = [:]
    for (index, name) in names.enumerated() {
      guard let dot = name.utf8.firstIndex(of: 0x2E) else { continue }
      let key = Key.string(String(name[..<dot]))
      if members[key] == nil { order.append(key) }
      members[key, default: []].append(index)
    }
    guard order.count > 1 else { return [] }
    return order.map { key in
      let indices = members[key] ?? []
      return NamedShapes(
        path: path.appending(.key(key)), all: all, names: indices.map { names[$0] },
        shapes: indices.map { shapes[$0] }, isSorted: isSorted, mayBeSorted: mayBeSorted)
    }
  }

  /// The same parameters in the order of their names' bytes, as optimizers have them that were built from sorted names.
  var sorted: NamedShapes {
    let order = names.indices.sorted { names[$0].utf8.lexicographicallyPrecedes(names[$1].utf8) }
    return NamedShapes(
      path: path, all: all, names: order.map { names[$0] }, shapes: order.map { shapes[$0] }, isSorted: true,
      mayBeSorted: true)
  }
}

extension OptimizerState {
  /// The shape of each parameter, by group; nil where there is no state yet that tells it.
  public var shapes: [[[Int]?]] {
    groups.map { group in group.params.map { slots(of: $0).flatMap(Self.shape) } }
  }

  /// Slots that have the parameter's own shape whatever it is, a scalar included.
  private static let likeParameter = [
    "exp_avg", "momentum_buffer", "square_avg", "sum", "exp_inf", "exp_avg_sq", "prev", "ax", "acc_delta", "variance",
    "state1",
  ]

  private static func shape(of slots: Dict) -> [Int]? {
    for name in likeParameter {
      if let shape = slots[name].flatMap(shape(of:)) { return shape }
    }
    if let shape = factored(slots) { return shape }
    // L-BFGS keeps one flat vector for all parameters, at the first.
    if slots["prev_flat_grad"] != nil { return nil }
    if case .dict(let wrapped)? = slots["__bnb_optimizer_quant_state__"] {
      return wrapped["state1"].flatMap(shape(of:))
    }
    // A slot that is not known here: where all tensors but scalars agree, that is the parameter's shape.
    var common: [Int]?
    for slot in slots.entries {
      guard case .tensor(let tensor) = slot.value, !tensor.shape.isEmpty else { continue }
      guard common == nil || common == tensor.shape else { return nil }
      common = tensor.shape
    }
    return common
  }

  /// Of a tensor, or of a subclass that wraps others, as quantised states are.
  private static func shape(of slot: Value) -> [Int]? {
    switch slot {
    case .tensor(let tensor): tensor.shape
    case .record(let record):
      record.type.hasSameBytes(as: "torch.wrapper_subclass") ? record["size"].flatMap(sizes) : nil
    default: nil
    }
  }

  private static func sizes(_ value: Value) -> [Int]? {
    switch value {
    case .size(let sizes): return sizes.map { Int($0) }
    case .sequence(_, let items):
      let sizes = items.compactMap { if case .int(let size) = $0 { Int(size) } else { nil } }
      return sizes.count == items.count ? sizes : nil
    default: return nil
    }
  }

  /// Adafactor keeps a matrix's rows and columns in place of the matrix.
  private static func factored(_ slots: Dict) -> [Int]? {
    guard case .tensor(let rows)? = slots["row_var"], case .tensor(let columns)? = slots["col_var"],
      rows.shape.count == columns.shape.count
    else { return nil }
    return zip(rows.shape, columns.shape).map { max($0, $1) }
  }
}
