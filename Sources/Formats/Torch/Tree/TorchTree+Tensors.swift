import Checkpoint

// Tensors and parameters (PyTorch 2.13, `torch/_utils.py`).
extension TorchTree {
  /// The storage that a node is: a persistent id, or a stream of its own.
  mutating func storage(_ node: Int32) throws(CheckpointError) -> Int {
    if case .persistent(let id) = pickle.nodes[Int(node)] { return try storage(id: id) }
    if let storage = try nestedStorage(node) { return storage }
    throw CheckpointError(.damaged, "a tensor whose first argument is no storage")
  }

  /// The storage of a persistent id: ('storage', type, key, location, numel), before 1.6 with a sixth item that says
  /// which part of it is meant, or (in a tar archive) a number.
  private mutating func storage(id: Int32) throws(CheckpointError) -> Int {
    if let thing = try numberedThing(id) {
      guard case .storage(let storage) = thing else {
        throw CheckpointError(.damaged, "a tensor where a storage is due")
      }
      return storage
    }
    let id = try arguments(id, atLeast: 5, of: "a persistent id")
    guard try string(id[0], "a persistent id's kind") == "storage" else {
      throw CheckpointError(.damaged, "a persistent id that is no storage")
    }
    guard case .storage(let type) = known(id[1]) else {
      throw CheckpointError(.unsupported, "a storage of an unknown type")
    }
    let key = try string(id[2], "a storage's key")
    let whole = try storages.storage(key: key, type: type, numel: try int(id[4], "a storage's number of elements"))
    guard id.count > 5, !isNone(id[5]) else { return whole }
    let part = try arguments(id[5], atLeast: 3, of: "a storage view")
    return try storages.part(
      of: whole, offset: try int(part[1], "a storage view's offset"), count: try int(part[2], "a storage view's size"))
  }

  /// A persistent id that is part of the tree itself.
  mutating func persistent(_ id: Int32) throws(CheckpointError) -> Value {
    if case .tensor(let tensor) = try numberedThing(id) { return .tensor(tensor) }
    return try bareStorage(try storage(id: id))
  }

  /// A storage that is no tensor's.
  mutating func bareStorage(_ storage: Int) throws(CheckpointError) -> Value {
    let type = storages.type(storage)
    let dtype = type.dtype.itemSize == nil ? DType.uint8 : type.dtype
    let shape = [storages.byteCount(storage) / type.itemSize]
    let tensor = try view(storage, dtype, offset: 0, shape: shape, strides: [1])
    return .record(
      Record(
        TorchRecord.storage, [Record.Field("tensor", .tensor(tensor)), Record.Field("untyped", .bool(type.isUntyped))]))
  }

  mutating func view(
    _ storage: Int, _ dtype: DType, offset: Int, shape: [Int], strides: [Int], requiresGrad: Bool = false,
    conjugated: Bool = false, negated: Bool = false
  ) throws(CheckpointError) -> Tensor {
    let source = try storages.source(
      storage, dtype: dtype, offset: offset, shape: shape, strides: strides, conjugated: conjugated, negated: negated)
    return try Tensor(dtype: dtype, shape: shape, source: source, requiresGrad: requiresGrad)
  }

  /// `_rebuild_tensor`, `_v2` and `_v3`.
  mutating func tensor(_ callable: KnownGlobal, _ arguments: Arguments) throws(CheckpointError) -> Value {
    let least =
      switch callable {
      case .rebuildTensor: 4
      case .rebuildTensorV2: 6
      default: 7
      }
    guard arguments.count >= least else {
      throw CheckpointError(.damaged, "a tensor of \(arguments.count) arguments where \(least) are due")
    }
    let storage = try storage(arguments[0])
    let offset = try int(arguments[1], "a tensor's offset")
    let shape = try ints(arguments[2], "a tensor's size")
    let strides = try ints(arguments[3], "a tensor's stride")
    let requiresGrad = least > 4 ? try bool(arguments[4], "requires_grad") : false
    if least > 4 { warnOfHooks(arguments[5]) }
    var dtype = storages.type(storage).dtype
    if least == 7 {
      guard case .dtype(let name) = known(arguments[6]), let named = DType(rawValue: name) else {
        throw CheckpointError(.damaged, "a tensor of an unknown dtype")
      }
      dtype = named
    }
    guard TorchTypes.hasStorage(dtype) else {
      throw CheckpointError(.unsupported, "a tensor of the packed dtype \(dtype.rawValue)")
    }
    let (conjugated, negated) = arguments.count > least ? try metadata(arguments[least]) : (false, false)
    return .tensor(
      try view(
        storage, dtype, offset: offset, shape: shape, strides: strides, requiresGrad: requiresGrad,
        conjugated: conjugated, negated: negated))
  }

