import Checkpoint

/// What a GGUF file says of a tree: metadata, and tensors in their order.
struct GGUFPlan {
  struct Item {
    let name: String
    let type: GGUFTensorType
    let shape: [Int]
    let source: any ByteSource
  }

  private(set) var pairs: [(key: String, value: GGUFStoredValue)] = []
  private(set) var items: [Item] = []
  private(set) var alignment = GGUF.defaultAlignment
  private(set) var warnings: [String] = []
  private let root: Value
  /// The tree as names, tensors and text; nil where the file is a model and nothing else.
  private var flat: FlatCheckpoint?

  /// - Parameter weightsAlone: leave out what makes a whole checkpoint of names and tensors.
  init(_ root: Value, weightsAlone: Bool) throws(CheckpointError) {
    self.root = root
    if !(try addModel(root, weightsAlone: weightsAlone)) { try addCheckpoint(root, weightsAlone: weightsAlone) }
    let long = items.map(\.name).filter { $0.utf8.count >= GGUF.maximumLoadedName }
    if !long.isEmpty {
      warnings.append("llama.cpp refuses names of \(GGUF.maximumLoadedName) bytes and more: \(listed(long))")
    }
  }

  /// Puts the content digest into the text, when all tensors' bytes have passed; until then there are zeros in its place.
  mutating func takeDigest() throws(CheckpointError) {
    guard let flat, !pairs.isEmpty else { return }
    let digest = try CheckedSource.contentDigest(of: root)
    pairs[pairs.count - 1].value = try Self.text(String(decoding: try flat.rest(digest: digest), as: UTF8.self))
  }

  // MARK: - A model, as the reader gives it

  /// Adds a tree of `tensors` and `metadata`, or blocks alone; false where it holds anything that GGUF has no place for.
  private mutating func addModel(_ root: Value, weightsAlone: Bool) throws(CheckpointError) -> Bool {
    guard case .dict(let dict) = root, dict.kind == .plain, dict.attributes.isEmpty else { return false }
    if weightsAlone, dict.entries.contains(where: { BlockTensor($0.value) != nil }), let items = Self.items(dict) {
      self.items = items
      pairs = [(GGUF.architecture, try Self.text("unknown"))]
      return true
    }
    guard dict.count == 2, case .dict(let tensors)? = dict[GGUF.tensors],
      case .dict(let metadata)? = dict[GGUF.metadata],
      let items = Self.items(tensors), let pairs = try Self.pairs(metadata)
    else { return false }
    if let pair = pairs.first(where: { $0.key.hasSameBytes(as: GGUF.alignment) }) {
      guard let alignment = Self.alignment(pair.value) else { return false }
      self.alignment = alignment
    }
    (self.items, self.pairs) = (items, pairs)
    return true
  }

  private static func items(_ tensors: Dict) -> [Item]? {
    guard tensors.kind == .plain, tensors.attributes.isEmpty, !hasTies(tensors) else { return nil }
    var items: [Item] = []
    items.reserveCapacity(tensors.count)
    for entry in tensors.entries {
      guard case .string(let name) = entry.key, let item = item(name, entry.value) else { return nil }
      items.append(item)
    }
    return items
  }

  /// Ties need the text of a whole checkpoint.
  private static func hasTies(_ tensors: Dict) -> Bool {
    var table = TensorTable()
    return !tensors.tensors.allSatisfy { table.insert($0.tensor).isNew }
  }

  private static func item(_ name: String, _ value: Value) -> Item? {
    if case .tensor(let tensor) = value {
      guard let type = GGUFTensorType.plain(tensor.dtype), tensor.shape.count <= GGUF.maximumDimensions,
        tensor.kind == .tensor, !tensor.requiresGrad
      else { return nil }
      return Item(name: name, type: type, shape: tensor.shape, source: tensor.source)
    }
    guard let blocks = BlockTensor(value) ?? blocks(value), let type = GGUFTensorType.named(blocks.type),
      type.dtype == nil,
      blocks.shape.count <= GGUF.maximumDimensions, blocks.blocks.dtype == .uint8,
      type.byteCount(of: blocks.shape) == blocks.blocks.byteCount,
      type.byteShape(of: blocks.shape) == blocks.blocks.shape
    else { return nil }
    return Item(name: name, type: type, shape: blocks.shape, source: blocks.blocks.source)
  }

  /// Blocks after a way through a file that has no such records, and so has a dict of their parts.
  private static func blocks(_ value: Value) -> BlockTensor? {
    guard case .dict(let dict) = value, dict.kind == .plain, dict.attributes.isEmpty else { return nil }
    var fields: [Record.Field] = []
    for entry in dict.entries {
      guard case .string(let name) = entry.key else { return nil }
      fields.append(Record.Field(name, entry.value))
    }
    return fields.count == 3 ? BlockTensor(.record(Record(BlockTensor.recordType, fields))) : nil
  }

  /// The metadata with its types. Without a list of these, as after a way through a file that cannot keep it, numbers
  /// have the types that llama.cpp gives them.
  private static func pairs(_ metadata: Dict) throws(CheckpointError) -> [(key: String, value: GGUFStoredValue)]? {
    guard metadata.kind == .plain, metadata.attributes.count <= 1 else { return nil }
    var types: [Key: GGUFValueType] = [:]
    if let attribute = metadata.attributes.first {
      guard attribute.name.hasSameBytes(as: GGUF.types), case .dict(let dict) = attribute.value else { return nil }
      for entry in dict.entries {
        guard case .string(let name) = entry.value, let type = GGUFValueType(name: name) else { return nil }
        types[entry.key] = type
      }
    } else {
      guard case .string? = metadata[GGUF.architecture] else { return nil }
    }
    var pairs: [(key: String, value: GGUFStoredValue)] = []
    for entry in metadata.entries {
      guard case .string(let key) = entry.key, let stored = try GGUFStoredValue(entry.value, type: types[entry.key])
      else { return nil }
      pairs.append((key, stored))
    }
    return pairs
  }

