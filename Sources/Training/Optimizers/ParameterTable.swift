internal import Checkpoint
internal import Kernels

/// The parameters of an optimizer and what it keeps for each, laid out as the kernels take them.
final class ParameterTable {
  let groups: [[NamedParameter]]
  /// All parameters, the groups one after the other.
  let entries: [NamedParameter]
  /// One for each parameter. The pointers to slots are those of `storages`.
  let tensors: UnsafeMutablePointer<ck_optimizer_tensor>
  private let parameters: ContiguousArray<Parameter>
  private var storages: [Storage?]

  static var slotLimit: Int { Int(CK_OPTIMIZER_SLOTS) }

  /// - Throws: `usage` when there is no parameter, or one occurs twice.
  init(_ groups: [[NamedParameter]]) throws(CheckpointError) {
    let entries = groups.flatMap(\.self)
    guard !entries.isEmpty else { throw CheckpointError(.usage, "the optimizer has no parameters") }
    var seen: [ObjectIdentifier: String] = [:]
    for entry in entries {
      if let other = seen.updateValue(entry.name, forKey: ObjectIdentifier(entry.parameter)) {
        throw CheckpointError(.usage, "'\(entry.name)' and '\(other)' are one parameter, given to the optimizer twice")
      }
    }
    self.groups = groups
    self.entries = entries
    parameters = ContiguousArray(entries.map(\.parameter))
    storages = Array(repeating: nil, count: entries.count * Self.slotLimit)
    tensors = .allocate(capacity: entries.count)
    tensors.initialize(repeating: ck_optimizer_tensor(), count: entries.count)
    var index = 0
    for (number, group) in groups.enumerated() {
      for entry in group {
        tensors[index].count = entry.parameter.count
        tensors[index].group = number
        index += 1
      }
    }
  }

  deinit { tensors.deallocate() }

  var count: Int { parameters.count }

  /// Looks up where parameters and gradients lie now. `prepare` makes the state of a parameter that has a gradient for
  /// the first time.
  @inline(__always)
  func gather(_ prepare: (_ index: Int) throws(CheckpointError) -> Void) throws(CheckpointError) {
    for index in parameters.indices {
      let parameter = parameters[index]
      guard let gradient = parameter.gradient else {
        tensors[index].gradient = nil
        continue
      }
      if tensors[index].step == 0 { try prepare(index) }
      tensors[index].gradient = UnsafePointer(gradient.floats)
      tensors[index].parameter = parameter.storage.floats
    }
  }

  /// The memory of a slot, or nil where the parameter has none.
  func storage(_ index: Int, _ slot: Int) -> Storage? { storages[index * Self.slotLimit + slot] }

  func set(_ storage: Storage?, _ index: Int, _ slot: Int) {
    storages[index * Self.slotLimit + slot] = storage
    let base = storage?.floats
    withUnsafeMutableBytes(of: &tensors[index].slots) {
      $0.storeBytes(of: base, toByteOffset: slot * MemoryLayout.stride(ofValue: base), as: type(of: base))
    }
  }

  /// Makes a slot where there is none, each element set to `value`.
  func make(_ index: Int, _ slot: Int, value: Float = 0) throws(CheckpointError) {
    guard storage(index, slot) == nil else { return }
    let fresh = try Storage(byteCount: tensors[index].count * 4)
    fresh.floats.initialize(repeating: value, count: tensors[index].count)
    set(fresh, index, slot)
  }
}
