import Checkpoint
import HDF5

extension TreeReader {
  /// Reads an optimizer that is stored by parameter name, as the state dict it was.
  mutating func optimizer(
    _ group: borrowing Group, _ path: String, _ depth: Int
  ) throws(CheckpointError) -> Dict {
    let links = try texts(group, "params", path)
    var names: [String] = []
    names.reserveCapacity(links.count)
    for link in links { names.append(try LinkName.unescape(link)) }
    guard Set(names.map(Key.string)).count == names.count else {
      throw CheckpointError(.damaged, "two parameters have one name", place: "/\(path)/params")
    }
    var form = OptimizerForm(names: names)
    form.ids = try ids(group, path, count: names.count)
    form.slots = try group.texts("slots")
    form.stateFirst = try !group.flags("state_first", false)
    try readSteps(group, path, into: &form)
    for slot in form.slots where slot != "step" {
      form.values[.string(slot)] = try slotValues(slot, group, path, depth, links: links)
    }
    form.state = try stateOrder(group, path, count: names.count) ?? form.impliedState
    form.groups = try parameterGroups(group, path, depth, count: names.count)
    return try form.dict()
  }

  private mutating func ids(_ group: borrowing Group, _ path: String, count: Int) throws(CheckpointError) -> [Int64]? {
    if try group.text(Vocabulary.keys) == "names" { return nil }
    guard let ids = try integers(group, "ids", path) else { return Array(0..<Int64(count)) }
    guard ids.count == count else {
      throw CheckpointError(.damaged, "\(ids.count) ids for \(count) parameters", place: "/\(path)/ids")
    }
    guard Set(ids).count == count else {
      throw CheckpointError(.damaged, "the ids are not distinct", place: "/\(path)/ids")
    }
    return ids
  }

  private mutating func readSteps(
    _ group: borrowing Group, _ path: String, into form: inout OptimizerForm
  ) throws(CheckpointError) {
    guard let steps = try integers(group, "step", path) else { return }
    guard steps.count == form.names.count else {
      throw CheckpointError(
        .damaged, "\(steps.count) steps for \(form.names.count) parameters", place: "/\(path)/step")
    }
    guard let type = OptimizerForm.StepType(text: try group.text("step-type") ?? "") else {
      throw CheckpointError(.damaged, "the attribute step-type is missing or not known", place: "/\(path)")
    }
    (form.steps, form.stepType) = (steps, type)
  }

  private mutating func stateOrder(
    _ group: borrowing Group, _ path: String, count: Int
  ) throws(CheckpointError) -> [Int]? {
    guard let order = try integers(group, "state_order", path) else { return nil }
    let positions = order.map { Int($0) }
    guard positions.allSatisfy({ (0..<count).contains($0) }), Set(positions).count == positions.count else {
      throw CheckpointError(.damaged, "is no list of distinct positions", place: "/\(path)/state_order")
    }
    return positions
  }

  /// The slot's values by position.
  private mutating func slotValues(
    _ slot: String, _ optimizer: borrowing Group, _ path: String, _ depth: Int, links: [String]
  ) throws(CheckpointError) -> [Int: Value] {
    let slotLink = LinkName.escape(slot, reserved: OptimizerForm.ownedLinks)
    let slotPath = "\(path)/\(slotLink)"
    let group = try enter(optimizer, slotLink, slotPath, depth + 1)
    var positions = Positions(links)
    var values: [Int: Value] = [:]
    for child in try self.links(of: group, slotPath) {
      guard let position = positions.position(of: child.name) else {
        throw CheckpointError(.damaged, "is no parameter of this optimizer", place: "/\(slotPath)/\(child.name)")
      }
      values[position] =
        if let index = child.index { .tensor(try indexed(index)) } else {
          try node(group, child.name, path: "\(slotPath)/\(child.name)", depth: depth + 1)
        }
    }
    return values
  }

  private mutating func parameterGroups(
    _ optimizer: borrowing Group, _ path: String, _ depth: Int, count: Int
  ) throws(CheckpointError) -> [OptimizerForm.Members] {
    let container = try enter(optimizer, "param_groups", "\(path)/param_groups", depth + 1)
    let total = try hdf5 { () throws(HDF5Error) in try container.linkCount }
    var groups: [OptimizerForm.Members] = []
    var seen = 0
    for index in 0..<total {
      let groupPath = "\(path)/param_groups/\(index)"
      let group = try enter(container, String(index), groupPath, depth + 2)
      let read = try parameterGroup(group, groupPath, depth + 2, count: count)
      seen += read.members.count
      groups.append(read)
    }
    guard seen == count, Set(groups.flatMap(\.members)).count == count else {
      throw CheckpointError(
        .damaged, "the groups have \(seen) members; each of the \(count) parameters belongs to one",
        place: "/\(path)/param_groups")
    }
    return groups
  }

