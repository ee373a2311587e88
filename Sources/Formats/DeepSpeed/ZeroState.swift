import Checkpoint

/// What the ranks' files say of the optimizer, put together: the weights in full precision, and the moments by name.
struct ZeroState {
  /// Of all parameters that are trained, in the order of the rows.
  private(set) var weights: [(name: String, tensor: Tensor)] = []
  /// `state` and `param_groups`, with the parameters' names as keys.
  private(set) var optimizer: Dict
  /// What else rank 0 keeps: the scale of the loss and the like.
  private(set) var rest = Dict()
  private(set) var stage: Int
  private(set) var world: Int
  private(set) var warnings: [String] = []

  /// - Parameters:
  ///   - files: the ranks' files in order, and what each holds under `optimizer_state_dict`.
  ///   - shapes: `param_shapes` of the model states.
  init(_ ranks: [ZeroRank], shapes: Value) throws(CheckpointError) {
    let first = ranks[0]
    (stage, world) = (first.stage, ranks.count)
    let files = ranks.map(\.file)
    try Self.compare(ranks)
    var layout = try ZeroLayout(stage: first.stage, world: ranks.count, shapes: shapes)
    layout.paddings = try Self.paddings(first, layout)
    let isJoined = layout.groups.count != first.rows.count
    guard !isJoined || (first.stage == 3 && layout.groups.count > 0) else {
      throw CheckpointError(
        .damaged, "\(first.rows.count) groups of parameters; the model's file has \(layout.groups.count)",
        file: first.file, advice: "The model's and the optimizer's files may be of different saves.")
    }
    let names = layout.groups.map { $0.map(\.name) }
    if isJoined { layout.joinGroups() }
    for group in layout.groups.indices {
      let rows = try ranks.map { (rank) throws(CheckpointError) in
        isJoined ? try rank.joinedRow() : rank.rows[group]
      }
      let tensors = try layout.tensors(of: group, rows, files: files, "fp32 weights")
      for (parameter, tensor) in zip(layout.groups[group], tensors) { weights.append((parameter.name, tensor)) }
    }
    optimizer = Dict()
    let state = try Self.state(ranks, layout, files, isJoined: isJoined)
    let groups = try Self.paramGroups(first, isJoined ? [names.flatMap { $0 }] : names)
    optimizer = Dict([
      Dict.Entry(.string("state"), .dict(state)),
      Dict.Entry(.string("param_groups"), .sequence(.list, groups)),
    ])
    rest = first.rest
    if first.base["param_groups"] == nil {
      warnings.append("the optimizer's options (param_groups) are not in an elastic checkpoint")
    }
    for rank in ranks.dropFirst() where !rank.isLike(first) {
      warnings.append("\(rank.name): what it keeps beside weights and moments differs from rank 0's, which is taken")
    }
  }

  /// All ranks are of one save: as many rows, of as many shares, at the same step.
  private static func compare(_ ranks: [ZeroRank]) throws(CheckpointError) {
    let first = ranks[0]
    for rank in ranks {
      guard rank.world == ranks.count, rank.stage == first.stage else {
        throw CheckpointError(
          .damaged,
          "is of ZeRO stage \(rank.stage) on \(rank.world) ranks; found files of \(ranks.count) ranks, "
            + "the first of stage \(first.stage)", file: rank.file,
          advice: "Files of several saves may be mixed; take each save in a folder of its own.")
      }
      guard rank.rows.count == first.rows.count else {
        throw CheckpointError(
          .damaged, "\(rank.rows.count) groups of parameters; rank 0 has \(first.rows.count)", file: rank.file)
      }
      let (step, firstStep) = (try rank.steps(), try first.steps())
      guard step == firstStep else {
        throw CheckpointError(
          .damaged, "is of step \(words(step)), rank 0's of step \(words(firstStep))", file: rank.file,
          advice: "Files of several saves are mixed; take each save in a folder of its own.")
      }
    }
  }

  private static func words(_ steps: [Int64?]) -> String {
    steps.map { $0.map(String.init) ?? "?" }.joined(separator: ", ")
  }

