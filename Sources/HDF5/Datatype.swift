/// The type of an element, as it is stored.
public indirect enum Datatype: Hashable, Sendable {
  /// A two's-complement or unsigned integer of 1, 2, 4 or 8 bytes.
  case integer(bytes: Int, signed: Bool, bigEndian: Bool = false)
  case float(FloatLayout)
  /// h5py's bool: an enumeration over `int8`, FALSE = 0 and TRUE = 1.
  case bool
  /// h5py's complex number: a compound of two floats, `r` and `i`.
  case complex(FloatLayout)
  /// Text of a fixed number of bytes.
  case fixedString(bytes: Int, utf8: Bool, padding: StringPadding)
  /// Text in the file's heap. Recognised, never written.
  case variableString(utf8: Bool)
  case opaque(bytes: Int, tag: String)
  /// Any other type of a foreign file, in words. It cannot be written.
  case other(description: String, bytes: Int)

  /// What follows the text of a fixed-length string.
  public enum StringPadding: Hashable, Sendable {
    /// The text ends at the first NUL, which is there.
    case nullTerminated
    /// NUL bytes fill the rest, if there is one.
    case nullPadded
    case spacePadded
  }

  /// Bytes of an element in the file; in memory, for variable-length text, where the file holds a reference.
  public var byteCount: Int {
    switch self {
    case .integer(let bytes, _, _): bytes
    case .float(let layout): layout.bytes
    case .bool: 1
    case .complex(let layout): 2 * layout.bytes
    case .fixedString(let bytes, _, _): bytes
    case .variableString: MemoryLayout<UnsafeRawPointer>.size
    case .opaque(let bytes, _): bytes
    case .other(_, let bytes): bytes
    }
  }

  public static let int8 = Datatype.integer(bytes: 1, signed: true)
  public static let int16 = Datatype.integer(bytes: 2, signed: true)
  public static let int32 = Datatype.integer(bytes: 4, signed: true)
  public static let int64 = Datatype.integer(bytes: 8, signed: true)
  public static let uint8 = Datatype.integer(bytes: 1, signed: false)
  public static let uint16 = Datatype.integer(bytes: 2, signed: false)
  public static let uint32 = Datatype.integer(bytes: 4, signed: false)
  public static let uint64 = Datatype.integer(bytes: 8, signed: false)
  public static let float16 = Datatype.float(.float16)
  public static let bfloat16 = Datatype.float(.bfloat16)
  public static let float32 = Datatype.float(.float32)
  public static let float64 = Datatype.float(.float64)
  public static let complex64 = Datatype.complex(.float32)
  public static let complex128 = Datatype.complex(.float64)
}

extension Datatype: CustomStringConvertible {
  /// A short name, such as "float32" or "big-endian int16".
  public var description: String {
    switch self {
    case .integer(let bytes, let signed, let bigEndian):
      return "\(bigEndian && bytes > 1 ? "big-endian " : "")\(signed ? "" : "u")int\(bytes * 8)"
    case .float(let layout): return layout.name
    case .bool: return "bool"
    case .complex(let layout): return "complex of \(layout.name)"
    case .fixedString(let bytes, let utf8, _): return "\(utf8 ? "UTF-8" : "ASCII") text of \(bytes) bytes"
    case .variableString: return "variable-length text"
    case .opaque(let bytes, let tag): return "opaque of \(bytes) bytes\(tag.isEmpty ? "" : " (\(tag))")"
    case .other(let description, _): return description
    }
  }
}

extension FloatLayout {
  fileprivate var name: String {
    let prefix = bigEndian ? "big-endian " : ""
    switch withBigEndian(false) {
    case .float16: return prefix + "float16"
    case .bfloat16: return prefix + "bfloat16"
    case .float32: return prefix + "float32"
    case .float64: return prefix + "float64"
    default: return "\(prefix)float of \(bytes) bytes, \(exponentBits) exponent and \(mantissaBits) mantissa bits"
    }
  }
}
