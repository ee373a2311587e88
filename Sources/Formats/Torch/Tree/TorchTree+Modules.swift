import Checkpoint

// Whole modules (`torch.save(model)`): they become their state dict, and everything else that they hold is kept beside
// it in the dict's attribute `module`. No code of theirs is run or looked at.
extension TorchTree {
  /// The state dict of an object that is a module; nil for any other.
  mutating func module(_ object: PickleObject) throws(CheckpointError) -> Value? {
    guard let parts = try moduleParts(object) else { return nil }
    var walk = ModuleWalk()
    modulesAround += 1
    defer { modulesAround -= 1 }
    let record = try collect(parts, prefix: "", &walk)
    if modulesAround == 1 {
      warn("a module of class \(parts.className) was read as its state dict; no code of it was run")
      tell(walk)
    }
    var fields = record.fields
    if !walk.modules.isEmpty { fields.append(Record.Field("modules", .dict(Dict(walk.modules)))) }
    let rest = Record.Field(TorchRecord.moduleAttribute, .record(Record(TorchRecord.module, fields)))
    return .dict(Dict(walk.entries, kind: .ordered, attributes: [rest]))
  }

  private mutating func tell(_ walk: ModuleWalk) {
    guard !walk.leftOut.isEmpty else { return }
    let names = walk.leftOut.prefix(8).joined(separator: ", ")
    let more = walk.leftOut.count > 8 ? ", … (\(walk.leftOut.count) in all)" : ""
    warn("buffers that are not persistent were left out, as a state dict leaves them out: \(names)\(more)")
  }

  /// Adds a module's tensors and those of the modules below it, in the order of `Module.state_dict`.
  ///
  /// - Returns: what else the module itself has.
  private mutating func collect(
    _ parts: ModuleParts, prefix: String, _ walk: inout ModuleWalk
  ) throws(CheckpointError) -> Record {
    var others: [Dict.Entry] = []
    for (table, items) in [("_parameters", parts.parameters), ("_buffers", parts.buffers)] {
      var missing: [Dict.Entry] = []
      for item in items {
        let name = prefix + item.name
        try spend(bytes: name.utf8.count)
        if isNone(item.node) {
          missing.append(Dict.Entry(.string(item.name), .none))
        } else if table == "_buffers", parts.notPersistent.contains(.string(item.name)) {
          walk.leftOut.append(name)
        } else {
          do throws(CheckpointError) { walk.add(try value(item.node), name) } catch { throw error.at(name) }
        }
      }
      if !missing.isEmpty { others.append(Dict.Entry(.string(table), .dict(Dict(missing)))) }
    }
    for item in parts.modules { others += try below(item, prefix, &walk) }
    for item in parts.others { others += try other(item, prefix, &walk) }
    var fields = [Record.Field("class", .string(parts.className))]
    if !others.isEmpty { fields.append(Record.Field("state", .dict(Dict(others)))) }
    return Record(TorchRecord.module, fields)
  }

  /// A module below another, under its name. What is no module there is an attribute.
  private mutating func below(
    _ item: ModuleParts.Item, _ prefix: String, _ walk: inout ModuleWalk
  ) throws(CheckpointError) -> [Dict.Entry] {
    try spend(bytes: prefix.utf8.count + item.name.utf8.count)
    guard case .object(let index) = pickle.nodes[Int(item.node)],
      let parts = try moduleParts(pickle.objects[Int(index)])
    else { return try other(item, prefix, &walk) }
    try enter(item.node)
    defer { leave(item.node) }
    let name = prefix + item.name
    let place = walk.modules.count
    walk.modules.append(Dict.Entry(.string(name), .none))
    walk.modules[place].value = .record(try collect(parts, prefix: name + ".", &walk))
    return []
  }

  /// Another attribute. Tensors in it become entries of their own, since nothing else finds them.
  private mutating func other(
    _ item: ModuleParts.Item, _ prefix: String, _ walk: inout ModuleWalk
  ) throws(CheckpointError) -> [Dict.Entry] {
    do throws(CheckpointError) {
      let kept = walk.extract(try value(item.node), prefix + item.name)
      return [Dict.Entry(.string(item.name), kept)]
    } catch {
      // Weights are what a module is read for; an attribute that holds itself shall not keep them back.
      guard error.code == .unsupported else { throw error.at(prefix + item.name) }
      warn("\(prefix)\(item.name): \(error.message); the attribute was left out")
      return []
    }
  }
}

/// What is gathered on the walk over a module and all below it.
struct ModuleWalk {
  private(set) var entries: [Dict.Entry] = []
  var modules: [Dict.Entry] = []
  var leftOut: [String] = []
  private var places: [Key: Int] = [:]
  /// The entry that has a source first.
  private var owners: [ObjectIdentifier: Int] = [:]

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

  /// A value without its tensors: each is an entry under its path, and a reference to that stands in its place.
  mutating func extract(_ value: Value, _ path: String) -> Value {
    switch value {
    case .tensor(let tensor): return reference(to: tensor, path)
    case .sequence(let kind, let items):
      var kept: [Value] = []
      for (index, item) in items.enumerated() { kept.append(extract(item, "\(path).\(index)")) }
      return .sequence(kind, kept)
    case .dict(var dict):
      for index in dict.entries.indices {
        dict.entries[index].value = extract(dict.entries[index].value, "\(path).\(dict.entries[index].key.text)")
      }
      for index in dict.attributes.indices {
        dict.attributes[index].value = extract(dict.attributes[index].value, "\(path).@\(dict.attributes[index].name)")
      }
      return .dict(dict)
    case .record(var record):
      for index in record.fields.indices {
        let step = record.step(to: record.fields[index].name)
        let below = step.hasText ? "\(path).\(step.text)" : path
        record.fields[index].value = extract(record.fields[index].value, below)
      }
      return .record(record)
    default: return value
    }
  }

  private mutating func reference(to tensor: Tensor, _ path: String) -> Value {
    // Without elements there is nothing to find: its type and size say all.
    guard tensor.count > 0 else { return .record(tensor.withoutData) }
    if let owner = owners[ObjectIdentifier(tensor.source)], case .tensor(let first) = entries[owner].value,
      first.isTied(to: tensor), case .string(let name) = entries[owner].key
    {
      return Self.reference(name)
    }
    var tensor = tensor
    // What a state dict leaves out.
    tensor.kind = .buffer(persistent: false)
    var name = path
    while places[.string(name)] != nil { name += "_" }
    add(.tensor(tensor), name)
    return Self.reference(name)
  }

  private static func reference(_ name: String) -> Value {
    .record(Record(TorchRecord.reference, [Record.Field("name", .string(name))]))
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
