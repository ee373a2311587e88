internal import Checkpoint
internal import Kernels

extension OptimizerPlan {
  /// Looks at every parameter's state without reading its bytes.
  mutating func takeState(
    _ state: OptimizerState, _ match: OptimizerMatch, _ table: ParameterTable, _ allowMissing: [Glob]
  ) {
    for key in state.orphans { problems.add(.unexpected, "state of \(key.text), which is in no group") }
    // A run that was saved before its first step has no state at all.
    let isFresh = !state.state.entries.contains {
      if case .dict(let slots) = $0.value { slots.count > 0 } else { true }
    }
    let wrong = Set(state.state.entries.filter { if case .dict = $0.value { false } else { true } }.map(\.key))
    for (index, position) in match.positions.enumerated() {
      let entry = table.entries[index]
      let mayMiss = isFresh || !entry.parameter.requiresGrad || allowMissing.matches(entry.name)
      states.append(nil)
      let key = position.map { state.keys[$0] }
      if let key, let slots = state.slots(of: key) {
        guard !slots.holdsNothing else {
          report.withoutState.append(entry.name)
          continue
        }
        var taken = take(slots, of: entry, options[table.tensors[index].group])
        if Options.keepsStep { taken.step = step(try? state.step(of: key), slots["step"], entry) }
        states[index] = taken
        report.restored.append(entry.name)
      } else if let key, wrong.contains(key) {
        problems.add(.type, "\(entry.name): its state is no dictionary")
      } else if mayMiss || (!Options.keepsStep && !options[table.tensors[index].group].needs(slot: 0)) {
        report.withoutState.append(entry.name)
      } else {
        problems.add(position == nil ? .missing : .lost, entry.name)
      }
    }
  }

  private mutating func take(_ slots: Dict, of entry: NamedParameter, _ options: Options) -> Slots {
    var found = Slots(step: 1, tensors: Array(repeating: nil, count: ParameterTable.slotLimit))
    for slot in slots.entries {
      guard case .string(let name) = slot.key, let number = Options.slotNames.firstIndex(of: name) else {
        if slot.key != .string("step") { problems.add(.unexpected, "\(entry.name): slot '\(slot.key.text)'") }
        continue
      }
      if case .none = slot.value { continue }
      guard options.needs(slot: number) else {
        problems.add(.unexpected, "\(entry.name): slot '\(name)', which the options do not ask for")
        continue
      }
      found.tensors[number] = tensor(slot.value, name, entry)
    }
    for (number, name) in Options.slotNames.enumerated() where options.needs(slot: number) {
      if slots[name].isAbsent { problems.add(.partial, "\(entry.name): no '\(name)'") }
    }
    return found
  }

  private mutating func tensor(_ value: Value, _ slot: String, _ entry: NamedParameter) -> Tensor? {
    guard case .tensor(let tensor) = value else {
      problems.add(.type, "\(entry.name): '\(slot)' is no tensor")
      return nil
    }
    if tensor.shape != entry.parameter.shape {
      problems.add(.reshaped, "\(entry.name): '\(slot)' is \(tensor.shape), the parameter \(entry.parameter.shape)")
    }
    if tensor.dtype.moment == nil {
      problems.add(.type, "\(entry.name): '\(slot)' is \(tensor.dtype.rawValue), which is no type for a moment")
    } else if tensor.dtype == .float16 || tensor.dtype == .bfloat16 {
      noteOnce("moments in \(tensor.dtype.rawValue) were widened; the bits that they lost do not come back")
    } else if tensor.dtype == .float64 {
      noteOnce("moments in float64 were rounded to float32")
    }
    return tensor
  }

  private mutating func step(_ number: Int64?, _ value: Value?, _ entry: NamedParameter) -> Int64 {
    guard let value else {
      problems.add(.partial, "\(entry.name): no 'step'")
      return 0
    }
    // Up to here the powers of beta can be computed from it.
    guard let step = number, (0...(1 << 53)).contains(step) else {
      problems.add(.type, "\(entry.name): 'step' is no whole number from 0 on")
      return 0
    }
    if case .tensor(let tensor) = value, let limit = tensor.dtype.largestCount, step >= limit {
      noteOnce("a step of \(step) in \(tensor.dtype.rawValue), which cannot count beyond \(limit)")
    }
    return step
  }

  private mutating func noteOnce(_ note: String) {
    if !report.notes.contains(note) { report.notes.append(note) }
  }

  /// The moments in memory of their own, as float32.
  func read(_ table: ParameterTable) throws(CheckpointError) -> [[Storage?]] {
    var memory = Array(repeating: [Storage?](repeating: nil, count: ParameterTable.slotLimit), count: table.count)
    for (index, state) in states.enumerated() {
      for (slot, tensor) in (state?.tensors ?? []).enumerated() {
        guard let tensor else { continue }
        let place = "\(table.entries[index].name): \(Options.slotNames[slot])"
        do throws(CheckpointError) {
          memory[index][slot] = try tensor.floatStorage()
        } catch {
          throw error.at(place)
        }
      }
    }
    return memory
  }
}

extension Dict {
  /// No slot, or none that has a value: SGD of older releases kept a `momentum_buffer` of None.
  fileprivate var holdsNothing: Bool { entries.allSatisfy { if case .none = $0.value { true } else { false } } }
}

extension Value? {
  fileprivate var isAbsent: Bool {
    switch self {
    case nil, .some(.none): true
    default: false
    }
  }
}

extension DType {
  /// The kernels' name for a type that moments may have.
  fileprivate var moment: ck_number? {
    switch self {
    case .float32: CK_F32
    case .float64: CK_F64
    case .float16: CK_F16
    case .bfloat16: CK_BF16
    default: nil
    }
  }

  /// From here on, one more is the same number.
  fileprivate var largestCount: Int64? {
    switch self {
    case .float32: 1 << 24
    case .float16: 1 << 11
    case .bfloat16: 1 << 8
    default: nil
    }
  }
}

extension Tensor {
  /// The elements as float32 in fresh memory.
  ///
  /// - Throws: `damaged` when a number is too large for float32, and what the source throws.
  func floatStorage() throws(CheckpointError) -> Storage {
    guard let type = dtype.moment else {
      throw CheckpointError(.unsupported, "\(dtype.rawValue) is no type for a moment")
    }
    let storage = try Storage(byteCount: count * 4)
    var lost: UInt64 = 0
    try source.withBytes { (bytes) throws(CheckpointError) in
      guard let base = bytes.baseAddress, count > 0 else { return }
      if dtype == .float32 {
        ck_copy(storage.base, base, bytes.count)
      } else {
        lost = ck_cast(base, type, storage.base, CK_F32, count)
      }
    }
    guard lost == 0 else { throw CheckpointError(.damaged, "\(lost) numbers are too large for float32") }
    return storage
  }
}
