import Checkpoint

/// `TensorProto.DataType`: the type of a tensor's elements, and which of the message's fields may hold them.
struct ONNXType {
  /// The fields of numbers that a message has besides raw bytes.
  enum Field: Int {
    case floats = 4
    case int32s = 5
    case int64s = 7
    case doubles = 10
    case uint64s = 11

    /// Bytes of one number; nil for those of variable length.
    var fixedSize: Int? {
      switch self {
      case .floats: 4
      case .doubles: 8
      default: nil
      }
    }
  }

  let dtype: DType
  let field: Field

  static let string: Int64 = 8

  /// - Throws: `damaged` for none, `unsupported` for one that is not known.
  init(_ code: Int64) throws(CheckpointError) {
    guard let known = Self.types[code] else {
      throw code == 0
        ? CheckpointError(.damaged, "a tensor without a data type")
        : CheckpointError(.unsupported, "the data type \(code); 1 to 28 are known")
    }
    (dtype, field) = known
  }

  private static let types: [Int64: (DType, Field)] = [
    1: (.float32, .floats), 2: (.uint8, .int32s), 3: (.int8, .int32s), 4: (.uint16, .int32s), 5: (.int16, .int32s),
    6: (.int32, .int32s), 7: (.int64, .int64s), 9: (.bool, .int32s), 10: (.float16, .int32s), 11: (.float64, .doubles),
    12: (.uint32, .uint64s), 13: (.uint64, .uint64s), 14: (.complex64, .floats), 15: (.complex128, .doubles),
    16: (.bfloat16, .int32s), 17: (.float8_e4m3fn, .int32s), 18: (.float8_e4m3fnuz, .int32s),
    19: (.float8_e5m2, .int32s), 20: (.float8_e5m2fnuz, .int32s), 21: (.uint4, .int32s), 22: (.int4, .int32s),
    23: (.float4_e2m1fn, .int32s), 24: (.float8_e8m0fnu, .int32s), 25: (.uint2, .int32s), 26: (.int2, .int32s),
    27: (.float6_e2m3fn, .int32s), 28: (.float6_e3m2fn, .int32s),
  ]

  /// Whether a number of the field is one element of six bits, which the tensor's bytes have packed.
  var isSixBits: Bool { dtype.bitWidth == 6 }

  /// How many numbers the field has for a tensor of `count` elements, which take `byteCount` bytes.
  func numbers(count: Int, byteCount: Int) -> Int {
    if isSixBits { return count }
    if dtype.bitWidth < 8 { return byteCount }
    return dtype.isComplex ? count * 2 : count
  }

  /// Bytes that one number makes.
  var bytesPerNumber: Int { dtype.bitWidth < 8 ? 1 : dtype.isComplex ? dtype.wordSize : dtype.bitWidth / 8 }
}
