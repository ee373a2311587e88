import Checkpoint

/// How ZeRO dealt the parameters out: which of them lie in which flat row, in which order (facts from DeepSpeed 0.19.8).
struct ZeroLayout {
  struct Parameter {
    let name: String
    let shape: [Int]
    let count: Int
  }

  let stage: Int
  /// How many ranks share the rows.
  let world: Int
  /// The parameters of each row, in their order in it.
  private(set) var groups: [[Parameter]]
  /// How many elements follow each parameter of a row unused; DeepSpeed 0.18 and later.
  var paddings: [[Int]]?

  /// - Parameter shapes: `param_shapes` of the model states.
  init(stage: Int, world: Int, shapes: Value) throws(CheckpointError) {
    (self.stage, self.world) = (stage, world)
    groups = []
    guard case .sequence(_, let dicts) = shapes else {
      guard case .dict(let dict) = shapes else {
        throw CheckpointError(.damaged, "no list where the parameters' shapes are due", place: "param_shapes")
      }
      // One dictionary, as older ones have it.
      groups = [try Self.parameters(dict, "param_shapes")]
      return
    }
    for value in dicts {
      guard case .dict(let dict) = value else {
        throw CheckpointError(.damaged, "no dictionary where the shapes of a group are due", place: "param_shapes")
      }
      groups.append(try Self.parameters(dict, "param_shapes"))
    }
  }

  /// The parameters that a dictionary of names and sizes lists.
  static func parameters(_ dict: Dict, _ place: String) throws(CheckpointError) -> [Parameter] {
    var found: [Parameter] = []
    found.reserveCapacity(dict.count)
    for entry in dict.entries {
      guard case .string(let name) = entry.key else {
        throw CheckpointError(.damaged, "a key that is no text where a parameter's name is due", place: place)
      }
      guard let shape = entry.value.asShape, let count = elementCount(of: shape),
        DType.float32.byteCount(of: shape) != nil, DType.float64.byteCount(of: shape) != nil
      else {
        throw CheckpointError(.damaged, "the size is no size, or too large", place: "\(place).\(name)")
      }
      found.append(Parameter(name: name, shape: shape, count: count))
    }
    return found
  }

  /// All rows as one: where the ranks keep other rows than the shapes say.
  mutating func joinGroups() {
    groups = [groups.flatMap { $0 }]
    paddings = nil
  }

  /// How much of a parameter each rank has under ZeRO-3, padded.
  static func share(_ count: Int, of world: Int) -> Int { count / world + (count % world == 0 ? 0 : 1) }

  /// The parameters of a row, put together from what the ranks hold of it.
  ///
  /// - Parameters:
  ///   - ranks: the row's part in each rank, in the order of the ranks.
  ///   - files: the ranks' files, for errors.
  ///   - what: what the row holds, for errors: `exp_avg`.
  func tensors(
    of group: Int, _ ranks: [FlatVector], files: [String], _ what: String
  ) throws(CheckpointError) -> [Tensor] {
    stage == 3
      ? try scattered(group, ranks, files, what)
      : try joined(group, ranks, files, what)
  }

  /// ZeRO-1 and 2: the ranks' parts follow one another, and what is left at the end is padding.
  private func joined(
    _ group: Int, _ ranks: [FlatVector], _ files: [String], _ what: String
  ) throws(CheckpointError) -> [Tensor] {
    var row = FlatVector(dtype: ranks.first?.dtype ?? .float32)
    let share = ranks.first?.count ?? 0
    for (rank, part) in ranks.enumerated() {
      // Only the end of the row may be short: what follows a short part would be taken for something else.
      if part.count > share || (rank > 0 && part.count > 0 && ranks[rank - 1].count < share) {
        let short = part.count > share ? rank : rank - 1
        throw CheckpointError(
          .damaged, "\(ranks[short].count) elements of \(what) in group \(group); the other ranks have \(share)",
          file: files[short], advice: Self.copyAdvice)
      }
      do throws(CheckpointError) { try row.append(part) } catch { throw error.inFile(files[rank]) }
    }
    var found: [Tensor] = []
    var start = 0
    for (index, parameter) in groups[group].enumerated() {
      let (end, overflow) = start.addingReportingOverflow(parameter.count)
      guard !overflow, end <= row.count else {
        let last = ranks.lastIndex { $0.count > 0 } ?? 0
        throw CheckpointError(
          .damaged, "too short: \(row.count) elements of \(what) in all ranks; the parameter ends at \(end)",
          file: files[last], place: parameter.name, advice: Self.copyAdvice)
      }
      found.append(
        try FlatVector.tensor(shape: parameter.shape, of: [(row, start..<end)], dtype: row.dtype))
      let gap = paddings.map { $0[group][index] } ?? 0
      let (next, tooFar) = end.addingReportingOverflow(gap)
      guard gap >= 0, !tooFar else { throw CheckpointError(.damaged, "a padding of \(gap)", place: parameter.name) }
      start = next
    }
    // As DeepSpeed's own converter counts: rows are aligned to twice the ranks.
    guard row.count - min(start, row.count) < max(2 * world, 1) else {
      throw CheckpointError(
        .damaged, "\(row.count) elements of \(what) in group \(group), but its parameters take \(start)",
        file: files[0], advice: "The model's and the optimizer's files may be of different saves.")
    }
    return found
  }

  /// ZeRO-3: each parameter is dealt out by itself, padded so that all ranks have as much of it.
  private func scattered(
    _ group: Int, _ ranks: [FlatVector], _ files: [String], _ what: String
  ) throws(CheckpointError) -> [Tensor] {
    let dtype = ranks.first?.dtype ?? .float32
    var found: [Tensor] = []
    var start = 0
    for parameter in groups[group] {
      let share = Self.share(parameter.count, of: world)
      let (end, overflow) = start.addingReportingOverflow(share)
      for (rank, part) in ranks.enumerated() where overflow || end > part.count {
        throw CheckpointError(
          .damaged, "too short: \(part.count) elements of \(what) in group \(group); the parameter ends at \(end)",
          file: files[rank], place: parameter.name, advice: Self.copyAdvice)
      }
      var left = parameter.count
      var parts: [(vector: FlatVector, range: Range<Int>)] = []
      for part in ranks {
        let taken = min(share, left)
        parts.append((part, start..<(start + taken)))
        left -= taken
      }
      do throws(CheckpointError) {
        found.append(try FlatVector.tensor(shape: parameter.shape, of: parts, dtype: dtype))
      } catch {
        throw error.at(parameter.name)
      }
      start = end
    }
    for (rank, part) in ranks.enumerated() where part.count != start {
      throw CheckpointError(
        .damaged, "\(part.count) elements of \(what) in group \(group), but its parameters take \(start)",
        file: files[rank], advice: "The model's and the optimizer's files may be of different saves.")
    }
    return found
  }

  static let copyAdvice = "Copy the folder again; all its files belong together."
}

extension Value {
  /// Sizes: `torch.Size`, or a list or tuple of numbers; nil for what is none, or negative.
  var asShape: [Int]? {
    var shape: [Int] = []
    switch self {
    case .size(let sizes):
      for size in sizes {
        guard let size = Int(exactly: size) else { return nil }
        shape.append(size)
      }
    case .sequence(_, let items):
      for item in items {
        guard case .int(let number) = item, let size = Int(exactly: number) else { return nil }
        shape.append(size)
      }
    default: return nil
    }
    return shape.count <= 64 && shape.allSatisfy { $0 >= 0 } ? shape : nil
  }
}
