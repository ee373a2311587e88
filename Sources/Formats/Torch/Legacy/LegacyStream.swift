import Checkpoint

/// What `torch.save` wrote before 1.6, and writes with `_use_new_zipfile_serialization=False`: five pickles (a magic
/// number, the protocol, the machine, the object, the storages' keys) and the storages. (PyTorch 2.13,
/// `torch/serialization.py`.)
///
/// Valid while the bytes are: it is opened for a closure.
struct LegacyStream {
  static let protocolVersion = 1001

  /// The object, to be made.
  var tree: TorchTree
  let storageCount: Int
  /// Bytes after the last storage.
  let trailing: Int

  /// Whether bytes start with the magic number, in whatever pickle protocol.
  static func recognises(_ prefix: some Collection<UInt8>) -> Bool {
    guard let first = prefix.first, first == PickleOpcode.proto || first == PickleOpcode.long else { return false }
    // Its longest form takes 27 bytes.
    return Array(prefix.prefix(64)).withUnsafeBytes { bytes in
      guard let (pickle, _) = try? PickleMachine.run(bytes, limits: .init(bytesInFile: 64)) else { return false }
      return isMagic(pickle, bytes)
    }
  }

  private static func isMagic(_ pickle: Pickle, _ bytes: UnsafeRawBufferPointer) -> Bool {
    let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    switch pickle.nodes[Int(pickle.root)] {
    case .bigInt(let span): return bytes[span.range].elementsEqual(magic)
    case .bigIntOwned(let index): return pickle.owned[Int(index)].elementsEqual(magic)
    default: return false
    }
  }

  /// Opens a stream for as long as `body` runs. Nothing of the storages is read.
  static func open(
    _ source: any ByteSource, _ body: (inout LegacyStream) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try source.withBytes { (bytes) throws(CheckpointError) in
      var stream = try LegacyStream(source, bytes)
      do throws(CheckpointError) { try body(&stream) } catch { throw error.at("the object") }
    }
  }

  private init(_ source: any ByteSource, _ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    var sequence = PickleSequence(bytes)
    let (magic, _) = try sequence.next("the magic number")
    guard Self.isMagic(magic, bytes) else {
      throw CheckpointError(.damaged, "does not start with the magic number of PyTorch's legacy files")
    }
    guard case .int(let version) = try sequence.nextValue("the protocol's version") else {
      throw CheckpointError(.damaged, "the protocol's version is no number")
    }
    guard version == Self.protocolVersion else {
      throw CheckpointError(.unsupported, "version \(version) of PyTorch's legacy format; 1001 is known")
    }
    guard case .dict(let machine) = try sequence.nextValue("sys_info") else {
      throw CheckpointError(.damaged, "sys_info is no dict")
    }
    let (pickle, range) = try sequence.next("the object")
    tree = try TorchTree(
      pickle, bytes: UnsafeRawBufferPointer(rebasing: bytes[range]), origin: try part(of: source, range),
      storages: TorchStorages(NoStorages()))
    var isBigEndian = false
    if case .bool(false) = machine["little_endian"] { isBigEndian = true }
    let storages = try LegacyStorages(source, &sequence, object: tree, bigEndian: isBigEndian)
    tree.storages = TorchStorages(storages)
    storageCount = storages.count
    trailing = sequence.remaining
  }
}
