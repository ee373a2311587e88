import Checkpoint

/// An optimizer's state dict taken apart for storage by parameter name, such that it can be put together again exactly.
struct OptimizerForm {
  /// How the tree had `step`.
  enum StepType: Equatable {
    /// A 0-d tensor of this type.
    case tensor(DType)
    case int
    case float

    var text: String {
      switch self {
      case .tensor(let dtype): "tensor:\(dtype.rawValue)"
      case .int: "int"
      case .float: "float"
      }
    }

    init?(text: String) {
      switch text {
      case "int": self = .int
      case "float": self = .float
      default:
        guard text.utf8.starts(with: "tensor:".utf8), let dtype = DType(rawValue: String(text.dropFirst(7))) else {
          return nil
        }
        self = .tensor(dtype)
      }
    }
  }

  struct Members {
    /// All keys in order, `params` among them.
    var values: [(name: String, value: Value)]
    /// Positions of the group's members.
    var members: [Int]
  }

  /// One name a parameter, by position: the order of the groups' `params`, one group after the other.
  var names: [String]
  /// The key of each position in the tree; nil when they are the names.
  var ids: [Int64]?
  /// Positions that have state, in the order of the tree's `state`.
  var state: [Int]
  /// The slots' names in the order that every parameter keeps, `step` among them.
  var slots: [String]
  /// The slots' values by slot, then by position; `step` is not among them.
  /// Keys compare their bytes, where Swift's strings would call "é" and its decomposed form one.
  var values: [Key: [Int: Value]]
  /// By position; -1 where there is none.
  var steps: [Int64]
  var stepType: StepType?
  var groups: [Members]
  /// Whether `state` comes before `param_groups`, as PyTorch has it.
  var stateFirst: Bool
}

/// Why an optimizer is stored as an ordinary dictionary.
struct DoesNotFit: Error { var why: String }

extension OptimizerForm {
  /// Takes a state dict apart.
  ///
  /// - Parameters:
  ///   - names: one name for each of the groups' members.
  ///   - tied: sources that occur more than once in the whole tree; a `step` among them cannot become a number.
  init(_ dict: Dict, names: [String], tied: Set<ObjectIdentifier>) throws(DoesNotFit) {
    guard dict.kind == .plain, dict.attributes.isEmpty, dict.count == 2, let state = dict["state"],
      let groups = dict["param_groups"]
    else { throw DoesNotFit(why: "it has more than `state` and `param_groups`") }
    guard case .dict(let state) = state, state.kind == .plain, state.attributes.isEmpty,
      case .sequence(.list, let groups) = groups
    else { throw DoesNotFit(why: "`state` is no plain dict or `param_groups` no list") }
    stateFirst = dict.entries.first?.key == .string("state")
    var keys: [Key] = []
    self.groups = []
    for group in groups { self.groups.append(try Self.group(group, keys: &keys)) }
    guard keys.count == names.count else { throw DoesNotFit(why: "its parameters could not be named") }
    let positions = try Self.positions(keys)
    ids = try Self.ids(keys)
    self.names = ids == nil ? try Self.texts(keys) : names
    guard Set(self.names.map { Key.string($0) }).count == names.count else {
      throw DoesNotFit(why: "two parameters have one name")
    }
    guard self.names.allSatisfy(LinkName.fits) else { throw DoesNotFit(why: "a parameter's name is too long") }
    (self.state, slots, values, stepType) = ([], [], [:], nil)
    steps = Array(repeating: -1, count: keys.count)
    for entry in state.entries { try add(entry, positions: positions, tied: tied) }
  }