  /// What is still to be done to the bytes: `{'conj': True}`, `{'neg': True}`.
  private mutating func metadata(_ node: Int32) throws(CheckpointError) -> (conjugated: Bool, negated: Bool) {
    if isNone(node) { return (false, false) }
    guard case .dict(let dict) = try value(node) else {
      throw CheckpointError(.damaged, "a tensor's metadata that is no dict")
    }
    var result = (conjugated: false, negated: false)
    for entry in dict.entries {
      switch (entry.key, entry.value) {
      case (.string("conj"), .bool(let flag)): result.conjugated = flag
      case (.string("neg"), .bool(let flag)): result.negated = flag
      case (let key, _): warn("a tensor's metadata \(Self.text(key)) is not known and was left out")
      }
    }
    return result
  }

  private mutating func warnOfHooks(_ node: Int32) {
    let isEmpty: Bool =
      switch pickle.nodes[Int(node)] {
      case .object(let index): pickle.objects[Int(index)].pairs.isEmpty
      case .dict(let index): pickle.containers[Int(index)].isEmpty
      case .tuple(let run): run.count == 0
      case .none: true
      default: false
      }
    if !isEmpty { warn("a tensor's backward hooks are code and were left out") }
  }

  // MARK: - Parameters, buffers, subclasses

  mutating func parameter(_ arguments: Arguments, hasState: Bool) throws(CheckpointError) -> Value {
    guard arguments.count >= (hasState ? 4 : 3) else {
      throw CheckpointError(.damaged, "a parameter with too few arguments")
    }
    let requiresGrad = try bool(arguments[1], "requires_grad")
    warnOfHooks(arguments[2])
    var data = try value(arguments[0])
    var state = hasState ? try value(arguments[3]) : .none
    if case .tensor(var tensor) = data {
      tensor.kind = .parameter
      tensor.requiresGrad = requiresGrad
      data = .tensor(tensor)
      if !hasState { return data }
    } else if !hasState {
      // A sparse or quantised parameter: the flag has no other place.
      state = .dict(Dict([Dict.Entry(.string("requires_grad"), .bool(requiresGrad))]))
    }
    return .record(
      Record(
        TorchRecord.withAttributes,
        [
          Record.Field("tensor", data), Record.Field("class", .string("torch.nn.parameter.Parameter")),
          Record.Field("state", state),
        ]))
  }

  /// `_rebuild_from_type_v2(function, class, arguments, state)`: a tensor with attributes, a subclass, or a buffer.
  mutating func fromType(_ arguments: Arguments) throws(CheckpointError) -> Value {
    guard arguments.count >= 4 else { throw CheckpointError(.damaged, "_rebuild_from_type_v2 with too few arguments") }
    let function = known(arguments[0])
    // PyTorch never rebuilds a rebuilt one; here each level would cost stack.
    if case .rebuildFromType = function { throw CheckpointError(.damaged, "a tensor rebuilt from a rebuilt one") }
    let name = try className(arguments[1])
    if case .rebuildWrapper = function {
      return try wrapperSubclass(arguments[2], states: [arguments[3]])
    }
    guard let data = try applied(function, arguments[0], arguments[2], node: -1) else {
      return try unknownTensor(arguments, class: name)
    }
    let state = try value(arguments[3])
    if name == "torch.Tensor", case .tensor(var tensor) = data, let persistent = Self.bufferState(state) {
      tensor.kind = .buffer(persistent: persistent)
      return .tensor(tensor)
    }
    if name != "torch.Tensor", name != "torch.nn.parameter.Parameter" {
      warn("\(name) is a tensor class that is not known; its data and attributes are kept, its behaviour is not")
    }
    return .record(
      Record(
        TorchRecord.withAttributes,
        [Record.Field("tensor", data), Record.Field("class", .string(name)), Record.Field("state", state)]))
  }

  /// A subclass that is rebuilt by a function of its own: all parts are kept.
  private mutating func unknownTensor(_ arguments: Arguments, class name: String) throws(CheckpointError) -> Value {
    noteUnknown(name)
    let function = try className(arguments[0])
    let data = Record(
      TorchRecord.reduce, [Record.Field("class", .string(function)), Record.Field("args", try value(arguments[2]))])
    let state = try value(arguments[3])
    return .record(
      Record(
        TorchRecord.withAttributes,
        [Record.Field("tensor", .record(data)), Record.Field("class", .string(name)), Record.Field("state", state)]))
  }

  /// `torch.nn.Buffer` is a tensor with these two attributes and no others.
  private static func bufferState(_ state: Value) -> Bool? {
    guard case .dict(let dict) = state, dict.count == 2, case .bool(true) = dict["_is_buffer"],
      case .bool(let persistent) = dict["persistent"]
    else { return nil }
    return persistent
  }

  /// `torch.FloatTensor` and the like with a state of (storage, offset, size, stride), before 0.4.
  mutating func legacyTensor(_ dtype: DType, _ state: Int32) throws(CheckpointError) -> Value {
    let parts = try arguments(state, atLeast: 4, of: "an old tensor's state")
    let storage = try storage(parts[0])
    guard storages.type(storage).dtype == dtype else {
      throw CheckpointError(.damaged, "an old tensor of \(dtype.rawValue) over a storage of another type")
    }
    return .tensor(
      try view(
        storage, dtype, offset: try int(parts[1], "a tensor's offset"), shape: try ints(parts[2], "a tensor's size"),
        strides: try ints(parts[3], "a tensor's stride")))
  }
}
