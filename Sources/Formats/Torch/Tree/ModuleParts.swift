import Checkpoint

/// What a pickled module consists of, as nodes of the pickle: names and values.
struct ModuleParts {
  typealias Item = (name: String, node: Int32)

  var className: String
  var parameters: [Item] = []
  var buffers: [Item] = []
  /// Names of buffers that a state dict leaves out.
  var notPersistent: Set<Key> = []
  var modules: [Item] = []
  /// All other attributes.
  var others: [Item] = []
}

extension TorchTree {
  /// The parts of a `torch.nn.Module`, or of one of torch.fx; nil for any other object.
  ///
  /// A module is known by the three dictionaries that `Module.__init__` makes: its class may be anyone's.
  mutating func moduleParts(_ object: PickleObject) throws(CheckpointError) -> ModuleParts? {
    if script != nil { return try scriptParts(object) }
    if case .compiledModule = known(object.callable), object.form == .call {
      let arguments = try arguments(object.arguments, atLeast: 1, of: "a module of torch.compile")
      return ModuleParts(className: try moduleClass(object), modules: [("_orig_mod", arguments[0])])
    }
    guard let fields = try moduleFields(object) else { return nil }
    var parts = ModuleParts(className: try moduleClass(object))
    for place in stride(from: 0, to: fields.count - 1, by: 2) {
      let name = try attributeName(fields[place])
      let node = fields[place + 1]
      switch name {
      case "_parameters": parts.parameters = try items(node)
      case "_buffers": parts.buffers = try items(node)
      case "_modules": parts.modules = try items(node)
      case "_non_persistent_buffers_set":
        guard case .sequence(_, let names) = try value(node) else { continue }
        parts.notPersistent = Set(names.compactMap { Key($0) })
      // The weights once more, in a list that `RNNBase.__setstate__` makes anew.
      case "_flat_weights": continue
      case _ where isMachinery(name, node): continue
      default: parts.others.append((name, node))
      }
    }
    return parts
  }

  /// The entries of a module's `__dict__`, where an object is a module.
  private mutating func moduleFields(_ object: PickleObject) throws(CheckpointError) -> [Int32]? {
    if case .graphModule = known(object.callable) {
      for node in try arguments(object.arguments, of: "a module of torch.fx").nodes {
        if let fields = try moduleFields(node) { return fields }
      }
      return nil
    }
    guard object.states.count == 1, object.items.isEmpty, object.pairs.isEmpty else { return nil }
    return try moduleFields(object.states[0])
  }

  private mutating func moduleFields(_ node: Int32) throws(CheckpointError) -> [Int32]? {
    guard case .dict(let index) = pickle.nodes[Int(node)] else { return nil }
    let fields = pickle.containers[Int(index)]
    // One state may be that of many objects.
    try spend(bytes: fields.count * 8)
    var found = 0
    for place in stride(from: 0, to: fields.count - 1, by: 2) where isDict(fields[place + 1]) {
      if Self.moduleKeys.contains(where: { isKey(fields[place], $0) }) { found += 1 }
    }
    return found == Self.moduleKeys.count ? fields : nil
  }

  private static let moduleKeys = ["_parameters", "_buffers", "_modules"].map { Array($0.utf8) }

  /// Whether a key is this text, however the pickle has it.
  func isKey(_ node: Int32, _ text: [UInt8]) -> Bool {
    switch pickle.nodes[Int(node)] {
    case .string(let span), .byteString(let span): bytes[span.range].elementsEqual(text)
    case .stringOwned(let index), .byteStringOwned(let index): pickle.owned[Int(index)] == text
    default: false
    }
  }

  mutating func moduleClass(_ object: PickleObject) throws(CheckpointError) -> String {
    switch known(object.callable) {
    case .reconstructor:
      return try className(try arguments(object.arguments, atLeast: 1, of: "copyreg._reconstructor")[0])
    case .graphModule: return "torch.fx.graph_module.GraphModule"
    default: break
    }
    guard case .global(let index) = pickle.nodes[Int(object.callable)] else { return "" }
    return try modernName(Int(index))
  }

  /// Whether `dictItems` may have items, told without making them.
  func isDict(_ node: Int32) -> Bool {
    switch pickle.nodes[Int(node)] {
    case .dict: return true
    case .object(let index):
      switch known(pickle.objects[Int(index)].callable) {
      case .orderedDict, .defaultDict: return true
      default: return false
      }
    default: return false
    }
  }

  /// Keys and values of a dict or an OrderedDict, alternating.
  func dictItems(_ node: Int32) -> [Int32]? {
    switch pickle.nodes[Int(node)] {
    case .dict(let index): return pickle.containers[Int(index)]
    case .object(let index):
      let object = pickle.objects[Int(index)]
      if case .defaultDict = known(object.callable) { return object.pairs }
      guard case .orderedDict = known(object.callable) else { return nil }
      guard case .tuple(let run) = pickle.nodes[Int(object.arguments)] else { return nil }
      guard run.count > 0 else { return object.pairs }
      // Python 2 made one of a list of pairs.
      return (try? pairs(pickle.pool[Int(run.start)])).map { $0 + object.pairs }
    default: return nil
    }
  }

  private mutating func items(_ node: Int32) throws(CheckpointError) -> [ModuleParts.Item] {
    let nodes = dictItems(node) ?? []
    try spend(bytes: nodes.count * 8)
    var items: [ModuleParts.Item] = []
    items.reserveCapacity(nodes.count / 2)
    for place in stride(from: 0, to: nodes.count - 1, by: 2) {
      items.append((try attributeName(nodes[place]), nodes[place + 1]))
    }
    return items
  }

  mutating func attributeName(_ node: Int32) throws(CheckpointError) -> String {
    guard case .string(let name) = try value(node) else {
      throw CheckpointError(.damaged, "a module's attribute whose name is no string")
    }
    return name
  }

  /// What `Module.__init__` makes and nobody used: tables of hooks without any.
  func isMachinery(_ name: String, _ node: Int32) -> Bool {
    guard name.hasPrefix("_"), name.contains("hook") else { return false }
    return isNone(node) || dictItems(node)?.isEmpty == true
  }
}
