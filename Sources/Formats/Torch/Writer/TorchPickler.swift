import Checkpoint

/// Writes a tree as the pickle of a PyTorch checkpoint, and collects the storages it refers to.
///
/// What `weights_only=True` refuses is written as its nearest plain form, with a warning that names its path.
struct TorchPickler {
  /// A storage to be: one record of the archive.
  struct Storage {
    var source: any ByteSource
    var type: TorchTypes.Storage
  }

  private struct StorageKey: Hashable {
    var source: ObjectIdentifier
    var dtype: DType
  }

  private struct ParameterKey: Hashable {
    var storage: Int
    var shape: [Int]
    var requiresGrad: Bool
  }

  var writer = PickleWriter()
  private(set) var storages: [Storage] = []
  private(set) var warnings: [String] = []
  private var byKey: [StorageKey: Int] = [:]
  private var parameters: [ParameterKey: Int] = [:]
  private var path: [String] = []
  private static let depthLimit = 512

  /// - Throws: `unsupported` when the tree is too deep, and what a source throws.
  static func pickle(_ root: Value) throws(CheckpointError) -> (bytes: [UInt8], storages: [Storage], warnings: [String])
  {
    var pickler = TorchPickler()
    try pickler.write(root)
    return (pickler.writer.finish(), pickler.storages, pickler.warnings)
  }

  mutating func write(_ value: Value) throws(CheckpointError) {
    switch value {
    case .none: writer.none()
    case .bool(let value): writer.bool(value)
    case .int(let value): writer.int(value)
    case .bigInt(let value): write(value)
    case .double(let value): writer.double(value)
    case .complex(let real, let imaginary):
      writer.call("__builtin__", "complex") { writer in
        writer.double(real)
        writer.double(imaginary)
        writer.op(PickleOpcode.tuple2)
      }
    case .string(let text): writer.text(text)
    case .surrogateString(let raw): writer.text(raw)
    case .bytes(let raw): writer.byteString(raw)
    case .byteArray(let raw):
      writer.call("__builtin__", "bytearray") { writer in
        writer.byteString(raw)
        writer.op(PickleOpcode.tuple1)
      }
    case .sequence(let kind, let items): try write(kind, items)
    case .dict(let dict): try write(dict)
    case .tensor(let tensor): try write(tensor)
    case .size(let sizes):
      writer.call("torch", "Size") { writer in
        writer.ints(sizes.map { Int($0) })
        writer.op(PickleOpcode.tuple1)
      }
    case .token(let kind, let name): write(kind, name)
    case .record(let record): try write(record)
    }
  }

  private mutating func write(_ big: BigInt) {
    if writer.long(big) { return }
    warn("an integer of \(big.bytes.count) bytes was written as text: weights_only=True takes at most 255")
    writer.text(big.description)
  }

  // MARK: - Containers

  private mutating func write(_ kind: Value.Sequence, _ items: [Value]) throws(CheckpointError) {
    switch kind {
    case .tuple:
      if items.count > 3 { writer.op(PickleOpcode.mark) }
      try writeItems(items)
      writer.endTuple(items.count)
    case .list: try writeList(items)
    case .set, .frozenset:
      if kind == .frozenset { warn("a frozenset was written as a set") }
      writer.global("__builtin__", "set")
      try writeList(items)
      writer.op(PickleOpcode.tuple1)
      writer.op(PickleOpcode.reduce)
    }
  }

  private mutating func writeList(_ items: [Value]) throws(CheckpointError) {
    writer.op(PickleOpcode.emptyList)
    guard !items.isEmpty else { return }
    writer.op(PickleOpcode.mark)
    try writeItems(items)
    writer.op(PickleOpcode.appends)
  }

  private mutating func writeItems(_ items: [Value]) throws(CheckpointError) {
    for (index, item) in items.enumerated() {
      try inside("\(index)") { (pickler) throws(CheckpointError) in try pickler.write(item) }
    }
  }

