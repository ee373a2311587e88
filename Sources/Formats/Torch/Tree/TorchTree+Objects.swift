import Checkpoint

// What Python would make by a call.
extension TorchTree {
  mutating func object(_ node: Int32, _ object: PickleObject) throws(CheckpointError) -> Value {
    let callable = known(object.callable)
    if let value = try container(callable, object) { return value }
    if let module = try module(object) { return module }
    if let optimizer = try optimizer(object) { return optimizer }
    if case .reconstructor = callable { return try reconstructed(object) }
    if case .numpyReconstruct = callable { return try numpyArray(node, object) }
    if case .numpyDType = callable { return try numpyDTypeValue(object) }
    if case .legacyTensor(let dtype) = callable, let state = object.states.last {
      return try legacyTensor(dtype, state)
    }
    if case .rebuildWrapper = callable { return try wrapperSubclass(object.arguments, states: object.states) }
    if case .joblibArray = callable { return try joblibArray(node, object) }
    if case .oldVariable(let kind) = callable, let value = try oldVariable(kind, object) { return value }
    if object.form == .call, let value = try applied(callable, object.callable, object.arguments, node: node) {
      try refuseAdditions(object)
      return value
    }
    return try unknown(object)
  }

  /// A known thing to which items or state were added that it cannot have.
  private func refuseAdditions(_ object: PickleObject) throws(CheckpointError) {
    guard object.items.isEmpty, object.pairs.isEmpty, object.states.isEmpty else {
      throw CheckpointError(.damaged, "items or state for a thing that has none")
    }
  }

  // MARK: - Containers

  private mutating func container(_ callable: KnownGlobal, _ object: PickleObject) throws(CheckpointError) -> Value? {
    switch callable {
    case .orderedDict:
      if let pairs = try objectKeyed(object, "collections.OrderedDict") { return pairs }
      return try dict(.ordered, object)
    case .counter: return try dict(.counter, object)
    case .dict: return try dict(.plain, object)
    case .defaultDict:
      if let pairs = try objectKeyed(object, "collections.defaultdict") { return pairs }
      return try defaultDict(object)
    case .sequence(let kind): return try sequence(kind, object)
    default: return nil
    }
  }

  private mutating func dict(_ kind: Dict.Kind, _ object: PickleObject) throws(CheckpointError) -> Value {
    guard object.items.isEmpty else { throw CheckpointError(.damaged, "list items in a dict") }
    var lists: [[Int32]] = []
    if let first = try arguments(object.arguments, of: "a dict's arguments").nodes.first {
      lists.append(try pairs(first))
    }
    lists.append(object.pairs)
    var dict = Dict(try entries(lists), kind: kind)
    for state in object.states { dict.attributes += try attributes(state) }
    return .dict(dict)
  }

  /// What a dict is made of: another dict, or a list of pairs (Python 2's OrderedDict).
  func pairs(_ node: Int32) throws(CheckpointError) -> [Int32] {
    switch pickle.nodes[Int(node)] {
    case .dict(let index): return pickle.containers[Int(index)]
    case .list(let index):
      var result: [Int32] = []
      for item in pickle.containers[Int(index)] { result += try pair(item) }
      return result
    default: throw CheckpointError(.damaged, "a dict made of something that is no dict and no list")
    }
  }

  private func pair(_ node: Int32) throws(CheckpointError) -> [Int32] {
    switch pickle.nodes[Int(node)] {
    case .list(let index) where pickle.containers[Int(index)].count == 2: return pickle.containers[Int(index)]
    case .tuple(let run) where run.count == 2: return Array(pickle.pool[run.range])
    default: throw CheckpointError(.damaged, "a dict entry that is no pair")
    }
  }

  /// Attributes of a dict object: BUILD's state, a dict, or a pair of it and the slots.
  private mutating func attributes(_ state: Int32) throws(CheckpointError) -> [Record.Field] {
    switch pickle.nodes[Int(state)] {
    case .none: return []
    case .tuple(let run) where run.count == 2:
      var fields: [Record.Field] = []
      for part in pickle.pool[run.range] {
        // A pair in a pair would be a nest to get lost in; Python makes none.
        if case .tuple = pickle.nodes[Int(part)] { throw CheckpointError(.damaged, "a dict's state that is no dict") }
        fields += try attributes(part)
      }
      return fields
    case .dict(let index):
      return try entries([pickle.containers[Int(index)]]).map { (entry) throws(CheckpointError) in
        guard case .string(let name) = entry.key else { throw CheckpointError(.damaged, "an attribute without a name") }
        return Record.Field(name, entry.value)
      }
    default: throw CheckpointError(.damaged, "a dict's state that is no dict")
    }
  }

