/// The digest of a whole tree: keys, types, scalars, and the digests of the tensors, in a canonical walk.
///
/// It is a property of the content and not of the container: the same checkpoint as `.pt` and as `.h5` has one digest.
/// The walk is defined in `spec/`, clause group DIG.
public enum ContentDigest {
  /// Reads and hashes every tensor with `threads` threads, then the tree.
  public static func compute(
    _ root: Value, _ algorithm: Digest.Algorithm = .xxh3, threads: Int = defaultThreads
  ) throws(CheckpointError) -> Digest {
    let table = TensorTable(root)
    let digests = try parallelMap(count: table.tensors.count, threads: threads) { (index) throws(CheckpointError) in
      try table.tensors[index].digest(algorithm)
    }
    return try of(root, algorithm, table: table, digests: digests)
  }

  /// The digest of a tree whose tensors are hashed already: `digests[i]` belongs to `table.tensors[i]`.
  public static func of(
    _ root: Value, _ algorithm: Digest.Algorithm, table: TensorTable, digests: [Digest]
  ) throws(CheckpointError) -> Digest {
    var walk = try CanonicalWalk(algorithm, digests: digests)
    walk.visit(root)
    return walk.digest()
  }
}

/// Writes the canonical bytes of a tree into a hash.
private struct CanonicalWalk: ~Copyable {
  private var hasher: StreamHasher
  private var pending: [UInt8] = []
  private var seen = TensorTable()
  private let digests: [Digest]

  init(_ algorithm: Digest.Algorithm, digests: [Digest]) throws(CheckpointError) {
    hasher = try StreamHasher(algorithm)
    self.digests = digests
    pending.reserveCapacity(1 << 16)
    pending.append(contentsOf: "ckpt-content/1\0".utf8)
  }

  mutating func digest() -> Digest {
    flush()
    return hasher.digest()
  }

  mutating func visit(_ value: Value) {
    if pending.count >= 1 << 15 { flush() }
    switch value {
    case .none: tag("N")
    case .bool(let x): put(tag: "B", byte: x ? 1 : 0)
    case .int(let x): put(tag: "I", word: UInt64(bitPattern: x))
    case .bigInt(let x): put(tag: "L", text: x.description.utf8)
    case .double(let x): put(tag: "D", word: x.bitPattern)
    case .complex(let re, let im):
      put(tag: "C", word: re.bitPattern)
      put(im.bitPattern)
    case .string(let x): put(tag: "S", text: x.utf8)
    case .surrogateString(let x): put(tag: "S", text: x)
    case .bytes(let x): put(tag: "Y", text: x)
    case .byteArray(let x): put(tag: "y", text: x)
    case .sequence(let kind, let items): visit(kind, items)
    case .dict(let dict): visit(dict)
    case .tensor(let tensor): visit(tensor)
    case .size(let sizes):
      put(tag: "Z", word: UInt64(sizes.count))
      for size in sizes { put(UInt64(bitPattern: size)) }
    case .token(let kind, let text):
      put(tag: "K", text: kind.rawValue.utf8)
      put(text: text.utf8)
    case .record(let record):
      put(tag: "R", text: record.type.utf8)
      visit(record.fields)
    }
  }

  private mutating func visit(_ kind: Value.Sequence, _ items: [Value]) {
    let mark: Unicode.Scalar =
      switch kind {
      case .list: "["
      case .tuple: "("
      case .set: "{"
      case .frozenset: "<"
      }
    put(tag: mark, word: UInt64(items.count))
    for item in items { visit(item) }
  }

  private mutating func visit(_ dict: Dict) {
    switch dict.kind {
    case .plain: tag("M")
    case .ordered: tag("O")
    case .counter: tag("U")
    case .defaultDict(let factory): put(tag: "F", text: factory.utf8)
    }
    put(UInt64(dict.count))
    for entry in dict.entries {
      visit(entry.key.value)
      visit(entry.value)
    }
    visit(dict.attributes)
  }

  private mutating func visit(_ fields: [Record.Field]) {
    put(UInt64(fields.count))
    for field in fields {
      put(text: field.name.utf8)
      visit(field.value)
    }
  }

  private mutating func visit(_ tensor: Tensor) {
    let (index, isNew) = seen.insert(tensor)
    tag(isNew ? "X" : "=")
    let kind: UInt8 =
      switch tensor.kind {
      case .tensor: 0
      case .parameter: 1
      case .buffer(persistent: true): 2
      case .buffer(persistent: false): 3
      }
    pending.append(kind)
    pending.append(tensor.requiresGrad ? 1 : 0)
    guard isNew else { return put(UInt64(index)) }
    put(text: tensor.dtype.rawValue.utf8)
    put(UInt64(tensor.shape.count))
    for size in tensor.shape { put(UInt64(size)) }
    if index < digests.count { pending.append(contentsOf: digests[index].bytes) }
  }

  private mutating func tag(_ tag: Unicode.Scalar) { pending.append(UInt8(truncatingIfNeeded: tag.value)) }

  private mutating func put(tag mark: Unicode.Scalar, byte: UInt8) {
    tag(mark)
    pending.append(byte)
  }

  private mutating func put(tag mark: Unicode.Scalar, word: UInt64) {
    tag(mark)
    put(word)
  }

  private mutating func put(tag mark: Unicode.Scalar, text: some Collection<UInt8>) {
    tag(mark)
    put(text: text)
  }

  private mutating func put(text: some Collection<UInt8>) {
    put(UInt64(text.count))
    pending.append(contentsOf: text)
  }

  private mutating func put(_ word: UInt64) {
    withUnsafeBytes(of: word.littleEndian) { pending.append(contentsOf: $0) }
  }

  private mutating func flush() {
    pending.withUnsafeBytes { hasher.update($0) }
    pending.removeAll(keepingCapacity: true)
  }
}
