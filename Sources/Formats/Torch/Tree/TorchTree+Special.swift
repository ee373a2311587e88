import Checkpoint

// Tensors that are more than dtype, shape and bytes: they become records.
extension TorchTree {
  mutating func sparse(_ arguments: Arguments) throws(CheckpointError) -> Value {
    guard arguments.count == 2, case .token(.layout, let layout) = try value(arguments[0]) else {
      throw CheckpointError(.damaged, "a sparse tensor without its layout")
    }
    let isCoordinates = layout == "sparse_coo"
    let names: [String]
    switch layout {
    case "sparse_coo": names = ["indices", "values", "size", "is_coalesced"]
    case "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc":
      names = ["compressed_indices", "plain_indices", "values", "size"]
    default: throw CheckpointError(.unsupported, "a sparse tensor of layout \(layout)")
    }
    let data = try self.arguments(arguments[1], atLeast: isCoordinates ? 3 : 4, of: "a sparse tensor")
    var fields = [Record.Field("layout", .token(.layout, layout))]
    for (name, node) in zip(names, data.nodes) {
      var part = try value(node)
      switch (name, part) {
      case ("size", .size), ("is_coalesced", .bool): break
      case ("size", _): part = .size(try ints(node, "a sparse tensor's size").map(Int64.init))
      case ("is_coalesced", .none): continue
      case (_, .tensor): break
      default: throw CheckpointError(.damaged, "a sparse tensor whose \(name) is something else")
      }
      fields.append(Record.Field(name, part))
    }
    return .record(Record(TorchRecord.sparse, fields))
  }

  /// `_rebuild_qtensor(storage, offset, size, stride, parameters, requires_grad, hooks)`.
  mutating func quantized(_ arguments: Arguments) throws(CheckpointError) -> Value {
    guard arguments.count >= 6 else {
      throw CheckpointError(.damaged, "a quantised tensor with too few arguments")
    }
    let storage = try storage(arguments[0])
    let type = storages.type(storage)
    let shape = try ints(arguments[2], "a tensor's size")
    let strides = try ints(arguments[3], "a tensor's stride")
    let tensor = try quantizedData(arguments, type.dtype, shape, strides)
    let fields = [
      Record.Field("tensor", tensor), Record.Field("dtype", .token(.dtype, type.dtype.rawValue)),
      Record.Field("size", .size(shape.map(Int64.init))),
    ]
    let parameters = try quantizer(arguments[4])
    let flag = Record.Field("requires_grad", .bool(try bool(arguments[5], "requires_grad")))
    return .record(Record(TorchRecord.quantized, fields + parameters + [flag]))
  }

  private mutating func quantizedData(
    _ arguments: Arguments, _ dtype: DType, _ shape: [Int], _ strides: [Int]
  ) throws(CheckpointError) -> Value {
    guard dtype.itemSize == nil else {
      return try self.tensor(.rebuildTensor, Arguments(nodes: arguments.nodes.prefix(4)))
    }
    // quint4x2 and quint2x4: several elements a byte, packed along the last dimension, each row in whole bytes
    // (`get_sub_byte_tensor_size` in ATen's EmptyTensor.cpp).
    guard case .record(let storage) = try value(arguments[0]), case .tensor(let bytes) = storage["tensor"],
      try int(arguments[1], "a tensor's offset") == 0
    else {
      throw CheckpointError(.unsupported, "a packed quantised tensor that does not start its storage")
    }
    var packed = shape
    let perByte = 8 / dtype.bitWidth
    if let last = packed.last, last >= 0 { packed[packed.count - 1] = last / perByte + (last % perByte > 0 ? 1 : 0) }
    guard elementCount(of: packed) == bytes.byteCount else {
      throw CheckpointError(.damaged, "\(bytes.byteCount) bytes for size \(shape) of \(dtype.rawValue)")
    }
    var expected = 1
    for (size, stride) in zip(shape, strides).reversed() {
      guard size <= 1 || stride == expected, shape.count == strides.count else {
        throw CheckpointError(.unsupported, "a packed quantised tensor that is not contiguous")
      }
      expected = expected &* size
    }
    return .tensor(try Tensor(dtype: .uint8, shape: packed, source: bytes.source))
  }

