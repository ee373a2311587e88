import Checkpoint

// Tensors, as calls of the functions that weights_only=True allows. A function and its arguments are written apart,
// since `_rebuild_from_type_v2` takes both as values.
extension TorchPickler {
  mutating func write(_ tensor: Tensor) throws(CheckpointError) {
    switch tensor.kind {
    case .tensor: try writeRebuilt(.tensor(tensor))
    case .parameter:
      let storage = storage(tensor, stored(tensor).dtype)
      if let known = knownParameter(tensor, storage) { return writer.get(known) }
      try writeParameter(.tensor(tensor), requiresGrad: tensor.requiresGrad, state: nil)
      remember(tensor, storage)
    case .buffer(let persistent):
      let state = Dict([
        Dict.Entry(.string("persistent"), .bool(persistent)), Dict.Entry(.string("_is_buffer"), .bool(true)),
      ])
      try writeFromType(.tensor(tensor), state: .dict(state))
    }
  }

  /// A tensor or a tensor's record, plain.
  mutating func writeRebuilt(_ value: Value) throws(CheckpointError) {
    writeFunction(of: value)
    try writeArguments(of: value)
    writer.op(PickleOpcode.reduce)
  }

  /// `_rebuild_parameter(data, requires_grad, hooks)`, `_rebuild_parameter_with_state(..., state)`.
  mutating func writeParameter(_ data: Value, requiresGrad: Bool, state: Value?) throws(CheckpointError) {
    writer.global("torch._utils", state == nil ? "_rebuild_parameter" : "_rebuild_parameter_with_state")
    if state != nil { writer.op(PickleOpcode.mark) }
    var data = data
    if case .tensor(var tensor) = data {
      tensor.requiresGrad = false
      data = .tensor(tensor)
    }
    try writeRebuilt(data)
    writer.bool(requiresGrad)
    writer.emptyOrderedDict()
    if let state { try write(state) }
    writer.endTuple(state == nil ? 3 : 4)
    writer.op(PickleOpcode.reduce)
  }

  /// `_rebuild_from_type_v2(function, torch.Tensor, arguments, state)`.
  mutating func writeFromType(_ data: Value, state: Value) throws(CheckpointError) {
    writer.global("torch._tensor", "_rebuild_from_type_v2")
    writer.op(PickleOpcode.mark)
    writeFunction(of: data)
    writer.global("torch", "Tensor")
    try writeArguments(of: data)
    try write(state)
    writer.op(PickleOpcode.tuple)
    writer.op(PickleOpcode.reduce)
  }

  /// Whether there is a function that rebuilds this.
  static func isRebuildable(_ value: Value) -> Bool {
    switch value {
    case .tensor: true
    case .record(let record): functionName(record) != nil
    default: false
    }
  }

  private static func functionName(_ record: Record) -> String? {
    switch record.type {
    case TorchRecord.sparse: "_rebuild_sparse_tensor"
    case TorchRecord.quantized: "_rebuild_qtensor"
    case TorchRecord.metaTensor: "_rebuild_meta_tensor_no_storage"
    case TorchRecord.nested: "_rebuild_nested_tensor"
    case TorchRecord.deviceTensor: "_rebuild_device_tensor_from_cpu_tensor"
    default: nil
    }
  }

  private mutating func writeFunction(of value: Value) {
    switch value {
    case .record(let record): writer.global("torch._utils", Self.functionName(record) ?? "")
    case .tensor(let tensor):
      let isTyped = TorchTypes.storageName(stored(tensor).dtype) != nil
      writer.global("torch._utils", isTyped ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3")
    default: break
    }
  }

  private mutating func writeArguments(of value: Value) throws(CheckpointError) {
    switch value {
    case .tensor(let tensor): writeArguments(of: tensor)
    case .record(let record): try writeArguments(of: record)
    default: break
    }
  }

  private mutating func writeArguments(of tensor: Tensor) {
    let (dtype, shape) = stored(tensor)
    if dtype != tensor.dtype || shape != tensor.shape {
      warn("\(tensor.dtype.rawValue), which PyTorch does not store, was written as \(dtype.rawValue) of shape \(shape)")
    }
    let isTyped = TorchTypes.storageName(dtype) != nil
    writer.op(PickleOpcode.mark)
    writePersistentID(storage(tensor, dtype))
    writer.int(0)
    writer.ints(shape)
    writer.ints(Self.contiguousStrides(shape))
    writer.bool(tensor.requiresGrad)
    writer.emptyOrderedDict()
    if !isTyped { writer.global("torch", dtype.rawValue) }
    writer.op(PickleOpcode.tuple)
  }

  /// ('storage', type, key, 'cpu', numel)
  mutating func writePersistentID(_ index: Int) {
    let storage = storages[index]
    writer.op(PickleOpcode.mark)
    writer.repeatedText("storage")
    if storage.type.isUntyped {
      writer.global("torch.storage", "UntypedStorage")
    } else {
      writer.global("torch", TorchTypes.storageName(storage.type.dtype) ?? "ByteStorage")
    }
    writer.text("\(index)")
    writer.repeatedText("cpu")
    writer.int(Int64(storage.source.byteCount / storage.type.itemSize))
    writer.op(PickleOpcode.tuple)
    writer.op(PickleOpcode.binPersid)
  }

  /// The dtype and shape under which PyTorch can hold a tensor's bytes.
  private func stored(_ tensor: Tensor) -> (dtype: DType, shape: [Int]) {
    if TorchTypes.hasStorage(tensor.dtype) { return (tensor.dtype, tensor.shape) }
    if tensor.dtype == .float4_e2m1fn, let last = tensor.shape.last, last % 2 == 0 {
      return (.float4_e2m1fn_x2, tensor.shape.dropLast() + [last / 2])
    }
    return (.uint8, [tensor.byteCount])
  }

  /// As PyTorch counts them: a dimension of size 0 counts as 1.
  private static func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = shape
    var step = 1
    for index in shape.indices.reversed() {
      strides[index] = step
      step = step &* max(shape[index], 1)
    }
    return strides
  }