  private mutating func defaultDict(_ object: PickleObject) throws(CheckpointError) -> Value {
    let arguments = try arguments(object.arguments, of: "a defaultdict's arguments")
    var factory = ""
    if let first = arguments.nodes.first, !isNone(first) {
      if case .global = pickle.nodes[Int(first)] {
        factory = try className(first)
      } else {
        warn("a defaultdict's factory is no plain name; it was left out")
      }
    }
    var dict = Dict(try entries([object.pairs]), kind: .defaultDict(factory: factory))
    for state in object.states { dict.attributes += try attributes(state) }
    return .dict(dict)
  }

  private mutating func sequence(_ kind: Value.Sequence, _ object: PickleObject) throws(CheckpointError) -> Value {
    guard object.pairs.isEmpty, object.states.isEmpty else { return try unknown(object) }
    var nodes: [Int32] = []
    if let first = try arguments(object.arguments, of: "a sequence's arguments").nodes.first {
      switch pickle.nodes[Int(first)] {
      case .list(let index), .set(let index): nodes = pickle.containers[Int(index)]
      case .tuple(let run), .frozenset(let run): nodes = Array(pickle.pool[run.range])
      default: throw CheckpointError(.damaged, "a \(kind.rawValue) made of something that is no list")
      }
    }
    return .sequence(kind, try values((nodes + object.items)[...]))
  }

  // MARK: - Calls

  /// The value of a call whose function is known, or nil.
  mutating func applied(
    _ callable: KnownGlobal, _ callableNode: Int32, _ argumentsNode: Int32, node: Int32
  ) throws(CheckpointError) -> Value? {
    let arguments = try arguments(argumentsNode, of: "a call's arguments")
    switch callable {
    case .rebuildTensor, .rebuildTensorV2, .rebuildTensorV3: return try tensor(callable, arguments)
    case .rebuildParameter: return try parameter(arguments, hasState: false)
    case .rebuildParameterWithState: return try parameter(arguments, hasState: true)
    case .rebuildFromType: return try fromType(arguments)
    case .rebuildSparse: return try sparse(arguments)
    case .rebuildQuantized: return try quantized(arguments)
    case .rebuildMeta: return try metaTensor(arguments)
    case .rebuildNested: return try nestedTensor(arguments)
    case .deviceFromNumPy, .deviceFromTensor: return try deviceTensor(node, arguments)
    case .numpyScalar: return try numpyScalar(arguments)
    case .numpyFromBuffer: return try numpyFromBuffer(node, arguments)
    case .loadFromBytes: return try loadedFromBytes(node, arguments)
    case .typedValue:
      guard arguments.count > 0 else { throw CheckpointError(.damaged, "a typed value without the value") }
      return try value(arguments[0])
    case .encode: return .bytes(try encoded(arguments))
    case .bytes: return .bytes(try plainBytes(arguments))
    case .byteArray: return .byteArray(try plainBytes(arguments))
    case .complex: return try complex(arguments)
    case .size:
      return .size(
        try arguments.nodes.first.map { (n) throws(CheckpointError) in try ints(n, "a size") }?.map(Int64.init) ?? [])
    case .device: return .token(.device, try device(arguments))
    case .layout:
      guard arguments.count == 1 else { throw CheckpointError(.damaged, "a layout without its name") }
      let name = try string(arguments[0], "a layout's name")
      return .token(.layout, name.hasPrefix("torch.") ? String(name.dropFirst(6)) : name)
    default: return nil
    }
  }

  private func device(_ arguments: Arguments) throws(CheckpointError) -> String {
    guard arguments.count == 1 || arguments.count == 2 else {
      throw CheckpointError(.damaged, "a device without a name")
    }
    let name = try string(arguments[0], "a device's name")
    return arguments.count == 1 || isNone(arguments[1]) ? name : "\(name):\(try int(arguments[1], "a device's number"))"
  }

  private func complex(_ arguments: Arguments) throws(CheckpointError) -> Value {
    func part(_ index: Int) throws(CheckpointError) -> Double {
      guard index < arguments.count else { return 0 }
      switch pickle.nodes[Int(arguments[index])] {
      case .double(let value): return value
      case .int(let value): return Double(value)
      default: throw CheckpointError(.damaged, "a complex number's part that is no number")
      }
    }
    guard arguments.count <= 2 else { throw CheckpointError(.damaged, "a complex number of more than two parts") }
    return .complex(try part(0), try part(1))
  }

  // MARK: - Bytes

  /// `_codecs.encode(text, 'latin1')`: how protocol 2 writes bytes.
  mutating func encoded(_ arguments: Arguments) throws(CheckpointError) -> [UInt8] {
    guard arguments.count == 2 else { throw CheckpointError(.damaged, "_codecs.encode without its two arguments") }
    let raw: [UInt8]
    switch pickle.nodes[Int(arguments[0])] {
    case .string(let span): raw = Array(bytes[span.range])
    case .stringOwned(let index): raw = pickle.owned[Int(index)]
    default: throw CheckpointError(.damaged, "_codecs.encode of something that is no string")
    }
    try spend(bytes: raw.count)
    switch try string(arguments[1], "an encoding's name") {
    case "latin1", "latin-1", "iso-8859-1", "raw_unicode_escape": return try Self.latin1(raw)
    case "utf-8", "utf8", "ascii": return raw
    case let other: throw CheckpointError(.unsupported, "bytes in the encoding \(other)")
    }
  }

