import Checkpoint

/// Turns a pickle into the checkpoint's tree.
///
/// Classes of PyTorch, Python and NumPy that hold data become what they are; any other class becomes a record that
/// keeps all its parts, and a warning. Nothing is called.
struct TorchTree {
  /// How deep containers may nest. Each level costs stack here and in every reader of the tree.
  static let depthLimit = 128

  let bytes: UnsafeRawBufferPointer
  /// What the pickle's bytes are a part of, where data in it may be used in place: `bytes` as a source.
  let origin: (any ByteSource)?
  let pickle: Pickle
  let known: [KnownGlobal]
  var storages: TorchStorages
  private var collected: [String] = []
  private var unknownClasses: [String] = []
  /// Values that may still be made, and bytes copied, 64 a value: a memo entry that is used again and again is made
  /// again each time.
  var budget: Int
  /// NumPy arrays by node, so that one that is used twice stays one.
  var arrays: [Int32: Value] = [:]
  /// What nested streams gave (`_load_from_bytes`), by node.
  var nested = NestedStreams()
  /// What a tar archive's persistent ids name.
  var numbered: [Int: NumberedThing]?
  /// How deep the container lies that is being made; a nested stream starts where it lies.
  var depth = 0
  /// The program, where this is the pickle of a TorchScript archive; and what it names by number.
  var script: ScriptCode?
  var constants: Value?
  /// How many modules the one lies in that is being read.
  var modulesAround = 0
  private var isOpen: [Bool]
  private var warned: Set<String> = []

  /// - Throws: `damaged` when the pickle names a function that runs code.
  init(
    _ pickle: Pickle, bytes: UnsafeRawBufferPointer, origin: (any ByteSource)? = nil, storages: TorchStorages
  ) throws(CheckpointError) {
    for (number, global) in pickle.globals.enumerated() where global.isDangerous {
      if global.isGetattr, pickle.bindsMethodsOnly(number, bytes) { continue }
      throw CheckpointError(
        .damaged, "names \(global.fullName), which runs code or reaches the system; nothing of it was run",
        advice: "This file attacks whoever loads it with Python. Do not load it; delete it.")
    }
    self.pickle = pickle
    self.bytes = bytes
    self.origin = origin
    self.storages = storages
    known = pickle.globals.map { KnownGlobal($0) }
    budget = 250_000 + 4 * pickle.opcodes + bytes.count / 16
    isOpen = Array(repeating: false, count: pickle.nodes.count)
  }

  mutating func root() throws(CheckpointError) -> Value { try value(pickle.root) }

  /// The value of a node.
  mutating func value(_ node: Int32) throws(CheckpointError) -> Value {
    try spend(bytes: 0)
    switch pickle.nodes[Int(node)] {
    case .none: return .none
    case .bool(let value): return .bool(value)
    case .int(let value): return .int(value)
    case .double(let value): return .double(value)
    case .string(let span):
      try spend(bytes: span.count)
      return try text(UnsafeRawBufferPointer(rebasing: bytes[span.range]))
    case .global(let index): return try token(Int(index))
    default: return try container(node)
    }
  }

  /// Counts one more value, and what is copied for it.
  mutating func spend(bytes count: Int) throws(CheckpointError) {
    budget -= 1 + count / 64
    guard budget >= 0 else {
      throw CheckpointError(.damaged, "parts of the pickle are used over and over (a memo bomb); refused")
    }
  }

  private mutating func container(_ node: Int32) throws(CheckpointError) -> Value {
    try enter(node)
    defer { leave(node) }
    switch pickle.nodes[Int(node)] {
    case .tuple(let run): return .sequence(.tuple, try values(pickle.pool[run.range]))
    case .frozenset(let run): return .sequence(.frozenset, try values(pickle.pool[run.range]))
    case .list(let index): return .sequence(.list, try values(pickle.containers[Int(index)][...]))
    case .set(let index): return .sequence(.set, try values(pickle.containers[Int(index)][...]))
    case .dict(let index):
      let items = pickle.containers[Int(index)]
      if let pairs = try objectKeyed(items, "builtins.dict") { return pairs }
      return .dict(Dict(try entries([items])))
    case .object(let index): return try object(node, pickle.objects[Int(index)])
    case .persistent(let id): return try persistent(id)
    default: return try leaf(node)
    }
  }

  /// Begins with a container. Its `leave` must follow.
  mutating func enter(_ node: Int32) throws(CheckpointError) {
    guard !isOpen[Int(node)] else {
      throw CheckpointError(.unsupported, "a container that holds itself; a tree cannot say that")
    }
    guard depth < Self.depthLimit else {
      throw CheckpointError(.damaged, "containers nested more than \(Self.depthLimit) deep")
    }
    isOpen[Int(node)] = true
    depth += 1
  }

  mutating func leave(_ node: Int32) {
    isOpen[Int(node)] = false
    depth -= 1
  }

