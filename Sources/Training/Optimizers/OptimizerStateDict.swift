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
    guard (0..<table.count).contains(where: table.hasState) else { return state }
    for index in 0..<table.count {
      state.entries.append(Dict.Entry(.int(Int64(index)), .dict(try storedSlots(index))))
    }
    return state
  }

  private func storedSlots(_ index: Int) throws(CheckpointError) -> Dict {
    var slots = Dict()
    guard table.hasState(index) else { return slots }
    if Options.keepsStep { slots.entries.append(Dict.Entry("step", .int(table.tensors[index].step))) }
    for (slot, name) in Options.slotNames.enumerated() {
      guard let storage = table.storage(index, slot) else { continue }
      let shape = table.entries[index].parameter.shape
      let bytes = UnsafeRawBufferPointer(start: storage.base, count: table.tensors[index].count * 4)
      let source = BufferSource([UInt8](bytes))
      slots.entries.append(Dict.Entry(name, .tensor(try Tensor(dtype: .float32, shape: shape, source: source))))
    }
    return slots
  }

  /// torch's order: `param_names` first, `params` last.
  private func storedGroup(_ group: Int) -> Dict {
    let entries = table.groups[group]
    let first = table.groups[..<group].reduce(0) { $0 + $1.count }
    let names = Value.sequence(.list, entries.map { .string($0.name) })
    let params = Value.sequence(.list, entries.indices.map { .int(Int64(first + $0)) })
    return Dict([Dict.Entry("param_names", names)] + options[group].entries + [Dict.Entry("params", params)])
  }
}