  private mutating func parameterGroup(
    _ group: borrowing Group, _ path: String, _ depth: Int, count: Int
  ) throws(CheckpointError) -> OptimizerForm.Members {
    guard let members = try integers(group, "params", path) else {
      throw CheckpointError(.damaged, "a group without params", place: "/\(path)")
    }
    guard members.allSatisfy({ (0..<Int64(count)).contains($0) }) else {
      throw CheckpointError(.damaged, "a member is no position below \(count)", place: "/\(path)/params")
    }
    var links: [String] = []
    var values: [(name: String, value: Value)] = []
    for child in try self.links(of: group, path) {
      let name = try LinkName.unescape(child.name)
      let value: Value =
        if name == "params" { .none } else if let index = child.index { .tensor(try indexed(index)) } else {
          try node(group, child.name, path: "\(path)/\(child.name)", depth: depth)
        }
      links.append(child.name)
      values.append((name, value))
    }
    // An attribute beside an object of the same name only shows its number.
    let inObjects = Set(values.map { Key.string($0.name) })
    for name in try hdf5({ () throws(HDF5Error) in try group.attributeNames() })
    where !Vocabulary.reservedInGroup.contains(name) && !inObjects.contains(.string(name)) {
      let attribute = try hdf5 { () throws(HDF5Error) in try group.readAttribute(name) }
      guard let value = Value(attribute) else {
        throw CheckpointError(.damaged, "the attribute \(name) has a form that a group cannot have", place: "/\(path)")
      }
      links.append(LinkName.escape(name))
      values.append((name, value))
    }
    let order = try hdf5 { () throws(HDF5Error) -> [UInt32] in
      try group.hasAttribute(Vocabulary.order) ? try group.readUInt32Attribute(Vocabulary.order) : []
    }
    values = Self.inOrder(values, names: links, order) ?? values
    return OptimizerForm.Members(values: values, members: members.map { Int($0) })
  }

  /// A column of integers, or nil when there is none.
  private mutating func integers(
    _ group: borrowing Group, _ link: String, _ path: String
  ) throws(CheckpointError) -> [Int64]? {
    guard let storage = try column(group, link, path) else { return nil }
    guard storage.type == .int64 else {
      throw CheckpointError(.damaged, "expected int64, found \(storage.type)", place: "/\(path)/\(link)")
    }
    return try LeafReader.elements(try LeafReader.bytes(of: storage), as: Int64.self)
  }

  private mutating func texts(
    _ group: borrowing Group, _ link: String, _ path: String
  ) throws(CheckpointError) -> [String] {
    guard let storage = try column(group, link, path) else {
      throw CheckpointError(.damaged, "an optimizer without its parameters' names", place: "/\(path)/\(link)")
    }
    return try LeafReader.texts(try LeafReader.bytes(of: storage), storage)
  }

  private mutating func column(
    _ group: borrowing Group, _ link: String, _ path: String
  ) throws(CheckpointError) -> StoredBytes? {
    guard try hdf5({ () throws(HDF5Error) in try group.exists(link) }) else { return nil }
    let dataset = try hdf5 { () throws(HDF5Error) in try group.openDataset(link) }
    do throws(CheckpointError) {
      try checkVersion(dataset)
      guard try dataset.text(Vocabulary.encodingType) == Encoding.column.rawValue else {
        throw CheckpointError(.damaged, "expected an object with the encoding \(Encoding.column.rawValue)")
      }
      let storage = try StoredBytes(dataset, file: file, path: "\(path)/\(link)")
      try note(storage, of: try hdf5 { () throws(HDF5Error) in try dataset.objectInfo() }, "\(path)/\(link)")
      return storage
    } catch {
      throw error.at("/\(path)/\(link)")
    }
  }
}

/// Finds the position of a parameter's link; they mostly come in the order of the positions.
private struct Positions {
  private let links: [String]
  private var next = 0
  private var index: [Key: Int]?

  init(_ links: [String]) { self.links = links }

  mutating func position(of link: String) -> Int? {
    if next < links.count, links[next].hasSameBytes(as: link) {
      next += 1
      return next - 1
    }
    if index == nil {
      var all: [Key: Int] = [:]
      for (position, name) in links.enumerated() { all[.string(name)] = position }
      index = all
    }
    guard let found = index?[.string(link)] else { return nil }
    next = found + 1
    return found
  }
}

extension OptimizerForm {
  /// A form without state yet.
  init(names: [String]) {
    self.names = names
    (ids, state, slots, values, stepType, groups, stateFirst) = (nil, [], [], [:], nil, [], true)
    steps = Array(repeating: -1, count: names.count)
  }
}

extension Group {
  fileprivate func texts(_ name: String) throws(CheckpointError) -> [String] {
    let value = try hdf5 { () throws(HDF5Error) -> AttributeValue? in
      try hasAttribute(name) ? try readAttribute(name) : nil
    }
    switch value {
    case nil: return []
    case .strings(let texts): return texts
    default: throw CheckpointError(.damaged, "the attribute \(name) is no list of texts")
    }
  }

  /// Whether a bool attribute is there and has this value.
  fileprivate func flags(_ name: String, _ value: Bool) throws(CheckpointError) -> Bool {
    guard try hdf5({ () throws(HDF5Error) in try hasAttribute(name) }) else { return false }
    return try flag(name) == value
  }
}