  private mutating func write(_ dict: Dict) throws(CheckpointError) {
    let dict = withoutModule(dict)
    switch dict.kind {
    case .plain, .defaultDict:
      if dict.kind != .plain { warn("a defaultdict was written as a dict") }
      if !dict.attributes.isEmpty {
        warn("left out, since a dict in a .pt has no attributes: \(listed(dict.attributes.map(\.name)))")
      }
      writer.op(PickleOpcode.emptyDict)
      try writeEntries(dict.entries)
    case .ordered:
      writer.emptyOrderedDict()
      try writeEntries(dict.entries)
      guard !dict.attributes.isEmpty else { return }
      writer.op(PickleOpcode.emptyDict)
      try writeEntries(dict.attributes.map { Dict.Entry(.string($0.name), $0.value) })
      writer.op(PickleOpcode.build)
    case .counter:
      if !dict.attributes.isEmpty { warn("a Counter's attributes were left out") }
      writer.global("collections", "Counter")
      writer.op(PickleOpcode.emptyDict)
      try writeEntries(dict.entries)
      writer.op(PickleOpcode.tuple1)
      writer.op(PickleOpcode.reduce)
    }
  }

  /// Entries into the dict on top of the stack.
  mutating func writeEntries(_ entries: [Dict.Entry]) throws(CheckpointError) {
    guard !entries.isEmpty else { return }
    writer.op(PickleOpcode.mark)
    for entry in entries {
      let name = TorchTree.text(entry.key)
      try inside(name) { (pickler) throws(CheckpointError) in
        if case .string(let text) = entry.key { pickler.writer.text(text) } else { try pickler.write(entry.key.value) }
        if name == "step" { try pickler.warnOfLostSteps(entry.value) }
        try pickler.write(entry.value)
      }
    }
    writer.op(PickleOpcode.setItems)
  }

  private mutating func write(_ kind: Value.Token, _ name: String) {
    switch kind {
    case .dtype:
      guard let dtype = DType(rawValue: name), TorchTypes.exists(dtype) else { return writeAsText(name, "a dtype") }
      writer.global("torch", name)
    case .qscheme:
      guard TorchTypes.qschemes.contains(name) else { return writeAsText(name, "a quantisation scheme") }
      writer.global("torch", name)
    case .layout:
      writer.call("torch.serialization", "_get_layout") { writer in
        writer.text("torch." + name)
        writer.op(PickleOpcode.tuple1)
      }
    case .device: writeDevice(name)
    case .global: writeAsText(name, "a class or function")
    }
  }

  private mutating func writeAsText(_ name: String, _ what: String) {
    warn("\(what) was written as the text '\(name)'")
    writer.text(name)
  }

  /// `device('cuda', 1)`, or `device('cpu')`.
  mutating func writeDevice(_ name: String) {
    writer.call("torch", "device") { writer in
      let parts = name.utf8.split(separator: 0x3A, maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let kind = String(parts[0]), let number = Int64(String(parts[1]) ?? "") else {
        writer.text(name)
        return writer.op(PickleOpcode.tuple1)
      }
      writer.text(kind)
      writer.int(number)
      writer.op(PickleOpcode.tuple2)
    }
  }

  // MARK: - Storages

  /// The key of a tensor's storage. Tensors that are tied have one.
  mutating func storage(_ tensor: Tensor, _ dtype: DType) -> Int {
    let key = StorageKey(source: ObjectIdentifier(tensor.source), dtype: dtype)
    if let known = byKey[key] { return known }
    let isUntyped = TorchTypes.storageName(dtype) == nil
    storages.append(
      Storage(source: tensor.source, type: .init(dtype: isUntyped ? .uint8 : dtype, isUntyped: isUntyped)))
    byKey[key] = storages.count - 1
    return storages.count - 1
  }

  /// The memo entry of a parameter that was written before: an optimizer must meet it once.
  func knownParameter(_ tensor: Tensor, _ storage: Int) -> Int? {
    tensor.byteCount == 0
      ? nil : parameters[ParameterKey(storage: storage, shape: tensor.shape, requiresGrad: tensor.requiresGrad)]
  }

  mutating func remember(_ tensor: Tensor, _ storage: Int) {
    let key = ParameterKey(storage: storage, shape: tensor.shape, requiresGrad: tensor.requiresGrad)
    parameters[key] = writer.put()
  }

  // MARK: - Path and warnings

  /// Does something one level deeper in the tree.
  mutating func inside(
    _ name: String, _ body: (inout TorchPickler) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard path.count < Self.depthLimit else {
      throw CheckpointError(.unsupported, "containers nested more than \(Self.depthLimit) deep")
    }
    path.append(name)
    try body(&self)
    path.removeLast()
  }

  mutating func warn(_ message: String) {
    warnings.append(path.isEmpty ? message : "\(path.joined(separator: ".")): \(message)")
  }
}
