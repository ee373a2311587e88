/// The bits of a floating-point element: sign, exponent and mantissa with an implied leading one.
public struct FloatLayout: Hashable, Sendable {
  /// Bytes of an element: 1 to 16.
  public var bytes: Int
  public var bigEndian: Bool
  /// Bit positions count from the least significant bit.
  public var signPosition: Int
  public var exponentPosition: Int
  public var exponentBits: Int
  public var mantissaPosition: Int
  public var mantissaBits: Int
  public var bias: Int

  /// The usual layout: sign bit on top, then the exponent, then the mantissa, IEEE bias.
  public init(bytes: Int, exponentBits: Int, bigEndian: Bool = false) {
    let bits = bytes * 8
    self.bytes = bytes
    self.bigEndian = bigEndian
    signPosition = bits - 1
    exponentPosition = bits - 1 - exponentBits
    self.exponentBits = exponentBits
    mantissaPosition = 0
    mantissaBits = bits - 1 - exponentBits
    bias = (1 << (exponentBits - 1)) - 1
  }

  /// IEEE 754 half precision, little-endian.
  public static let float16 = FloatLayout(bytes: 2, exponentBits: 5)
  /// The upper half of a `float32`: 8 exponent bits, 7 mantissa bits, bias 127.
  public static let bfloat16 = FloatLayout(bytes: 2, exponentBits: 8)
  /// IEEE 754 single precision, little-endian.
  public static let float32 = FloatLayout(bytes: 4, exponentBits: 8)
  /// IEEE 754 double precision, little-endian.
  public static let float64 = FloatLayout(bytes: 8, exponentBits: 11)

  /// The same layout in the other byte order.
  public func withBigEndian(_ bigEndian: Bool) -> FloatLayout {
    var layout = self
    layout.bigEndian = bigEndian
    return layout
  }
}