  private static func group(_ value: Value, keys: inout [Key]) throws(DoesNotFit) -> Members {
    guard case .dict(let dict) = value, dict.kind == .plain, dict.attributes.isEmpty,
      case .sequence(.list, let params)? = dict["params"]
    else { throw DoesNotFit(why: "a group is no plain dict with a list of `params`") }
    var values: [(name: String, value: Value)] = []
    for entry in dict.entries {
      guard case .string(let name) = entry.key, !name.isEmpty, !name.utf8.contains(0), LinkName.fits(name) else {
        throw DoesNotFit(why: "a group has a key that is no ordinary string")
      }
      values.append((name, entry.value))
    }
    let first = keys.count
    for param in params {
      guard let key = Key(param) else { throw DoesNotFit(why: "a group's `params` hold more than numbers or names") }
      keys.append(key)
    }
    return Members(values: values, members: Array(first..<keys.count))
  }

  private static func positions(_ keys: [Key]) throws(DoesNotFit) -> [Key: Int] {
    var positions: [Key: Int] = [:]
    for (index, key) in keys.enumerated() where positions.updateValue(index, forKey: key) != nil {
      throw DoesNotFit(why: "a parameter is in two places of its groups")
    }
    return positions
  }

  private static func ids(_ keys: [Key]) throws(DoesNotFit) -> [Int64]? {
    var ids: [Int64] = []
    for key in keys {
      guard case .int(let id) = key else { return nil }
      ids.append(id)
    }
    return ids
  }

  private static func texts(_ keys: [Key]) throws(DoesNotFit) -> [String] {
    var names: [String] = []
    for key in keys {
      guard case .string(let name) = key else {
        throw DoesNotFit(why: "its keys are neither all numbers nor all names")
      }
      names.append(name)
    }
    return names
  }

  private mutating func add(
    _ entry: Dict.Entry, positions: [Key: Int], tied: Set<ObjectIdentifier>
  ) throws(DoesNotFit) {
    guard let position = positions[entry.key] else {
      throw DoesNotFit(why: "`state` has an entry that is in no group")
    }
    guard case .dict(let slots) = entry.value, slots.kind == .plain, slots.attributes.isEmpty, slots.count > 0 else {
      throw DoesNotFit(why: "a parameter's state is no plain dict with entries")
    }
    state.append(position)
    var last = -1
    for slot in slots.entries {
      guard case .string(let name) = slot.key, !name.isEmpty, !name.utf8.contains(0), name.utf8.count <= 256 else {
        throw DoesNotFit(why: "a slot's name is no ordinary string")
      }
      let place = try place(of: name, after: last)
      last = place
      if name == "step" {
        try addStep(slot.value, position, tied)
      } else {
        values[slot.key, default: [:]][position] = slot.value
      }
    }
  }

  /// The slot's place in the common order, which grows at its end only.
  private mutating func place(of name: String, after last: Int) throws(DoesNotFit) -> Int {
    if let place = slots.firstIndex(where: { $0.hasSameBytes(as: name) }) {
      guard place > last else { throw DoesNotFit(why: "the slots' order differs between parameters") }
      return place
    }
    guard slots.count < 64 else { throw DoesNotFit(why: "there are more than 64 slots") }
    slots.append(name)
    return slots.count - 1
  }

  private mutating func addStep(
    _ value: Value, _ position: Int, _ tied: Set<ObjectIdentifier>
  ) throws(DoesNotFit) {
    guard let (step, type) = Self.step(value, tied), step >= 0 else {
      throw DoesNotFit(why: "a `step` is no whole number, or shares its storage")
    }
    guard stepType == nil || stepType == type else { throw DoesNotFit(why: "`step` has several types") }
    stepType = type
    steps[position] = step
  }

  private static func step(_ value: Value, _ tied: Set<ObjectIdentifier>) -> (Int64, StepType)? {
    switch value {
    case .int(let step): return (step, .int)
    case .double(let step):
      // -0.0 is a whole number, but would come back as 0.0.
      guard step.bitPattern != (-0.0).bitPattern else { return nil }
      return Int64(exactly: step).map { ($0, .float) }
    case .tensor(let tensor):
      guard tensor.shape.isEmpty, tensor.kind == .tensor, !tensor.requiresGrad,
        !tied.contains(ObjectIdentifier(tensor.source)), let step = tensor.wholeNumber
      else { return nil }
      return (step, .tensor(tensor.dtype))
    default: return nil
    }
  }
}

