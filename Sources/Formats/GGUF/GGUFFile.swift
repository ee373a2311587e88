public import Checkpoint

/// The GGUF format (versions 2 and 3, little-endian): metadata and tensors, as llama.cpp reads them.
///
/// The tree is `{"tensors": {name: tensor}, "metadata": {key: value}}`. An integer or float of the metadata is a plain
/// number, whose width the attribute `types` of `metadata` tells (`{"general.file_type": "u32", …}`); an array of
/// numbers or bools is a one-dimensional tensor, of strings a list, of arrays a list of those (a tuple where it is
/// empty); a string that is no UTF-8 is bytes. A tensor of a block format is the record `gguf.blocks` with `type` (its
/// name in ggml), `shape` (in elements) and `blocks`: its bytes, row by row. A whole checkpoint (`ckpt.training`) is the
/// tree that it was.
public enum GGUFFile {
  /// Reads the tree. Tensors stay in the mapped file. The name of one file of a split set opens the whole set.
  ///
  /// - Parameter dequantizes: decode block formats to float32, as far as they are known, when their bytes are asked for.
  /// - Throws: `damaged`, `unsupported` and what opening throws; all errors name the file and the place.
  public static func read(_ path: String, dequantizes: Bool = false) throws(CheckpointError) -> Checkpoint {
    try GGUFSet(path).checkpoint(dequantizes: dequantizes)
  }

  /// Finds what is wrong with a file that is recognised as one.
  ///
  /// - Returns: what is odd about it, and the content digest that it records and that its bytes have.
  /// - Throws: `damaged`, `unsupported`.
  static func check(_ path: String) throws(CheckpointError) -> (warnings: [String], digest: String?) {
    let set = try GGUFSet(path)
    let model = try set.model(dequantizes: false)
    guard let rest = model.rest else { return (model.warnings, nil) }
    let whole: Checkpoint
    do throws(CheckpointError) {
      whole = try model.whole(rest)
    } catch {
      throw error.at("key '\(FlatCheckpoint.key)'").inFile(path)
    }
    try whole.checkContent()
    try FlatTree.checkCopies(model.tensors.tensors, rest: rest)
    return (model.warnings, whole.recordedDigest)
  }

  static func recognises(_ start: FileStart) -> Bool {
    guard start.isFolder else { return start.starts(with: GGUF.magic) }
    guard let first = GGUFSet.first(in: start.path), let file = try? FileStart("\(start.path)/\(first)") else {
      return false
    }
    return !file.isFolder && file.starts(with: GGUF.magic)
  }
}

extension GGUFValueType {
  /// Whether a value of the tree does not tell the type by itself.
  var isNumber: Bool { dtype != nil && self != .bool }
}

extension GGUFHeader.Entry {
  /// The tensor: plain, decoded, or a record of its blocks.
  func value(in file: MappedFile, dequantizes: Bool) throws(CheckpointError) -> Value {
    let stored = try MappedRange(file, range: range)
    if let dtype = type.dtype { return .tensor(try Tensor(dtype: dtype, shape: shape, source: stored)) }
    if dequantizes, type.isDecoded {
      return .tensor(try Tensor(dtype: .float32, shape: shape, source: DequantizedSource(stored, type)))
    }
    let bytes = try Tensor(dtype: .uint8, shape: type.byteShape(of: shape), source: stored)
    return BlockTensor(type: type.name, shape: shape, blocks: bytes).value
  }
}