  // MARK: - Records

  private mutating func writeArguments(of record: Record) throws(CheckpointError) {
    switch record.type {
    case TorchRecord.sparse: try writeSparse(record)
    case TorchRecord.quantized: try writeQuantized(record)
    case TorchRecord.metaTensor: try writeFields(record, ["dtype", "size", "stride", "requires_grad"])
    case TorchRecord.nested: try writeFields(record, ["buffer", "sizes", "strides", "offsets"])
    default: try writeFields(record, ["tensor", "dtype", "device", "requires_grad"])
    }
  }

  private mutating func writeFields(_ record: Record, _ names: [String]) throws(CheckpointError) {
    writer.op(PickleOpcode.mark)
    for name in names {
      switch (name, try field(record, name)) {
      case ("device", _): writer.text("cpu")
      // torch itself writes these sizes as plain tuples.
      case ("size", .size(let sizes)): writer.ints(sizes.map { Int($0) })
      case (_, let value): try write(value)
      }
    }
    writer.op(PickleOpcode.tuple)
  }

  func field(_ record: Record, _ name: String) throws(CheckpointError) -> Value {
    guard let value = record[name] else {
      throw CheckpointError(.damaged, "a \(record.type) without its \(name)")
    }
    return value
  }

  /// (layout, (indices, values, size, is_coalesced)) or (layout, (compressed, plain, values, size))
  private mutating func writeSparse(_ record: Record) throws(CheckpointError) {
    try write(try field(record, "layout"))
    writer.op(PickleOpcode.mark)
    let isCoordinates = record["indices"] != nil
    let names =
      isCoordinates ? ["indices", "values", "size"] : ["compressed_indices", "plain_indices", "values", "size"]
    for name in names { try write(try field(record, name)) }
    if isCoordinates, let flag = record["is_coalesced"] { try write(flag) }
    writer.op(PickleOpcode.tuple)
    writer.op(PickleOpcode.tuple2)
  }

  /// (storage, offset, size, stride, (scheme, ...), requires_grad, hooks)
  private mutating func writeQuantized(_ record: Record) throws(CheckpointError) {
    guard case .tensor(let tensor) = try field(record, "tensor"),
      case .token(_, let name) = try field(record, "dtype"), let dtype = DType(rawValue: name),
      case .size(let size) = try field(record, "size")
    else { throw CheckpointError(.damaged, "a quantised tensor without its data, dtype or size") }
    writer.op(PickleOpcode.mark)
    writePersistentID(storage(tensor, dtype))
    writer.int(0)
    writer.ints(size.map { Int($0) })
    writer.ints(Self.contiguousStrides(size.map { Int($0) }))
    let isPerTensor = record["scale"] != nil
    let names = isPerTensor ? ["qscheme", "scale", "zero_point"] : ["qscheme", "scales", "zero_points", "axis"]
    if !isPerTensor { writer.op(PickleOpcode.mark) }
    for name in names { try write(try field(record, name)) }
    writer.endTuple(names.count)
    try write(try field(record, "requires_grad"))
    writer.emptyOrderedDict()
    writer.op(PickleOpcode.tuple)
  }

  /// torch counts steps in float32, which cannot count beyond 2^24.
  mutating func warnOfLostSteps(_ value: Value) throws(CheckpointError) {
    guard case .tensor(let tensor) = value, tensor.dtype == .float32, tensor.count == 1,
      let step = try tensor.elements(as: Float.self).first, step >= 16_777_216
    else { return }
    warn("step \(step) in float32 does not count on beyond 2^24; torch's own optimizers stop counting there too")
  }
}