  /// Leaves that are rare.
  private mutating func leaf(_ node: Int32) throws(CheckpointError) -> Value {
    switch pickle.nodes[Int(node)] {
    case .bytes(let span), .byteArray(let span), .byteString(let span), .bigInt(let span): try spend(bytes: span.count)
    case .bigIntOwned(let index), .stringOwned(let index), .byteStringOwned(let index):
      try spend(bytes: pickle.owned[Int(index)].count)
    default: break
    }
    switch pickle.nodes[Int(node)] {
    case .bigInt(let span): return integer(BigInt(twosComplement: bytes[span.range]))
    case .bigIntOwned(let index): return integer(BigInt(twosComplement: pickle.owned[Int(index)]))
    case .stringOwned(let index): return try text(pickle.owned[Int(index)])
    case .byteString(let span): return .string(Self.python2Text(bytes[span.range]))
    case .byteStringOwned(let index): return .string(Self.python2Text(pickle.owned[Int(index)]))
    case .bytes(let span): return .bytes(Array(bytes[span.range]))
    case .byteArray(let span): return .byteArray(Array(bytes[span.range]))
    default: return .none
    }
  }

  private func integer(_ big: BigInt) -> Value { big.int64.map(Value.int) ?? .bigInt(big) }

  private func text(_ raw: some Collection<UInt8>) throws(CheckpointError) -> Value {
    if let text = String(validating: raw, as: UTF8.self) { return .string(text) }
    let raw = Array(raw)
    guard Surrogates.areAllThatIsWrong(with: raw) else { throw CheckpointError(.damaged, "a string that is not UTF-8") }
    return .surrogateString(raw)
  }

  /// A byte string of Python 2 as text: UTF-8 where it is that, else Latin-1.
  private static func python2Text(_ raw: some Collection<UInt8>) -> String {
    if let text = String(validating: raw, as: UTF8.self) { return text }
    return String(String.UnicodeScalarView(raw.map { Unicode.Scalar($0) }))
  }

  /// A class or function that is named, not called.
  private mutating func token(_ index: Int) throws(CheckpointError) -> Value {
    switch known[index] {
    case .dtype(let name): return .token(.dtype, name)
    case .qscheme(let name): return .token(.qscheme, name)
    default: return .token(.global, try modernName(index))
    }
  }

  /// A class's or function's name. It is text that may be long and used over and over, like any other.
  mutating func modernName(_ global: Int) throws(CheckpointError) -> String {
    try modernName(of: pickle.globals[global])
  }

  mutating func modernName(of global: PickleGlobal) throws(CheckpointError) -> String {
    let name = global.modernName
    try spend(bytes: name.utf8.count)
    return name
  }

  // MARK: - Containers

  mutating func values(_ nodes: ArraySlice<Int32>) throws(CheckpointError) -> [Value] {
    var values: [Value] = []
    values.reserveCapacity(nodes.count)
    for (index, node) in nodes.enumerated() {
      do throws(CheckpointError) { values.append(try value(node)) } catch { throw error.at("[\(index)]") }
    }
    return values
  }

  /// The entries of a dict from alternating keys and values. As in Python the last value of a key wins, in the place of
  /// the first.
  mutating func entries(_ lists: [[Int32]]) throws(CheckpointError) -> [Dict.Entry] {
    let total = lists.reduce(0) { $0 + $1.count / 2 }
    var entries: [Dict.Entry] = []
    entries.reserveCapacity(total)
    var places: [Key: Int] = [:]
    let isLarge = total > 8
    if isLarge { places.reserveCapacity(total) }
    for list in lists {
      for index in stride(from: 0, to: list.count - 1, by: 2) {
        guard let key = Key(try value(list[index])) else {
          throw CheckpointError(.damaged, "a dict key that cannot be one (a list, a dict, a tensor, an object)")
        }
        let value: Value
        do throws(CheckpointError) { value = try self.value(list[index + 1]) } catch { throw error.at(Self.text(key)) }
        let place = isLarge ? places[key] : entries.firstIndex { $0.key == key }
        if let place {
          entries[place].value = value
        } else {
          if isLarge { places[key] = entries.count }
          entries.append(Dict.Entry(key, value))
        }
      }
    }
    return entries
  }

  /// A key as errors show it.
  static func text(_ key: Key) -> String {
    switch key {
    case .string(let text): text.utf8.count <= 200 ? text : String(text.prefix(100)) + "..."
    case .int(let number): "\(number)"
    default: "\(key)"
    }
  }

  // MARK: - Warnings

  /// Says something once.
  mutating func warn(_ message: String) {
    if collected.count < Self.warningLimit, warned.insert(message).inserted { collected.append(message) }
  }

  /// Remembers a class whose objects are kept as their parts.
  mutating func noteUnknown(_ name: String) {
    if unknownClasses.count < Self.warningLimit, warned.insert(name).inserted { unknownClasses.append(name) }
  }

  private static let warningLimit = 100

  /// What the user should know; all unknown classes in one sentence.
  var warnings: [String] {
    guard !unknownClasses.isEmpty else { return collected }
    let names = unknownClasses.joined(separator: ", ")
    return ["classes that ckpt does not know are kept as data, and nothing of them was run: \(names)"] + collected
  }
}
