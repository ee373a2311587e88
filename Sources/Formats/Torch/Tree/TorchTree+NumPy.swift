import Checkpoint

// NumPy's scalars, arrays and dtypes as pickles hold them (NumPy 1 and 2).
extension TorchTree {
  /// `dtype('f8', False, True)` and its state `(3, '<', None, names, fields, size, alignment, flags)`.
  /// Nil where the type has fields, a subarray or a unit.
  private func numpyType(_ object: PickleObject) throws(CheckpointError) -> NumPyType? {
    let name = try string(try arguments(object.arguments, atLeast: 1, of: "a NumPy dtype")[0], "a NumPy dtype's name")
    var order = UInt8(ascii: "|")
    if let state = object.states.last {
      let parts = try arguments(state, atLeast: 5, of: "a NumPy dtype's state")
      guard isNone(parts[2]), isNone(parts[3]), isNone(parts[4]) else { return nil }
      guard let byte = try string(parts[1], "a NumPy dtype's byte order").utf8.first else { return nil }
      order = byte
    }
    guard let type = NumPyType(name: name, order: order), type.kind != UInt8(ascii: "M"), type.kind != UInt8(ascii: "m")
    else { return nil }
    // Text and raw bytes of a flexible type have their size in the state.
    return type.size == 0 && type.kind != UInt8(ascii: "O") ? nil : type
  }

  private func numpyType(_ node: Int32) throws(CheckpointError) -> NumPyType? {
    guard case .object(let index) = pickle.nodes[Int(node)],
      case .numpyDType = known(pickle.objects[Int(index)].callable)
    else { throw CheckpointError(.damaged, "a NumPy array or scalar without a dtype") }
    return try numpyType(pickle.objects[Int(index)])
  }

  /// How a record says the type: its text, or a record of its parts.
  private mutating func typeField(_ node: Int32, _ type: NumPyType?) throws(CheckpointError) -> Record.Field {
    if let type { return Record.Field("dtype", .string(type.text)) }
    return Record.Field("dtype", try value(node))
  }

  mutating func numpyDTypeValue(_ object: PickleObject) throws(CheckpointError) -> Value {
    if let type = try numpyType(object) {
      return .record(Record(TorchRecord.numpyDType, [Record.Field("dtype", .string(type.text))]))
    }
    var fields = [Record.Field("args", try value(object.arguments))]
    for state in object.states { fields.append(Record.Field("state", try value(state))) }
    return .record(Record(TorchRecord.numpyDType, fields))
  }

  mutating func numpyScalar(_ arguments: Arguments) throws(CheckpointError) -> Value {
    guard arguments.count >= 2 else { throw CheckpointError(.damaged, "a NumPy scalar with too few arguments") }
    let type = try numpyType(arguments[0])
    let dtype = try typeField(arguments[0], type)
    if type?.kind == UInt8(ascii: "O") {
      return .record(Record(TorchRecord.numpyScalar, [dtype, Record.Field("value", try value(arguments[1]))]))
    }
    let raw = try bytes(of: arguments[1])
    return .record(
      Record(TorchRecord.numpyScalar, [dtype, Record.Field("value", type?.value(raw) ?? .bytes(raw))]))
  }

  /// `_reconstruct(ndarray, (0,), b'b')` and its state `(1, shape, dtype, fortran, data)`.
  mutating func numpyArray(_ node: Int32, _ object: PickleObject) throws(CheckpointError) -> Value {
    if let known = arrays[node] { return known }
    guard let state = object.states.last else {
      throw CheckpointError(.damaged, "a NumPy array without its content")
    }
    let parts = try arguments(state, atLeast: 4, of: "a NumPy array's state")
    // Version 0 of the state had no version number in front.
    let start = parts.count >= 5 ? 1 : 0
    let name = try className(try arguments(object.arguments, atLeast: 1, of: "a NumPy array")[0])
    let record = try numpyArray(
      shape: parts[start], dtype: parts[start + 1], fortran: try bool(parts[start + 2], "a NumPy array's order"),
      data: parts[start + 3], class: name == "numpy.ndarray" ? nil : name)
    arrays[node] = record
    return record
  }

  /// `_frombuffer(data, dtype, shape, order)`: how protocol 5 writes arrays.
  mutating func numpyFromBuffer(_ node: Int32, _ arguments: Arguments) throws(CheckpointError) -> Value {
    if let known = arrays[node] { return known }
    guard arguments.count >= 4 else { throw CheckpointError(.damaged, "a NumPy array with too few arguments") }
    let record = try numpyArray(
      shape: arguments[2], dtype: arguments[1],
      fortran: try string(arguments[3], "a NumPy array's order").hasPrefix("F"), data: arguments[0], class: nil)
    if node >= 0 { arrays[node] = record }
    return record
  }

  mutating func numpyArray(
    shape: Int32, dtype: Int32, fortran: Bool, data: Int32, class name: String?
  ) throws(CheckpointError) -> Value {
    let shape = try ints(shape, "a NumPy array's shape")
    let type = try numpyType(dtype)
    var fields: [Record.Field] = []
    if let type, let element = type.dtype {
      let raw = try byteSource(of: data)
      guard shape.count <= 64, element.byteCount(of: shape) == raw.byteCount else {
        throw CheckpointError(
          .damaged, "a NumPy array of shape \(shape) and type \(type.text) in \(raw.byteCount) bytes")
      }
      let source = try type.source(raw, element, shape, fortran: fortran)
      fields.append(Record.Field("array", .tensor(try Tensor(dtype: element, shape: shape, source: source))))
    }
    fields.append(try typeField(dtype, type))
    fields.append(Record.Field("fortran", .bool(fortran)))
    if let name {
      fields.append(Record.Field("class", .string(name)))
      warn("\(name) is an array class that is not known; its data is kept")
    }
    if type?.dtype == nil {
      fields.append(Record.Field("shape", .size(shape.map(Int64.init))))
      fields.append(Record.Field("data", try rawData(data)))
    }
    return .record(Record(TorchRecord.numpyArray, fields))
  }

  /// An array whose bytes joblib put after its description.
  mutating func joblibArray(_ node: Int32, _ object: PickleObject) throws(CheckpointError) -> Value {
    if let known = arrays[node] { return known }
    guard let state = object.states.last, case .dict(let index) = pickle.nodes[Int(state)], object.items.count == 1
    else {
      throw CheckpointError(.damaged, "joblib's description of an array without the array")
    }
    var fields: [String: Int32] = [:]
    let items = pickle.containers[Int(index)].prefix(64)
    for place in stride(from: 0, to: items.count - 1, by: 2) {
      fields[try string(items[place], "a field of joblib's description")] = items[place + 1]
    }
    guard let shape = fields["shape"], let dtype = fields["dtype"] else {
      throw CheckpointError(.damaged, "joblib's description of an array lacks its type or shape")
    }
    let isFortran = try fields["order"].map { (n) throws(CheckpointError) in try string(n, "an array's order") } == "F"
    let name = try fields["subclass"].map { (n) throws(CheckpointError) in try className(n) } ?? "numpy.ndarray"
    let record = try numpyArray(
      shape: shape, dtype: dtype, fortran: isFortran, data: object.items[0], class: name == "numpy.ndarray" ? nil : name
    )
    arrays[node] = record
    return record
  }

  /// Objects as a list, anything else as bytes.
  private mutating func rawData(_ node: Int32) throws(CheckpointError) -> Value {
    if case .list = pickle.nodes[Int(node)] { return try value(node) }
    return .bytes(try bytes(of: node))
  }
}
