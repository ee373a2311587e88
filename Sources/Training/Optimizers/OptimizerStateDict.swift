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
      let source = try StorageSource(copying: storage, byteCount: table.tensors[index].count * 4)
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

/// A tensor's bytes as they were when the copy was made.
final class StorageSource: ByteSource, @unchecked Sendable {
  // Nobody writes into the storage after `init`.
  private let storage: Storage
  let byteCount: Int

  /// - Throws: `inputOutput` when memory is short.
  init(copying storage: Storage, byteCount: Int) throws(CheckpointError) {
    let copy = try Storage(byteCount: byteCount)
    ck_copy(copy.base, storage.base, byteCount)
    self.storage = copy
    self.byteCount = byteCount
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    try body(UnsafeRawBufferPointer(start: storage.base, count: byteCount))
  }
}
