internal import Checkpoint
internal import Kernels

extension TableOptimizer {
  public func stateDict() throws(CheckpointError) -> Dict {
    Dict([
      Dict.Entry("state", .dict(try storedState())),
      Dict.Entry("param_groups", .sequence(.list, options.indices.map { .dict(storedGroup($0)) })),
    ])
  }

  private func storedState() throws(CheckpointError) -> Dict {
    var state = Dict()
    var holdsAny = false
    for index in 0..<table.count {
      let slots = try storedSlots(index)
      holdsAny = holdsAny || slots.count > 0
      state.entries.append(Dict.Entry(.int(Int64(index)), .dict(slots)))
    }
    return holdsAny ? state : Dict()
  }

  private func storedSlots(_ index: Int) throws(CheckpointError) -> Dict {
    var slots = Dict()
    let step = table.tensors[index].step
    if Options.keepsStep, step > 0 || table.storage(index, 0) != nil {
      slots.entries.append(Dict.Entry("step", .int(step)))
    }
    for (slot, name) in Options.slotNames.enumerated() {
      guard let storage = table.storage(index, slot) else { continue }
      let shape = table.entries[index].parameter.shape
      let source = try SnapshotSource(copying: storage.base, table.tensors[index].count * 4)
      slots.entries.append(Dict.Entry(name, .tensor(try Tensor(dtype: .float32, shape: shape, source: source))))
    }
    return slots
  }

  /// torch's order: `param_names` first, what a scheduler or a user added last.
  private func storedGroup(_ group: Int) -> Dict {
    let entries = table.groups[group]
    let first = table.groups[..<group].reduce(0) { $0 + $1.count }
    var dict = Dict([Dict.Entry("param_names", .sequence(.list, entries.map { .string($0.name) }))])
    let stored = extras[group].stored
    for entry in options[group].entries {
      dict.entries.append(stored.first { $0.key == entry.key } ?? entry)
    }
    let params = entries.indices.map { Value.int(Int64(first + $0)) }
    dict.entries.append(Dict.Entry("params", .sequence(.list, params)))
    if let rate = extras[group].initialLearningRate { dict.entries.append(Dict.Entry("initial_lr", .double(rate))) }
    let known = Set(dict.entries.map(\.key))
    dict.entries += stored.filter { !known.contains($0.key) }
    return dict
  }
}
