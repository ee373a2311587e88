import Checkpoint

/// One rank's file of the optimizer.
struct ZeroRank {
  enum Slot {
    /// A part of a flat row, to be cut up.
    case flat(FlatVector)
    /// The same for all parameters of the row: the step.
    case same(Value)
  }

  let file: String
  let name: String
  /// `optimizer_state_dict`.
  let dict: Dict
  let stage: Int
  /// How many ranks the file says there are.
  let world: Int
  /// The weights in full precision, a row a group.
  let rows: [FlatVector]
  /// The state of the optimizer that ZeRO wraps: `state` and `param_groups`.
  let base: Dict

  /// - Parameter root: all that the file holds.
  init(_ root: Dict, name: String, file: String) throws(CheckpointError) {
    (self.name, self.file) = (name, file)
    guard case .dict(let dict)? = root["optimizer_state_dict"] else {
      throw CheckpointError(.damaged, "no dictionary optimizer_state_dict, as DeepSpeed's files have", file: file)
    }
    self.dict = dict
    let flat = dict["fp32_flat_groups"]
    // The optimizer for bfloat16 says no stage; it deals out as the first does.
    stage =
      try dict["zero_stage"].map { (value) throws(CheckpointError) in
        guard let number = value.asEnum, (0...3).contains(number) else {
          throw CheckpointError(.damaged, "no stage from 0 to 3", file: file, place: "zero_stage")
        }
        return Int(number)
      } ?? (flat == nil ? 1 : 3)
    world = try Self.world(dict["partition_count"], file)
    rows = try Self.rows(stage == 3 ? flat : dict["single_partition_of_fp32_groups"], file)
    if case .dict(let base)? = dict[stage == 3 ? "optimizer_state_dict" : "base_optimizer_state"] {
      self.base = base
    } else if case .sequence(_, let groups)? = dict["base_optimizer_state"] {
      // Elastic checkpoints: a list of the groups' states.
      let entries = groups.enumerated().map { Dict.Entry(.int(Int64($0.offset)), $0.element) }
      base = Dict([Dict.Entry(.string("state"), .dict(Dict(entries)))])
    } else {
      throw CheckpointError(.damaged, "no state of the optimizer that ZeRO wraps", file: file)
    }
    try checkPartitions()
  }

  /// Experts are dealt out over fewer ranks than the rest.
  private func checkPartitions() throws(CheckpointError) {
    guard case .sequence(_, let groups)? = dict["ds_zero_partition_groups"] else { return }
    for case .dict(let group) in groups {
      guard case .int(let count)? = group["partition_count"], count != Int64(world) else { continue }
      throw Self.experts(file)
    }
  }

  private static func world(_ value: Value?, _ file: String) throws(CheckpointError) -> Int {
    var counts: [Int64] = []
    switch value {
    case .int(let count)?: counts = [count]
    case .sequence(_, let items)?: for case .int(let count) in items { counts.append(count) }
    default: break
    }
    guard let first = counts.first, let world = Int(exactly: first), world > 0 else {
      throw CheckpointError(.damaged, "no number of ranks", file: file, place: "partition_count")
    }
    guard counts.allSatisfy({ $0 == first }) else { throw experts(file) }
    return world
  }

  private static func experts(_ file: String) -> CheckpointError {
    CheckpointError(
      .unsupported, "groups of parameters that lie on different numbers of ranks (experts)", file: file,
      advice: "Make a universal checkpoint of it with DeepSpeed's ds_to_universal.py, and convert that.")
  }

  private static func rows(_ value: Value?, _ file: String) throws(CheckpointError) -> [FlatVector] {
    guard case .sequence(_, let items)? = value else {
      throw CheckpointError(.damaged, "no list of flat weights in full precision", file: file)
    }
    var rows: [FlatVector] = []
    for item in items {
      guard case .tensor(let tensor) = item.plain, tensor.dtype.isFloatingPoint else {
        throw CheckpointError(.damaged, "something that is no tensor of numbers among the flat weights", file: file)
      }
      do throws(CheckpointError) { rows.append(try FlatVector(tensor)) } catch { throw error.inFile(file) }
    }
    return rows
  }

  /// All rows as one.
  func joinedRow() throws(CheckpointError) -> FlatVector {
    var joined = FlatVector(dtype: rows.first?.dtype ?? .float32)
    for row in rows {
      do throws(CheckpointError) { try joined.append(row) } catch { throw error.inFile(file) }
    }
    return joined
  }