extension OptimizerForm {
  /// The state dict again.
  func dict() throws(CheckpointError) -> Dict {
    let keys: [Key] = ids?.map(Key.int) ?? names.map(Key.string)
    var entries: [Dict.Entry] = []
    for position in state {
      var slots: [Dict.Entry] = []
      for name in self.slots {
        if name == "step" {
          if let step = try step(position) { slots.append(Dict.Entry(.string(name), step)) }
        } else if let value = values[.string(name)]?[position] {
          slots.append(Dict.Entry(.string(name), value))
        }
      }
      entries.append(Dict.Entry(keys[position], .dict(Dict(slots))))
    }
    let state = Dict.Entry(.string("state"), .dict(Dict(entries)))
    let groups = Dict.Entry(.string("param_groups"), .sequence(.list, groups.map { group(keys, $0) }))
    return Dict(stateFirst ? [state, groups] : [groups, state])
  }

  private func group(_ keys: [Key], _ group: Members) -> Value {
    let members = Value.sequence(.list, group.members.map { keys[$0].value })
    return .dict(
      Dict(group.values.map { Dict.Entry(.string($0.name), $0.name == "params" ? members : $0.value) }))
  }

  private func step(_ position: Int) throws(CheckpointError) -> Value? {
    guard steps[position] >= 0, let stepType else { return nil }
    switch stepType {
    case .int: return .int(steps[position])
    case .float: return .double(Double(steps[position]))
    case .tensor(let dtype):
      guard let tensor = try Tensor(wholeNumber: steps[position], dtype: dtype) else {
        throw CheckpointError(.damaged, "a step of \(steps[position]) does not fit \(dtype.rawValue)")
      }
      return .tensor(tensor)
    }
  }
}

extension Tensor {
  /// The value of a 0-d tensor where it is a whole number that an `Int64` and the tensor's own type hold exactly.
  var wholeNumber: Int64? {
    guard shape.isEmpty else { return nil }
    let value: Int64? =
      switch dtype {
      case .float32: (try? elements(as: Float.self))?.first.flatMap { Int64(exactly: $0) }
      case .float64: (try? elements(as: Double.self))?.first.flatMap { Int64(exactly: $0) }
      case .int64: (try? elements(as: Int64.self))?.first
      case .int32: (try? elements(as: Int32.self))?.first.map(Int64.init)
      default: nil
      }
    // -0.0 is a whole number, but would come back as 0.0.
    guard let value, value != 0 || isAllZeroBits else { return nil }
    return value
  }

  private var isAllZeroBits: Bool {
    var zero = true
    try? source.withBytes { (bytes) throws(CheckpointError) in zero = bytes.allSatisfy { $0 == 0 } }
    return zero
  }

  /// A 0-d tensor with this value, or nil where the type cannot hold it exactly.
  init?(wholeNumber value: Int64, dtype: DType) throws(CheckpointError) {
    let source: BufferSource
    switch dtype {
    case .float32:
      guard let x = Float(exactly: value) else { return nil }
      source = BufferSource(elements: [x])
    case .float64:
      guard let x = Double(exactly: value) else { return nil }
      source = BufferSource(elements: [x])
    case .int64: source = BufferSource(elements: [value])
    case .int32:
      guard let x = Int32(exactly: value) else { return nil }
      source = BufferSource(elements: [x])
    default: return nil
    }
    try self.init(dtype: dtype, shape: [], source: source)
  }

  /// The value of a 0-d or one-element tensor as a `Double`, for showing; nil for types that are no simple numbers.
  var approximateNumber: Double? {
    guard count == 1 else { return nil }
    switch dtype {
    case .float32: return (try? elements(as: Float.self))?.first.map(Double.init)
    case .float64: return (try? elements(as: Double.self))?.first
    case .int64: return (try? elements(as: Int64.self))?.first.map(Double.init)
    case .int32: return (try? elements(as: Int32.self))?.first.map(Double.init)
    default: return nil
    }
  }
}
