import Checkpoint
import HDF5

/// Reads values without children.
enum LeafReader {
  static func value(_ encoding: String, _ storage: StoredBytes) throws(CheckpointError) -> Value {
    guard let known = Encoding(rawValue: encoding) else {
      throw CheckpointError(
        .unsupported, "a dataset with the encoding \"\(encoding)\" is not known", advice: "Use a newer ckpt.")
    }
    let bytes = try bytes(of: storage)
    switch known {
    case .none: return .none
    case .bool: return .bool(try element(.bool, bytes, storage, as: UInt8.self) != 0)
    case .int: return .int(try element(.int64, bytes, storage, as: Int64.self))
    case .float: return .double(try element(.float64, bytes, storage, as: Double.self))
    case .complex:
      try expect(.complex128, storage)
      let parts = try elements(bytes, as: Double.self, count: 2)
      return .complex(parts[0], parts[1])
    case .bigInt:
      guard let value = BigInt(decimal: try text(bytes, storage)) else { throw damaged("a decimal number") }
      return .bigInt(value)
    case .string:
      let content = try textBytes(bytes, storage)
      if let text = String(validating: content, as: UTF8.self) { return .string(text) }
      guard Surrogates.areAllThatIsWrong(with: content) else { throw damaged("UTF-8 text, but for lone surrogates") }
      return .surrogateString(content)
    case .bytes: return .bytes(bytes)
    case .bytearray: return .byteArray(bytes)
    case .size:
      try expect(.int64, storage)
      return .size(try elements(bytes, as: Int64.self))
    case .json: return try PackedJSON.value(bytes)
    case .list: return .sequence(.list, try items(bytes, storage))
    case .tuple: return .sequence(.tuple, try items(bytes, storage))
    case .set: return .sequence(.set, try items(bytes, storage))
    case .frozenset: return .sequence(.frozenset, try items(bytes, storage))
    case .dtype, .device, .layout, .qscheme, .global:
      guard let token = Value.Token(rawValue: known.rawValue) else { throw damaged("a token") }
      return .token(token, try text(bytes, storage))
    case .dict, .record, .alias, .optimizer, .parameterGroup, .column, .manifest:
      throw CheckpointError(.damaged, "a dataset cannot have the encoding \"\(encoding)\" here")
    }
  }

  static func bytes(of storage: StoredBytes) throws(CheckpointError) -> [UInt8] {
    guard storage.source.byteCount <= Vocabulary.maximumValueBytes else {
      throw CheckpointError(
        .damaged, "a value of \(storage.source.byteCount) bytes; at most \(Vocabulary.maximumValueBytes) are allowed")
    }
    var bytes: [UInt8] = []
    try storage.source.withBytes { (buffer) throws(CheckpointError) in bytes = Array(buffer) }
    return bytes
  }

  private static func items(_ bytes: [UInt8], _ storage: StoredBytes) throws(CheckpointError) -> [Value] {
    switch storage.type {
    case .bool: return bytes.map { .bool($0 != 0) }
    case .int64: return try elements(bytes, as: Int64.self).map(Value.int)
    case .float64: return try elements(bytes, as: Double.self).map(Value.double)
    case .fixedString: return try texts(bytes, storage).map(Value.string)
    default: throw damaged("a column of bool, int64, float64 or text, found \(storage.type)")
    }
  }

  /// The texts of a fixed-length column, without their padding.
  static func texts(_ bytes: [UInt8], _ storage: StoredBytes) throws(CheckpointError) -> [String] {
    guard case .fixedString(let width, _, .nullPadded) = storage.type, width > 0 else {
      throw damaged("null-padded text, found \(storage.type)")
    }
    var texts: [String] = []
    for start in stride(from: 0, to: bytes.count, by: width) {
      let padded = bytes[start..<min(start + width, bytes.count)]
      let end = padded.lastIndex { $0 != 0 }.map { $0 + 1 } ?? start
      guard let text = String(validating: padded[..<end], as: UTF8.self) else { throw damaged("UTF-8 text") }
      texts.append(text)
    }
    return texts
  }

  private static func textBytes(_ bytes: [UInt8], _ storage: StoredBytes) throws(CheckpointError) -> [UInt8] {
    switch storage.type {
    case .uint8: return bytes
    case .fixedString: return bytes.lastIndex { $0 != 0 }.map { Array(bytes[...$0]) } ?? []
    default: throw damaged("text or bytes, found \(storage.type)")
    }
  }

  private static func text(_ bytes: [UInt8], _ storage: StoredBytes) throws(CheckpointError) -> String {
    guard let text = String(validating: try textBytes(bytes, storage), as: UTF8.self) else { throw damaged("UTF-8") }
    return text
  }

  private static func element<T: BitwiseCopyable>(
    _ type: Datatype, _ bytes: [UInt8], _ storage: StoredBytes, as element: T.Type
  ) throws(CheckpointError) -> T {
    try expect(type, storage)
    guard let first = try elements(bytes, as: T.self, count: 1).first else { throw damaged("one element") }
    return first
  }

  private static func expect(_ type: Datatype, _ storage: StoredBytes) throws(CheckpointError) {
    guard storage.type == type else { throw damaged("\(type), found \(storage.type)") }
  }

  static func elements<T: BitwiseCopyable>(
    _ bytes: [UInt8], as type: T.Type, count: Int? = nil
  ) throws(CheckpointError) -> [T] {
    let size = MemoryLayout<T>.size
    guard bytes.count % size == 0, count == nil || bytes.count == size * (count ?? 0) else {
      throw damaged("\(count ?? 0) elements of \(size) bytes, found \(bytes.count) bytes")
    }
    return bytes.withUnsafeBytes { buffer in
      (0..<(bytes.count / size)).map { buffer.loadUnaligned(fromByteOffset: $0 * size, as: T.self) }
    }
  }

  private static func damaged(_ expected: String) -> CheckpointError {
    CheckpointError(.damaged, "expected \(expected)")
  }
}
