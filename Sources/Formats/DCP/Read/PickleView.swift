import Checkpoint

/// Reads dataclasses, sizes and texts from a pickle's nodes. Nothing is called; classes are compared by name.
struct PickleView {
  let bytes: UnsafeRawBufferPointer
  let pickle: Pickle

  /// - Throws: `damaged` for what is no pickle, or names a function that runs code.
  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    self.bytes = bytes
    pickle = try PickleMachine.run(bytes, limits: PickleMachine.Limits(bytesInFile: bytes.count)).pickle
    for global in pickle.globals where global.isDangerous {
      throw CheckpointError(
        .damaged, "names \(global.fullName), which runs code or reaches the system; nothing of it was run",
        advice: "This file attacks whoever loads it with Python. Do not load it; delete it.")
    }
  }

  private func node(_ index: Int32) -> PickleNode { pickle.nodes[Int(index)] }

  func isNone(_ index: Int32) -> Bool {
    if case .none = node(index) { return true }
    return false
  }

  /// The class of an object, or what is named.
  func className(_ index: Int32) -> PickleGlobal? {
    switch node(index) {
    case .global(let global): return pickle.globals[Int(global)]
    case .object(let object):
      guard case .global(let global) = node(pickle.objects[Int(object)].callable) else { return nil }
      return pickle.globals[Int(global)]
    default: return nil
    }
  }

  /// The state of an object of one of PyTorch's own classes, whatever module the class was in at the time.
  func state(_ index: Int32, of name: String) throws(CheckpointError) -> Int32? {
    guard case .object(let object) = node(index), let known = className(index), known.name == name,
      known.module.hasPrefix("torch.distributed.")
    else {
      let found = className(index).map { "of \($0.fullName)" } ?? "that is no object"
      throw CheckpointError(.damaged, "something \(found) where torch's \(name) is due")
    }
    return pickle.objects[Int(object)].states.last
  }

  /// The fields of a dataclass, by name: keys and values alternate.
  func fields(_ index: Int32, of name: String) throws(CheckpointError) -> [Int32] {
    guard let state = try state(index, of: name) else { return [] }
    return try dict(state, "the state of a \(name)")
  }

  func field(_ name: StaticString, of fields: [Int32]) -> Int32? {
    for place in stride(from: 0, to: fields.count - 1, by: 2) {
      let isSame =
        switch node(fields[place]) {
        case .string(let span): name.withUTF8Buffer { bytes[span.range].elementsEqual($0) }
        case .stringOwned(let owned): name.withUTF8Buffer { pickle.owned[Int(owned)].elementsEqual($0) }
        default: false
        }
      if isSame { return fields[place + 1] }
    }
    return nil
  }

  func field(_ name: StaticString, of fields: [Int32], in type: String) throws(CheckpointError) -> Int32 {
    guard let found = field(name, of: fields) else {
      throw CheckpointError(.damaged, "a \(type) without its '\(name)'")
    }
    return found
  }

  /// Keys and values alternate.
  func dict(_ index: Int32, _ what: String) throws(CheckpointError) -> [Int32] {
    switch node(index) {
    case .dict(let container): return pickle.containers[Int(container)]
    // An OrderedDict.
    case .object(let object) where className(index)?.name == "OrderedDict": return pickle.objects[Int(object)].pairs
    default: throw CheckpointError(.damaged, "\(what) is no dict")
    }
  }

  func isDict(_ index: Int32) -> Bool {
    if case .dict = node(index) { return true }
    return false
  }

  /// The items of a list or tuple.
  func items(_ index: Int32, _ what: String) throws(CheckpointError) -> ArraySlice<Int32> {
    switch node(index) {
    case .list(let container): return pickle.containers[Int(container)][...]
    case .tuple(let run): return pickle.pool[run.range]
    default: throw CheckpointError(.damaged, "\(what) is neither a list nor a tuple")
    }
  }

  func text(_ index: Int32, _ what: String) throws(CheckpointError) -> String {
    let text: String? =
      switch node(index) {
      case .string(let span): String(validating: bytes[span.range], as: UTF8.self)
      case .stringOwned(let owned): String(validating: pickle.owned[Int(owned)], as: UTF8.self)
      default: nil
      }
    guard let text else { throw CheckpointError(.damaged, "\(what) is no proper text") }
    return text
  }

  func int(_ index: Int32, _ what: String) throws(CheckpointError) -> Int {
    guard case .int(let value) = node(index) else { throw CheckpointError(.damaged, "\(what) is no integer") }
    return Int(value)
  }

  /// A tuple of integers, or `torch.Size`, none negative.
  func sizes(_ index: Int32, _ what: String) throws(CheckpointError) -> [Int] {
    var items = index
    if case .object(let object) = node(index), let name = className(index), name.module == "torch", name.name == "Size"
    {
      guard let inner = try self.items(pickle.objects[Int(object)].arguments, what).first else { return [] }
      items = inner
    }
    let nodes = try self.items(items, what)
    guard nodes.count <= 64 else { throw CheckpointError(.damaged, "\(what) has \(nodes.count) dimensions") }
    var sizes: [Int] = []
    sizes.reserveCapacity(nodes.count)
    for node in nodes {
      let size = try int(node, what)
      guard size >= 0 else { throw CheckpointError(.damaged, "\(what) is negative: \(size)") }
      sizes.append(size)
    }
    return sizes
  }

  /// A step of a path: a dict's key or a list's index.
  func key(_ index: Int32, _ what: String) throws(CheckpointError) -> Key {
    if case .int(let value) = node(index) { return .int(value) }
    return .string(try text(index, what))
  }
}
