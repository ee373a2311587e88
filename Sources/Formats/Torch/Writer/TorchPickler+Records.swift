import Checkpoint

// Records: back to what they were where weights_only=True takes it, else their nearest plain form and a warning.
extension TorchPickler {
  mutating func write(_ record: Record) throws(CheckpointError) {
    switch record.type {
    case TorchRecord.withAttributes: try writeWithAttributes(record)
    case TorchRecord.storage: try writeStorage(record)
    case TorchRecord.numpyScalar:
      warn("a NumPy scalar was written as a plain number")
      try write(try field(record, "value"))
    case TorchRecord.numpyArray: try writeArray(record)
    case TorchRecord.numpyDType: try writeNumPyType(record)
    case TorchRecord.object, TorchRecord.reduce: try writeObject(record)
    case _ where Self.isRebuildable(.record(record)): try writeRebuilt(.record(record))
    default: try writeParts(record, "a \(record.type)")
    }
  }

  private mutating func writeWithAttributes(_ record: Record) throws(CheckpointError) {
    let data = try field(record, "tensor")
    let state = record["state"] ?? .none
    guard case .string(let name) = try field(record, "class"), Self.isRebuildable(data) else {
      return try write(data)
    }
    switch name {
    case "torch.nn.parameter.Parameter":
      guard case .tensor(let tensor) = data else {
        var requiresGrad = true
        if case .dict(let dict) = state, case .bool(let flag) = dict["requires_grad"] { requiresGrad = flag }
        return try writeParameter(data, requiresGrad: requiresGrad, state: nil)
      }
      let storage = storage(tensor, tensor.dtype)
      if let known = knownParameter(tensor, storage) { return writer.get(known) }
      try writeParameter(data, requiresGrad: tensor.requiresGrad, state: state)
      remember(tensor, storage)
    case "torch.Tensor": try writeFromType(data, state: state)
    default:
      warn("a tensor of class \(name) was written as a plain tensor without its attributes")
      try writeRebuilt(data)
    }
  }

  private mutating func writeStorage(_ record: Record) throws(CheckpointError) {
    guard case .tensor(let tensor) = try field(record, "tensor") else { return try writeParts(record, "a storage") }
    if case .bool(true) = record["untyped"] {
      // No dtype with a storage class of its own, so that the storage is untyped.
      return writePersistentID(storage(tensor, .bits8))
    }
    writePersistentID(storage(tensor, tensor.dtype))
  }

  private mutating func writeArray(_ record: Record) throws(CheckpointError) {
    guard let array = record["array"] else { return try writeParts(record, "a NumPy array that no tensor can hold") }
    warn("a NumPy array was written as a tensor")
    try write(array)
  }

  private mutating func writeNumPyType(_ record: Record) throws(CheckpointError) {
    guard case .string(let text) = record["dtype"] else { return try writeParts(record, "a structured NumPy dtype") }
    warn("a NumPy dtype was written as the text '\(text)'")
    writer.text(text)
  }

  /// The last resort: the fields as a dict.
  private mutating func writeParts(_ record: Record, _ what: String) throws(CheckpointError) {
    warn("\(what) was written as a dict of its parts")
    writer.op(PickleOpcode.emptyDict)
    try writeEntries(record.fields.map { Dict.Entry(.string($0.name), $0.value) })
  }

  // MARK: - Python's objects

  private mutating func writeObject(_ record: Record) throws(CheckpointError) {
    guard case .string(let name) = record["class"] else { return try writeParts(record, "an object") }
    var arguments: [Value] = []
    if case .sequence(_, let items) = record["args"] { arguments = items }
    let hasItems = record["items"] != nil || record["pairs"] != nil || record["kwargs"] != nil
    let states = record.fields.filter { $0.name == "state" }.map(\.value)
    if !hasItems {
      if states.isEmpty, let text = PythonText.text(of: name, arguments) {
        warn("an object of class \(name) was written as the text '\(text)'")
        return writer.text(text)
      }
      if arguments.isEmpty, states.count <= 1, let attributes = Self.attributes(states.first ?? .none) {
        warn("an object of class \(name) was written as a dict of its attributes")
        return try write(.dict(attributes))
      }
      if states.isEmpty, record.type == TorchRecord.object, arguments.count > 0 {
        warn("an object of class \(name) was written as a tuple")
        return try write(.sequence(.tuple, arguments))
      }
    }
    try writeParts(record, "an object of class \(name)")
  }

  /// The attributes in an object's state: a dict, or a pair of one (or none) and the slots.
  private static func attributes(_ state: Value) -> Dict? {
    switch state {
    case .none: return Dict()
    case .dict(let dict): return Dict(dict.entries)
    case .sequence(.tuple, let parts) where parts.count == 2:
      guard let plain = attributes(parts[0]), let slots = attributes(parts[1]) else { return nil }
      let taken = Set(plain.entries.map(\.key))
      return Dict(plain.entries + slots.entries.filter { !taken.contains($0.key) })
    default: return nil
    }
  }
}
