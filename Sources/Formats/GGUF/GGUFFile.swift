public import Checkpoint

/// The GGUF format (versions 2 and 3, little-endian): metadata and tensors, as llama.cpp reads them.
///
/// The tree is `{"tensors": {name: tensor}, "metadata": {key: value}}`. An integer or float of the metadata is a plain
/// number, whose width the attribute `types` of `metadata` tells (`{"general.file_type": "u32", …}`); an array of
/// numbers or bools is a one-dimensional tensor, of strings a list, of arrays a list of those (a tuple where it is
/// empty); a string that is no UTF-8 is bytes. A tensor of a block format is the record `gguf.blocks` with `type` (its
/// name in ggml), `shape` (in elements) and `blocks`: its bytes, row by row.
public enum GGUFFile {
  /// Reads the tree. Tensors stay in the mapped file. The name of one file of a split set opens the whole set.
  ///
  /// - Parameter dequantizes: decode block formats to float32, as far as they are known, when their bytes are asked for.
  /// - Throws: `damaged`, `unsupported` and what opening throws; all errors name the file and the place.
  public static func read(_ path: String, dequantizes: Bool = false) throws(CheckpointError) -> Checkpoint {
    try GGUFSet(path).checkpoint(dequantizes: dequantizes)
  }

  static func recognises(_ start: FileStart) -> Bool { start.starts(with: GGUF.magic) }
}

/// The files of one model: one, or those of a split set.
struct GGUFSet {
  /// A file, and what stands in its header.
  struct Part {
    let file: MappedFile
    let header: GGUFHeader

    init(_ file: MappedFile) throws(CheckpointError) {
      self.file = file
      header = try GGUFHeader(file)
    }
  }

  let parts: [Part]

  /// Bytes of all files.
  var bytes: Int { parts.reduce(0) { $0 + $1.file.count } }
  /// The version of the format that the first file has.
  var version: String { parts.first.map { String($0.header.version) } ?? "" }

  init(_ path: String) throws(CheckpointError) {
    let named = try Part(MappedFile(path))
    parts = [named]
  }

  func checkpoint(dequantizes: Bool) throws(CheckpointError) -> Checkpoint {
    var tensors: [Dict.Entry] = []
    var warnings: [String] = []
    var kept: [String: Int] = [:]
    for part in parts {
      for entry in part.header.entries {
        let value: Value
        do throws(CheckpointError) {
          value = try entry.value(in: part.file, dequantizes: dequantizes)
        } catch {
          throw error.at("tensor '\(entry.name)'").inFile(part.file.path)
        }
        if dequantizes, case .record = value { kept[entry.type.name, default: 0] += 1 }
        tensors.append(Dict.Entry(.string(entry.name), value))
      }
      warnings += part.header.warnings
    }
    for (type, count) in kept.sorted(by: { $0.key < $1.key }) {
      warnings.append("\(count) tensor\(count == 1 ? "" : "s") of type \(type) stay blocks: it is not decoded here")
    }
    let root = Dict([
      Dict.Entry(.string(GGUF.tensors), .dict(Dict(tensors))),
      Dict.Entry(.string(GGUF.metadata), .dict(metadata)),
    ])
    return Checkpoint(root: .dict(root), warnings: warnings)
  }

  /// Values by key, with the widths of the numbers beside them.
  private var metadata: Dict {
    var (values, types): ([Dict.Entry], [Dict.Entry]) = ([], [])
    for pair in parts.first?.header.pairs ?? [] {
      values.append(Dict.Entry(.string(pair.key), pair.value))
      if pair.type.isNumber { types.append(Dict.Entry(.string(pair.key), .string(pair.type.name))) }
    }
    return Dict(values, attributes: [Record.Field(GGUF.types, .dict(Dict(types)))])
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
    return .record(
      Record(
        GGUF.blocks,
        [
          Record.Field("type", .string(type.name)), Record.Field("shape", .size(shape.map(Int64.init))),
          Record.Field("blocks", .tensor(bytes)),
        ]))
  }
}
