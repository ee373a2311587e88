package import Kernels

extension DType {
  /// The kernels' name for an element type that is a real number; nil for complex, packed and quantised types.
  package var number: ck_number? {
    switch self {
    case .float64: CK_F64
    case .float32: CK_F32
    case .float16: CK_F16
    case .bfloat16: CK_BF16
    case .float8_e4m3fn: CK_F8_E4M3FN
    case .float8_e5m2: CK_F8_E5M2
    case .float8_e4m3fnuz: CK_F8_E4M3FNUZ
    case .float8_e5m2fnuz: CK_F8_E5M2FNUZ
    case .float8_e8m0fnu: CK_F8_E8M0FNU
    case .int64: CK_I64
    case .int32: CK_I32
    case .int16: CK_I16
    case .int8: CK_I8
    case .uint64: CK_U64
    case .uint32: CK_U32
    case .uint16: CK_U16
    case .uint8, .bool: CK_U8
    default: nil
    }
  }

  /// The float type of a complex number's components.
  var component: DType? {
    switch self {
    case .complex128: .float64
    case .complex64: .float32
    case .complex32: .float16
    default: nil
    }
  }
}
