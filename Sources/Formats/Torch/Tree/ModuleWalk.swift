import Checkpoint

/// What is gathered on the walk over a module and all below it.
struct ModuleWalk {
  private(set) var entries: [Dict.Entry] = []
  /// What else each module below has, by its full name.
  var modules: [Dict.Entry] = []
  /// Names of buffers that are not persistent.
  var leftOut: [String] = []
  private var places: [Key: Int] = [:]
  /// The entry that has a source first.
  private var owners: [ObjectIdentifier: Int] = [:]

  /// Adds an entry of the state dict. As in Python the last of a name wins, in the place of the first.
  mutating func add(_ value: Value, _ name: String) {
    let key = Key.string(name)
    if let place = places[key] {
      entries[place].value = value
      return
    }
    places[key] = entries.count
    if case .tensor(let tensor) = value, tensor.byteCount > 0 {
      let source = ObjectIdentifier(tensor.source)
      if owners[source] == nil { owners[source] = entries.count }
    }
    entries.append(Dict.Entry(key, value))
  }

  func has(_ name: String) -> Bool { places[.string(name)] != nil }

  /// The name of the entry that is this tensor, where there is one.
  func name(of tensor: Tensor) -> String? {
    guard let owner = owners[ObjectIdentifier(tensor.source)], case .tensor(let first) = entries[owner].value,
      first.isTied(to: tensor), case .string(let name) = entries[owner].key
    else { return nil }
    return name
  }
}

// Tensors that are attributes, and no parameters and no buffers.
extension TorchTree {
  /// A value without its tensors: each is an entry under its path, and a reference to that stands in its place.
  ///
  /// The path is made into text for tensors only: names may be long, and values many.
  mutating func extract(
    _ value: Value, _ path: [String], _ walk: inout ModuleWalk
  ) throws(CheckpointError) -> Value {
    switch value {
    case .tensor(let tensor): return try reference(to: tensor, path, &walk)
    case .sequence(let kind, var items):
      for index in items.indices { items[index] = try extract(items[index], path + [String(index)], &walk) }
      return .sequence(kind, items)
    case .dict(var dict):
      for index in dict.entries.indices {
        dict.entries[index].value = try extract(dict.entries[index].value, path + [dict.entries[index].key.text], &walk)
      }
      for index in dict.attributes.indices {
        let step = TreePath.Step.attribute(dict.attributes[index].name)
        dict.attributes[index].value = try extract(dict.attributes[index].value, path + [step.text], &walk)
      }
      return .dict(dict)
    case .record(var record):
      for index in record.fields.indices {
        let step = record.step(to: record.fields[index].name)
        let below = step.hasText ? path + [step.text] : path
        record.fields[index].value = try extract(record.fields[index].value, below, &walk)
      }
      return .record(record)
    default: return value
    }
  }

  private mutating func reference(
    to tensor: Tensor, _ path: [String], _ walk: inout ModuleWalk
  ) throws(CheckpointError) -> Value {
    // Without elements there is nothing to find: its type and size say all.
    guard tensor.count > 0 else { return .record(tensor.withoutData) }
    if let known = walk.name(of: tensor) { return try reference(known) }
    var tensor = tensor
    // What a state dict leaves out.
    tensor.kind = .buffer(persistent: false)
    var name = path.joined(separator: ".")
    try spend(bytes: name.utf8.count)
    while walk.has(name) {
      name += "_"
      try spend(bytes: name.utf8.count)
    }
    walk.add(.tensor(tensor), name)
    return try reference(name)
  }

  private mutating func reference(_ name: String) throws(CheckpointError) -> Value {
    try spend(bytes: name.utf8.count)
    return .record(Record(TorchRecord.reference, [Record.Field("name", .string(name))]))
  }
}

extension Dict {
  /// As in Python the last value of a key wins, in the place of the first.
  init(lastOfEach entries: [Dict.Entry]) {
    var places: [Key: Int] = [:]
    var kept: [Dict.Entry] = []
    for entry in entries {
      if let place = places[entry.key] {
        kept[place].value = entry.value
      } else {
        places[entry.key] = kept.count
        kept.append(entry)
      }
    }
    self.init(kept)
  }
}

extension Tensor {
  /// The record of a tensor whose bytes are nowhere.
  fileprivate var withoutData: Record {
    var strides = shape
    var step = 1
    for index in shape.indices.reversed() {
      strides[index] = step
      step = step &* max(shape[index], 1)
    }
    return Record(
      TorchRecord.metaTensor,
      [
        Record.Field("dtype", .token(.dtype, dtype.rawValue)), Record.Field("size", .size(shape.map(Int64.init))),
        Record.Field("stride", .sequence(.tuple, strides.map { .int(Int64($0)) })),
        Record.Field("requires_grad", .bool(requiresGrad)),
      ])
  }
}
