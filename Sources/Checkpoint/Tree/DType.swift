/// An element type, spelled as PyTorch spells it (without `torch.`).
///
/// The list is the union of what PyTorch 2.13 and safetensors 0.8 can store. Types narrower than a byte are packed;
/// `bitWidth` tells how many bits one element takes.
public enum DType: String, Sendable, CaseIterable {
  case float64, float32, float16, bfloat16
  case float8_e4m3fn, float8_e5m2, float8_e4m3fnuz, float8_e5m2fnuz, float8_e8m0fnu
  /// Two 4-bit floats in a byte; an element is the pair, as in PyTorch.
  case float4_e2m1fn_x2
  /// One 4-bit or 6-bit float, packed without gaps (safetensors F4, F6_E2M3, F6_E3M2).
  case float4_e2m1fn, float6_e2m3fn, float6_e3m2fn
  case int64, int32, int16, int8
  case uint64, uint32, uint16, uint8
  case int1, int2, int3, int4, int5, int6, int7
  case uint1, uint2, uint3, uint4, uint5, uint6, uint7
  case bool
  /// Two floats, real part first; `complex32` is two float16.
  case complex128, complex64, complex32
  case qint32, qint8, quint8, quint4x2, quint2x4
  case bits16, bits8, bits4x2, bits2x4, bits1x8

  /// How many bits one element takes.
  public var bitWidth: Int {
    switch self {
    case .complex128: 128
    case .float64, .int64, .uint64, .complex64: 64
    case .float32, .int32, .uint32, .complex32, .qint32: 32
    case .float16, .bfloat16, .int16, .uint16, .bits16: 16
    case .float8_e4m3fn, .float8_e5m2, .float8_e4m3fnuz, .float8_e5m2fnuz, .float8_e8m0fnu, .float4_e2m1fn_x2: 8
    case .int8, .uint8, .bool, .qint8, .quint8, .bits8, .bits4x2, .bits2x4, .bits1x8: 8
    case .int7, .uint7: 7
    case .int6, .uint6, .float6_e2m3fn, .float6_e3m2fn: 6
    case .int5, .uint5: 5
    case .int4, .uint4, .float4_e2m1fn, .quint4x2: 4
    case .int3, .uint3: 3
    case .int2, .uint2, .quint2x4: 2
    case .int1, .uint1: 1
    }
  }

  /// Bytes of one element, or nil where an element is not a whole number of bytes.
  public var itemSize: Int? { bitWidth % 8 == 0 ? bitWidth / 8 : nil }

  /// Whether elements are real floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16, .float8_e4m3fn, .float8_e5m2, .float8_e4m3fnuz, .float8_e5m2fnuz,
      .float8_e8m0fnu, .float4_e2m1fn_x2, .float4_e2m1fn, .float6_e2m3fn, .float6_e3m2fn:
      true
    default: false
    }
  }

  /// Whether elements are complex numbers.
  public var isComplex: Bool { self == .complex128 || self == .complex64 || self == .complex32 }

  /// Bytes of the words whose order a big-endian machine would reverse: a complex number's component, else the element.
  public var wordSize: Int { isComplex ? bitWidth / 16 : max(bitWidth / 8, 1) }

  /// How many bytes `shape` takes in this type (a last partial byte counted whole), or nil when that overflows.
  public func byteCount(of shape: [Int]) -> Int? {
    guard let count = elementCount(of: shape) else { return nil }
    let (bits, overflow) = count.multipliedReportingOverflow(by: bitWidth)
    guard !overflow, bits <= Int.max - 7 else { return nil }
    return (bits + 7) / 8
  }
}

/// The product of `shape`, or nil when a size is negative or the product of the sizes overflows.
///
/// A zero anywhere makes the product zero only if the other sizes are themselves valid.
public func elementCount(of shape: [Int]) -> Int? {
  var product = 1
  for size in shape {
    guard size >= 0 else { return nil }
    let (next, overflow) = product.multipliedReportingOverflow(by: size)
    guard !overflow else { return nil }
    product = next
  }
  return product
}
