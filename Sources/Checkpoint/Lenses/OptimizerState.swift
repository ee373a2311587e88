/// An optimizer's `state_dict()`: groups of parameters with their hyper-parameters, and named slots per parameter.
/// A view of a dictionary of the tree, which keeps everything.
public struct OptimizerState: Sendable {
  /// One entry of `param_groups`.
  public struct Group: Sendable {
    /// The group as the tree has it.
    public let dict: Dict
    /// The hyper-parameters in order: all entries but `params` and `param_names`.
    public let options: [Dict.Entry]
    /// The keys of its parameters, numbers or names.
    public let params: [Key]
    /// `param_names`, where the group has one string for each parameter.
    public let paramNames: [String]?

    /// A hyper-parameter (`lr`, `betas`, …).
    public subscript(name: String) -> Value? { dict[name] }
  }

  /// The dictionary as the tree has it.
  public let dict: Dict
  /// Its `state`.
  public let state: Dict
  public let groups: [Group]
  /// The parameters' keys, the groups one after the other. A position is an index into this.
  public let keys: [Key]
  /// The slots' names (`step`, `exp_avg`, …) in the order in which they are met.
  public let slotNames: [String]
  /// Keys of `state` that are in no group: PyTorch keeps and ignores them.
  public let orphans: [Key]
  private let stateIndex: [Key: Int]

  /// The lens on a value, or nil where it is no optimizer's state: a dictionary that has `state`, a dictionary, and
  /// `param_groups`, a list of dictionaries with a list of `params`.
  public init?(_ value: Value) {
    guard case .dict(let dict) = value, case .dict(let state)? = dict["state"],
      case .sequence(let kind, let groups)? = dict["param_groups"], kind == .list || kind == .tuple
    else { return nil }
    self.dict = dict
    self.state = state
    var parsed: [Group] = []
    for group in groups {
      guard let group = Group(group) else { return nil }
      parsed.append(group)
    }
    self.groups = parsed
    keys = parsed.flatMap(\.params)
    let known = Set(keys)
    var index: [Key: Int] = [:]
    index.reserveCapacity(state.count)
    var orphans: [Key] = []
    for (position, entry) in state.entries.enumerated() where index[entry.key] == nil {
      index[entry.key] = position
      if !known.contains(entry.key) { orphans.append(entry.key) }
    }
    stateIndex = index
    self.orphans = orphans
    slotNames = Self.slotNames(of: state)
  }

  /// What is kept for the parameter with this key, by slot; nil where there is no state yet.
  public func slots(of key: Key) -> Dict? {
    guard let position = stateIndex[key], case .dict(let slots) = state.entries[position].value else { return nil }
    return slots
  }

  /// One slot of the parameter with this key.
  public func slot(_ name: String, of key: Key) -> Value? { slots(of: key)?[name] }

  /// The step of the parameter with this key, where it is a whole number.
  public func step(of key: Key) throws(CheckpointError) -> Int64? {
    try slot("step", of: key)?.asWholeNumber()
  }

  /// The step that all parameters with state agree on (or the groups, where optimizers keep it there); else nil.
  public func step() throws(CheckpointError) -> Int64? {
    var common: Int64?
    for key in keys {
      guard let value = slot("step", of: key) else { continue }
      guard let step = try value.asWholeNumber(), common == nil || common == step else { return nil }
      common = step
    }
    if common != nil { return common }
    for group in groups {
      guard let step = try group["step"]?.asWholeNumber(), common == nil || common == step else { return nil }
      common = step
    }
    return common
  }

  private static func slotNames(of state: Dict) -> [String] {
    var seen: Set<Key> = []
    var names: [String] = []
    for entry in state.entries {
      guard case .dict(let slots) = entry.value else { continue }
      for slot in slots.entries {
        guard case .string(let name) = slot.key, seen.insert(slot.key).inserted else { continue }
        names.append(name)
      }
    }
    return names
  }
}

extension OptimizerState.Group {
  init?(_ value: Value) {
    guard case .dict(let dict) = value, case .sequence(let kind, let items)? = dict["params"],
      kind == .list || kind == .tuple
    else { return nil }
    self.dict = dict
    let params = items.compactMap { Key($0) }
    guard params.count == items.count else { return nil }
    self.params = params
    options = dict.entries.filter { $0.key != .string("params") && $0.key != .string("param_names") }
    if case .sequence(_, let items)? = dict["param_names"] {
      let names = items.compactMap { if case .string(let name) = $0 { name } else { nil } }
      paramNames = names.count == items.count && names.count == params.count ? names : nil
    } else {
      paramNames = nil
    }
  }
}

extension Value {
  /// The value as a whole number: an int, a double without a fraction, or a tensor with one such element. Nil for
  /// anything else.
  ///
  /// - Throws: what the tensor's source throws.
  public func asWholeNumber() throws(CheckpointError) -> Int64? {
    switch self {
    case .int(let number): return number
    case .double(let number): return Int64(exactly: number)
    case .tensor(let tensor):
      guard tensor.count == 1 else { return nil }
      switch tensor.dtype {
      case .float32: return try tensor.elements(as: Float.self).first.flatMap { Int64(exactly: $0) }
      case .float64: return try tensor.elements(as: Double.self).first.flatMap { Int64(exactly: $0) }
      case .bfloat16:
        return try tensor.elements(as: UInt16.self).first.flatMap {
          Int64(exactly: Float(bitPattern: UInt32($0) << 16))
        }
      case .int64: return try tensor.elements(as: Int64.self).first
      case .int32: return try tensor.elements(as: Int32.self).first.map(Int64.init)
      default: return nil
      }
    default: return nil
    }
  }
}