  private static func alignment(_ value: GGUFStoredValue) -> Int? {
    guard value.type == .uint32 else { return nil }
    let number = value.bytes.reversed().reduce(Int64(0)) { $0 << 8 | Int64($1) }
    return GGUF.isAlignment(number) ? Int(number) : nil
  }

  private static func text(_ text: String) throws(CheckpointError) -> GGUFStoredValue {
    guard let value = try GGUFStoredValue(.string(text)) else {
      throw CheckpointError(
        .unsupported, "a text of \(text.utf8.count) bytes; GGUF holds 2^30 at most",
        advice: "Write an .h5, or the weights alone with --model-only.")
    }
    return value
  }

  // MARK: - Any other tree

  /// Tensors by name, numbers and words by their paths, and the whole tree as text.
  private mutating func addCheckpoint(_ root: Value, weightsAlone: Bool) throws(CheckpointError) {
    let flat = try FlatCheckpoint(root, keepsTies: true, carry: GGUFCarry.stored)
    for item in flat.items {
      guard let type = GGUFTensorType.plain(item.tensor.dtype) else { continue }
      items.append(Item(name: item.name, type: type, shape: item.tensor.shape, source: item.tensor.source))
    }
    try addScalars(of: root)
    if !weightsAlone {
      self.flat = flat
      pairs.append((FlatCheckpoint.key, try Self.text(String(decoding: try flat.rest(), as: UTF8.self))))
    }
    let told = weightsAlone ? "" : ", and told in '\(FlatCheckpoint.key)'"
    if !flat.carried.isEmpty {
      warnings.append(
        "GGUF has no such element types, or so many dimensions: stored as others of the same bytes\(told): "
          + listed(flat.carried))
    }
  }

  /// The architecture first, as loaders ask for it; then all scalars outside of optimizers.
  private mutating func addScalars(of root: Value) throws(CheckpointError) {
    let optimizers = Recogniser.sections(in: root).filter { $0.kind == .optimizer }.map(\.path)
    var taken: Set<Key> = [.string(GGUF.alignment), .string(FlatCheckpoint.key)]
    for key in [GGUF.architecture, GGUF.splitNumber, GGUF.splitCount, GGUF.splitTensors] { taken.insert(.string(key)) }
    var architecture = "unknown"
    var scalars: [(key: String, value: GGUFStoredValue)] = []
    try root.forEachLeaf { (path, text, value) throws(CheckpointError) in
      if path.steps.last == .key(.string(GGUF.architecture)), case .string(let name) = value {
        architecture = name
        return
      }
      guard value.isPlainScalar, path.hasOnlyNames, !optimizers.contains(where: { path.isInside($0) }),
        text.utf8.count <= UInt16.max, taken.insert(.string(text)).inserted,
        let stored = try GGUFStoredValue(value, type: value.widest)
      else { return }
      scalars.append((text, stored))
    }
    pairs = [(GGUF.architecture, try Self.text(architecture))] + scalars
  }
}

extension Value {
  fileprivate var isPlainScalar: Bool {
    switch self {
    case .int, .double, .bool, .string: true
    default: false
    }
  }

  fileprivate var widest: GGUFValueType? {
    switch self {
    case .int: .int64
    case .double: .float64
    default: nil
    }
  }
}

extension TreePath {
  /// Whether all steps are names that are not empty.
  fileprivate var hasOnlyNames: Bool {
    !steps.isEmpty && steps.allSatisfy { if case .key(.string(let name)) = $0 { !name.isEmpty } else { false } }
  }
}

/// Element types that GGUF does not have, and as what their bytes are stored.
enum GGUFCarry {
  /// Nil for a tensor that the format can hold as it is.
  static func stored(_ tensor: Tensor) throws(CheckpointError) -> Tensor? {
    let (dtype, shape) = stored(tensor.dtype, tensor)
    // The package gguf cannot read a bfloat16 without dimensions.
    let few = shape.isEmpty && dtype == .bfloat16 ? [1] : collapsed(shape)
    guard dtype != tensor.dtype || few != tensor.shape else { return nil }
    return try Tensor(dtype: dtype, shape: few, source: tensor.source)
  }

  private static func stored(_ dtype: DType, _ tensor: Tensor) -> (DType, [Int]) {
    if GGUFTensorType.plain(dtype) != nil { return (dtype, tensor.shape) }
    switch dtype {
    case .complex128: return (.float64, tensor.shape + [2])
    case .complex64: return (.float32, tensor.shape + [2])
    case .complex32: return (.float16, tensor.shape + [2])
    default: break
    }
    switch dtype.itemSize {
    case 8: return (.int64, tensor.shape)
    case 4: return (.int32, tensor.shape)
    case 2: return (.int16, tensor.shape)
    case 1: return (.int8, tensor.shape)
    default: return (.int8, [tensor.byteCount])
    }
  }

  /// Four dimensions at most: the slowest ones become one.
  private static func collapsed(_ shape: [Int]) -> [Int] {
    guard shape.count > GGUF.maximumDimensions else { return shape }
    let kept = GGUF.maximumDimensions - 1
    return [shape.dropLast(kept).reduce(1, *)] + shape.suffix(kept)
  }
}