  // MARK: - Moments

  /// What the optimizer keeps for a row; empty where it has made no step yet.
  func slots(of row: Int) throws(CheckpointError) -> [(name: String, value: Slot)] {
    guard case .dict(let state)? = base["state"] else {
      throw CheckpointError(.damaged, "no dictionary state in the optimizer's state", file: file)
    }
    guard let value = state[.int(Int64(row))] else { return [] }
    guard case .dict(let slots) = value else {
      throw CheckpointError(.damaged, "no dictionary", file: file, place: "state.\(row)")
    }
    var found: [(name: String, value: Slot)] = []
    for entry in slots.entries {
      guard case .string(let name) = entry.key else { continue }
      guard case .tensor(let tensor) = entry.value.plain, tensor.shape.count == 1, name != "step" else {
        found.append((name, .same(entry.value)))
        continue
      }
      do throws(CheckpointError) {
        found.append((name, .flat(try FlatVector(tensor))))
      } catch {
        throw error.inFile(file)
      }
    }
    return found
  }

  /// The same for all rows as one.
  func joinedSlots() throws(CheckpointError) -> [(name: String, value: Slot)] {
    var joined = try slots(of: 0)
    for row in rows.indices.dropFirst() {
      let next = try slots(of: row)
      for index in joined.indices {
        guard case .flat(var vector) = joined[index].value else { continue }
        guard case .flat(let more)? = next.first(where: { $0.name.hasSameBytes(as: joined[index].name) })?.value else {
          throw CheckpointError(.damaged, "no \(joined[index].name) for group \(row)", file: file)
        }
        do throws(CheckpointError) { try vector.append(more) } catch { throw error.inFile(file) }
        joined[index].value = .flat(vector)
      }
    }
    return joined
  }

  /// The steps of its rows, or of its groups of options.
  func steps() throws(CheckpointError) -> [Int64?] {
    var found: [Int64?] = []
    if case .dict(let state)? = base["state"] {
      for case .dict(let slots) in state.entries.map(\.value) {
        if let step = slots["step"] { found.append(try step.asWholeNumber()) }
      }
    }
    if case .sequence(_, let groups)? = base["param_groups"] {
      for case .dict(let group) in groups {
        if let step = group["step"] { found.append(try step.asWholeNumber()) }
      }
    }
    return found
  }

  // MARK: - The rest

  private static let dealtOut: Set<String> = [
    "optimizer_state_dict", "base_optimizer_state", "single_partition_of_fp32_groups", "fp32_flat_groups",
    "zero_stage", "partition_count", "group_paddings", "param_alignment_paddings", "param_slice_mappings", "ds_version",
    "ds_zero_partition_groups",
  ]

  /// What a training run may want of it: the scale of the loss, whether it overflowed.
  var rest: Dict { Self.rest(of: dict) }

  static func rest(of dict: Dict) -> Dict {
    Dict(
      dict.entries.filter { entry in
        if case .string(let name) = entry.key { !dealtOut.contains(name) && name != "param_groups" } else { true }
      })
  }

  /// Whether the small things beside the rows are those of another rank.
  func isLike(_ other: ZeroRank) -> Bool { "\(rest.entries)" == "\(other.rest.entries)" }
}

extension Value {
  /// A parameter or a tensor with attributes as the tensor that it is.
  var plain: Value {
    if case .record(let record) = self, record.type == "torch.tensor_with_attributes", let tensor = record["tensor"] {
      return tensor
    }
    return self
  }

  /// A number, or a member of an enumeration, which is a class that was called with a number.
  var asEnum: Int64? {
    switch self {
    case .int(let number): return number
    case .record(let record):
      guard record.type == "python.reduce" || record.type == "python.object" else { return nil }
      for field in record.fields {
        if case .sequence(_, let items) = field.value, items.count == 1, case .int(let number)? = items.first {
          return number
        }
      }
      return nil
    default: return nil
    }
  }

  /// A small tensor with bytes of its own: what counts `step` up would else count it once for each parameter.
  func ownCopy() throws(CheckpointError) -> Value {
    guard case .tensor(let tensor) = plain, tensor.byteCount <= 16 else { return self }
    var bytes: [UInt8] = []
    try tensor.source.withBytes { (found) throws(CheckpointError) in bytes = Array(found) }
    return .tensor(try Tensor(dtype: tensor.dtype, shape: tensor.shape, source: BufferSource(bytes)))
  }
}
