public import Checkpoint
import Synchronization

/// Another source whose bytes are hashed as they pass, so that a conversion that reads them once also knows their
/// digest, and notices when it is not the one that the file records.
public final class CheckedSource: ByteSource {
  private let base: any ByteSource
  private let expected: Digest?
  private let found = Mutex<Digest?>(nil)

  public init(_ base: any ByteSource, expected: Digest? = nil) {
    self.base = base
    self.expected = expected
  }

  public var byteCount: Int { base.byteCount }

  /// The XXH3 digest of the bytes, once they have passed.
  public var digest: Digest? { found.withLock { $0 } }

  public func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    try base.withBytes { (bytes) throws(CheckpointError) in
      try check(XXH3.hash(bytes))
      try body(bytes)
    }
  }

  public func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var hasher = try XXH3()
    try base.forEachPiece(limit: limit) { (piece) throws(CheckpointError) in
      hasher.update(piece)
      try body(piece)
    }
    try check(hasher.digest())
  }

  private func check(_ digest: Digest) throws(CheckpointError) {
    if let expected, expected != digest {
      throw CheckpointError(
        .damaged, "the digest of a tensor's bytes is \(digest), the file records \(expected)",
        advice: "ckpt verify names the tensor; --no-verify-source converts it as it is.")
    }
    found.withLock { $0 = digest }
  }

  /// The tree with every tensor that has a recorded digest held against it. Ties stay ties.
  ///
  /// - Parameter all: hash the others too.
  public static func checking(_ root: Value, all: Bool = false) throws(CheckpointError) -> Value {
    try wrap(root, all: all, checks: true)
  }

  /// The tree with every tensor hashed as its bytes pass, held against nothing.
  public static func hashing(_ root: Value) throws(CheckpointError) -> Value {
    try wrap(root, all: true, checks: false)
  }

  private static func wrap(_ root: Value, all: Bool, checks: Bool) throws(CheckpointError) -> Value {
    var wrapped: [ObjectIdentifier: CheckedSource] = [:]
    return try root.mapTensors { (tensor) throws(CheckpointError) in
      let claim = checks && tensor.recordedDigest?.algorithm == .xxh3 ? tensor.recordedDigest : nil
      guard all || claim != nil, !(tensor.source is CheckedSource) else { return tensor }
      let identity = ObjectIdentifier(tensor.source)
      let source = wrapped[identity] ?? CheckedSource(tensor.source, expected: claim)
      wrapped[identity] = source
      var copy = try Tensor(
        dtype: tensor.dtype, shape: tensor.shape, source: source, kind: tensor.kind, requiresGrad: tensor.requiresGrad)
      copy.recordedDigest = tensor.recordedDigest
      return copy
    }
  }

  /// The content digest of a tree whose tensors' bytes have passed; those that have not are read now.
  public static func contentDigest(of root: Value) throws(CheckpointError) -> Digest {
    let table = TensorTable(root)
    var digests: [Digest] = []
    digests.reserveCapacity(table.tensors.count)
    for tensor in table.tensors {
      if let known = (tensor.source as? CheckedSource)?.digest {
        digests.append(known)
      } else {
        digests.append(try tensor.digest())
      }
    }
    return try ContentDigest.of(root, .xxh3, table: table, digests: digests)
  }
}

extension Value {
  /// The same tree with each tensor replaced. As deep as the tree, which readers bound.
  func mapTensors(_ change: (Tensor) throws(CheckpointError) -> Tensor) throws(CheckpointError) -> Value {
    switch self {
    case .tensor(let tensor): return .tensor(try change(tensor))
    case .sequence(let kind, var items):
      for index in items.indices { items[index] = try items[index].mapTensors(change) }
      return .sequence(kind, items)
    case .dict(var dict):
      for index in dict.entries.indices {
        dict.entries[index].value = try dict.entries[index].value.mapTensors(change)
      }
      for index in dict.attributes.indices {
        dict.attributes[index].value = try dict.attributes[index].value.mapTensors(change)
      }
      return .dict(dict)
    case .record(var record):
      for index in record.fields.indices {
        record.fields[index].value = try record.fields[index].value.mapTensors(change)
      }
      return .record(record)
    default: return self
    }
  }
}