  private mutating func quantizer(_ node: Int32) throws(CheckpointError) -> [Record.Field] {
    let parts = try arguments(node, atLeast: 3, of: "a quantiser")
    guard case .token(.qscheme, let scheme) = try value(parts[0]) else {
      throw CheckpointError(.damaged, "a quantiser without its scheme")
    }
    let first = Record.Field("qscheme", .token(.qscheme, scheme))
    let scale = try value(parts[1])
    let zero = try value(parts[2])
    switch (scale, zero) {
    case (.double, .int): return [first, Record.Field("scale", scale), Record.Field("zero_point", zero)]
    case (.tensor, .tensor):
      guard parts.count >= 4 else { throw CheckpointError(.damaged, "a quantiser per channel without its axis") }
      let axis = Record.Field("axis", .int(Int64(try int(parts[3], "a quantiser's axis"))))
      return [first, Record.Field("scales", scale), Record.Field("zero_points", zero), axis]
    default: throw CheckpointError(.damaged, "a quantiser whose scale or zero point is something else")
    }
  }

  mutating func metaTensor(_ arguments: Arguments) throws(CheckpointError) -> Value {
    guard arguments.count >= 4, case .dtype(let dtype) = known(arguments[0]) else {
      throw CheckpointError(.damaged, "a meta tensor with too few arguments")
    }
    let shape = try ints(arguments[1], "a tensor's size")
    let strides = try ints(arguments[2], "a tensor's stride")
    warn("a tensor on the meta device has no data; only its type and size are kept")
    return .record(
      Record(
        TorchRecord.metaTensor,
        [
          Record.Field("dtype", .token(.dtype, dtype)), Record.Field("size", .size(shape.map(Int64.init))),
          Record.Field("stride", .sequence(.tuple, strides.map { .int(Int64($0)) })),
          Record.Field("requires_grad", .bool(try bool(arguments[3], "requires_grad"))),
        ]))
  }

  mutating func nestedTensor(_ arguments: Arguments) throws(CheckpointError) -> Value {
    guard arguments.count >= 4 else { throw CheckpointError(.damaged, "a nested tensor with too few arguments") }
    var fields: [Record.Field] = []
    for (name, node) in zip(["buffer", "sizes", "strides", "offsets"], arguments.nodes) {
      fields.append(Record.Field(name, try value(node)))
    }
    return .record(Record(TorchRecord.nested, fields))
  }

  /// `_rebuild_wrapper_subclass(class, dtype, size, stride, offset, layout, device, requires_grad)` and its state.
  mutating func wrapperSubclass(_ arguments: Int32, states: [Int32]) throws(CheckpointError) -> Value {
    let arguments = try self.arguments(arguments, atLeast: 8, of: "a wrapper subclass")
    let name = try className(arguments[0])
    warn("\(name) is a tensor class that is not known; the tensors it wraps are kept")
    var fields = [Record.Field("class", .string(name))]
    let names = ["dtype", "size", "stride", "storage_offset", "layout", "device", "requires_grad"]
    for (name, node) in zip(names, arguments.nodes.dropFirst()) { fields.append(Record.Field(name, try value(node))) }
    for state in states { fields.append(Record.Field("state", try value(state))) }
    return .record(Record(TorchRecord.wrapper, fields))
  }

  /// (tensor or NumPy array, dtype, device, requires_grad): a tensor of an accelerator that was saved through the CPU.
  ///
  /// NumPy has no bfloat16, so that XLA's is saved as float32: it is cast back, as torch does.
  mutating func deviceTensor(_ node: Int32, _ arguments: Arguments) throws(CheckpointError) -> Value {
    if let known = arrays[node] { return known }
    guard arguments.count >= 4, case .dtype(let dtype) = known(arguments[1]) else {
      throw CheckpointError(.damaged, "a device's tensor with too few arguments")
    }
    let requiresGrad = try bool(arguments[3], "requires_grad")
    var data = try value(arguments[0])
    if case .record(let record) = data, record.type == TorchRecord.numpyArray, let array = record["array"] {
      data = array
    }
    guard case .tensor(var tensor) = data else {
      throw CheckpointError(.damaged, "a device's tensor without its data")
    }
    if let target = DType(rawValue: dtype), target != tensor.dtype,
      let source = try? CastSource(tensor.source, from: tensor.dtype, to: target)
    {
      tensor = try Tensor(dtype: target, shape: tensor.shape, source: source)
    }
    if tensor.dtype.rawValue == dtype {
      tensor.requiresGrad = requiresGrad
      arrays[node] = .tensor(tensor)
      return .tensor(tensor)
    }
    return .record(
      Record(
        TorchRecord.deviceTensor,
        [
          Record.Field("tensor", .tensor(tensor)), Record.Field("dtype", .token(.dtype, dtype)),
          Record.Field("device", try value(arguments[2])), Record.Field("requires_grad", .bool(requiresGrad)),
        ]))
  }
}