  private static func paddings(_ first: ZeroRank, _ layout: ZeroLayout) throws(CheckpointError) -> [[Int]]? {
    guard first.stage < 3, case .sequence(_, let groups)? = first.dict["param_alignment_paddings"] else { return nil }
    let found = groups.map { $0.asShape ?? [-1] }
    guard found.count == layout.groups.count, zip(found, layout.groups).allSatisfy({ $0.count == $1.count }),
      found.allSatisfy({ $0.allSatisfy { $0 >= 0 } })
    else {
      throw CheckpointError(
        .damaged, "one padding for each parameter is due", file: first.file, place: "param_alignment_paddings")
    }
    return found
  }

  // MARK: - The optimizer

  private static func state(
    _ ranks: [ZeroRank], _ layout: ZeroLayout, _ files: [String], isJoined: Bool
  ) throws(CheckpointError) -> Dict {
    var state = Dict()
    for group in layout.groups.indices {
      let slots = try ranks.map { (rank) throws(CheckpointError) in
        isJoined ? try rank.joinedSlots() : try rank.slots(of: group)
      }
      guard slots[0].count > 0 else { continue }
      var found = layout.groups[group].map { _ in Dict() }
      for slot in slots[0] {
        switch slot.value {
        case .same(let value):
          for index in found.indices {
            found[index].entries.append(Dict.Entry(.string(slot.name), try value.ownCopy()))
          }
        case .flat:
          var rows: [FlatVector] = []
          for (rank, theirs) in zip(ranks, slots) {
            guard case .flat(let row)? = theirs.first(where: { $0.name.hasSameBytes(as: slot.name) })?.value else {
              throw CheckpointError(
                .damaged, "no \(slot.name) for group \(group), which rank 0 has", file: rank.file,
                advice: ZeroLayout.copyAdvice)
            }
            rows.append(row)
          }
          let tensors = try layout.tensors(of: group, rows, files: files, slot.name)
          for (index, tensor) in tensors.enumerated() {
            found[index].entries.append(Dict.Entry(.string(slot.name), .tensor(tensor)))
          }
        }
      }
      for (parameter, dict) in zip(layout.groups[group], found) {
        state.entries.append(Dict.Entry(.string(parameter.name), .dict(dict)))
      }
    }
    return state
  }

  /// The groups of options, with names where they have the numbers of rows.
  static func paramGroups(_ base: Dict, _ names: [[String]], file: String) throws(CheckpointError) -> [Value] {
    guard case .sequence(_, let groups)? = base["param_groups"] else {
      return names.map { .dict(Dict([Dict.Entry(.string("params"), .sequence(.list, $0.map { .string($0) }))])) }
    }
    var found: [Value] = []
    for value in groups {
      guard case .dict(var dict) = value, case .sequence(_, let params)? = dict["params"] else {
        throw CheckpointError(.damaged, "no options with their parameters", file: file, place: "param_groups")
      }
      var texts: [Value] = []
      for param in params {
        guard case .int(let number) = param, let row = Int(exactly: number), names.indices.contains(row) else {
          throw CheckpointError(
            .damaged, "a group of parameters that is none of the \(names.count)", file: file, place: "param_groups")
        }
        texts += names[row].map { .string($0) }
      }
      for index in dict.entries.indices where dict.entries[index].key == .string("params") {
        dict.entries[index].value = .sequence(.list, texts)
      }
      found.append(.dict(dict))
    }
    return found
  }

  private static func paramGroups(_ first: ZeroRank, _ names: [[String]]) throws(CheckpointError) -> [Value] {
    var names = names
    // Rows that were joined are all of the one group that there may then be.
    if names.count == 1, case .sequence(_, let groups)? = first.base["param_groups"],
      case .dict(let dict)? = groups.first,
      case .sequence(_, let params)? = dict["params"], params.count > 1
    {
      guard groups.count == 1 else {
        throw CheckpointError(
          .unsupported, "several groups of options whose rows are not those of the parameters' shapes",
          file: first.file, advice: "Convert the folder with DeepSpeed's ds_to_universal.py first.")
      }
      names += Array(repeating: [], count: params.count - 1)
    }
    return try paramGroups(first.base, names, file: first.file)
  }
}