  /// The code points of UTF-8 text, each a byte.
  private static func latin1(_ raw: [UInt8]) throws(CheckpointError) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(raw.count)
    var index = 0
    while index < raw.count {
      let byte = raw[index]
      if byte < 0x80 {
        out.append(byte)
        index += 1
      } else {
        guard byte == 0xC2 || byte == 0xC3, index + 1 < raw.count, raw[index + 1] & 0xC0 == 0x80 else {
          throw CheckpointError(.damaged, "bytes kept as Latin-1 text that has other characters")
        }
        out.append(byte << 6 | raw[index + 1] & 0x3F)
        index += 2
      }
    }
    return out
  }

  /// `bytes()`, `bytearray(b)`, `bytearray(text, 'latin-1')`.
  private mutating func plainBytes(_ arguments: Arguments) throws(CheckpointError) -> [UInt8] {
    switch arguments.count {
    case 0: return []
    case 1: return try bytes(of: arguments[0])
    default: return try encoded(arguments)
    }
  }

  /// The bytes that a node stands for.
  mutating func bytes(of node: Int32) throws(CheckpointError) -> [UInt8] {
    switch pickle.nodes[Int(node)] {
    case .bytes(let span), .byteArray(let span), .string(let span), .byteString(let span):
      try spend(bytes: span.count)
      return Array(bytes[span.range])
    case .stringOwned(let index), .byteStringOwned(let index):
      try spend(bytes: pickle.owned[Int(index)].count)
      return pickle.owned[Int(index)]
    case .list(let index):
      try spend(bytes: pickle.containers[Int(index)].count)
      return try pickle.containers[Int(index)].map { (item) throws(CheckpointError) in
        guard let byte = UInt8(exactly: try int(item, "a byte")) else {
          throw CheckpointError(.damaged, "a byte above 255")
        }
        return byte
      }
    case .object(let index):
      let object = pickle.objects[Int(index)]
      switch known(object.callable) {
      case .encode: return try encoded(try arguments(object.arguments, of: "_codecs.encode"))
      case .bytes:
        // Only the empty bytes are written so; anything else in here would be a nest to get lost in.
        guard try arguments(object.arguments, of: "bytes").count == 0 else { fallthrough }
        return []
      default: throw CheckpointError(.damaged, "bytes are due, and something else is there")
      }
    default: throw CheckpointError(.damaged, "bytes are due, and something else is there")
    }
  }

  // MARK: - Unknown classes

  /// `copyreg._reconstructor(cls, base, state)`: how protocols 0 and 1 write plain objects.
  private mutating func reconstructed(_ object: PickleObject) throws(CheckpointError) -> Value {
    let arguments = try arguments(object.arguments, atLeast: 3, of: "copyreg._reconstructor")
    let name = try className(arguments[0])
    noteUnknown(name)
    var fields = [Record.Field("class", .string(name))]
    if !isNone(arguments[2]) { fields.append(Record.Field("args", .sequence(.tuple, [try value(arguments[2])]))) }
    return .record(Record(TorchRecord.object, fields + (try additions(object))))
  }

  private mutating func unknown(_ object: PickleObject) throws(CheckpointError) -> Value {
    var fields: [Record.Field] = []
    if case .global = pickle.nodes[Int(object.callable)] {
      let name = try className(object.callable)
      noteUnknown(name)
      fields.append(Record.Field("class", .string(name)))
    } else {
      fields.append(Record.Field("callable", try value(object.callable)))
    }
    let arguments = try value(object.arguments)
    if case .sequence(_, let items) = arguments, !items.isEmpty || object.form == .call {
      fields.append(Record.Field("args", arguments))
    }
    if object.keywords >= 0 { fields.append(Record.Field("kwargs", try value(object.keywords))) }
    fields += try additions(object)
    return .record(Record(object.form == .call ? TorchRecord.reduce : TorchRecord.object, fields))
  }

  /// State, list items and dict items.
  private mutating func additions(_ object: PickleObject) throws(CheckpointError) -> [Record.Field] {
    var fields: [Record.Field] = []
    for state in object.states { fields.append(Record.Field("state", try value(state))) }
    if !object.items.isEmpty { fields.append(Record.Field("items", .sequence(.list, try values(object.items[...])))) }
    if !object.pairs.isEmpty { fields.append(Record.Field("pairs", .dict(Dict(try entries([object.pairs]))))) }
    return fields
  }
}
