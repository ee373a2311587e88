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
      if script?.isIncomplete == true {
        warn("a text of the program is too long to be looked at; all tensors of its modules are taken for weights")
      }
    }
    var fields = record.fields
    if modulesAround == 1, let constants, case .sequence(_, let items) = constants, !items.isEmpty {
      fields.append(Record.Field("constants", try extract(constants, ["@constants"], &walk)))
    }
    if !walk.modules.isEmpty { fields.append(Record.Field("modules", .dict(Dict(lastOfEach: walk.modules)))) }
    let rest = Record.Field(TorchRecord.moduleAttribute, .record(Record(TorchRecord.module, fields)))
    return .dict(Dict(walk.entries, kind: .ordered, attributes: [rest]))
  }

  private mutating func tell(_ walk: ModuleWalk) {
    guard !walk.leftOut.isEmpty else { return }
    let names = walk.leftOut.prefix(8).map { Self.text(.string($0)) }.joined(separator: ", ")
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
          do throws(CheckpointError) { walk.add(try value(item.node), name) } catch {
            throw error.at(Self.text(.string(name)))
          }
        }
      }
      if !missing.isEmpty { others.append(Dict.Entry(.string(table), .dict(Dict(lastOfEach: missing)))) }
    }
    for item in parts.modules { others += try below(item, prefix, &walk) }
    for item in parts.others { others += try other(item, prefix, &walk) }
    var fields = [Record.Field("class", .string(parts.className))]
    if !others.isEmpty { fields.append(Record.Field("state", .dict(Dict(lastOfEach: others)))) }
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
      let kept = try extract(try value(item.node), [prefix + item.name], &walk)
      return [Dict.Entry(.string(item.name), kept)]
    } catch {
      // Weights are what a module is read for; an attribute that holds itself shall not keep them back.
      let name = Self.text(.string(prefix + item.name))
      guard error.code == .unsupported else { throw error.at(name) }
      warn("\(name): \(error.message); the attribute was left out")
      return []
    }
  }
}
