/// An integer of any size, as Python has them. Only what a file format needs: bytes in, decimal text, bytes out.
public struct BigInt: Sendable, Hashable, CustomStringConvertible {
  /// Two's complement, little-endian, as short as the number allows (never empty).
  public let bytes: [UInt8]

  /// From two's complement little-endian bytes; none means zero.
  public init(twosComplement: some Collection<UInt8>) {
    var bytes = Array(twosComplement)
    if bytes.isEmpty { bytes = [0] }
    while bytes.count > 1, let top = bytes.last,
      (top == 0 && bytes[bytes.count - 2] < 0x80) || (top == 0xFF && bytes[bytes.count - 2] >= 0x80)
    {
      bytes.removeLast()
    }
    self.bytes = bytes
  }

  /// From decimal digits with an optional minus sign; nil for anything else or above `maximumDigits`.
  public init?(decimal text: String) {
    let negative = text.utf8.first == 0x2D
    let digits = negative ? text.utf8.dropFirst() : text.utf8[...]
    guard !digits.isEmpty, digits.count <= Self.maximumDigits else { return nil }
    var magnitude: [UInt8] = [0]
    for digit in digits {
      guard digit >= 0x30, digit <= 0x39 else { return nil }
      var carry = Int(digit - 0x30)
      for index in magnitude.indices {
        carry += Int(magnitude[index]) * 10
        magnitude[index] = UInt8(truncatingIfNeeded: carry)
        carry >>= 8
      }
      if carry > 0 { magnitude.append(UInt8(carry)) }
    }
    magnitude.append(0)
    self.init(twosComplement: negative ? Self.negated(magnitude) : magnitude)
  }

  /// Python's own limit for turning digits into numbers.
  public static let maximumDigits = 4300

  /// The number, where 64 bits hold it.
  public var int64: Int64? {
    guard bytes.count <= 8 else { return nil }
    let negative = (bytes.last ?? 0) >= 0x80
    var word: UInt64 = negative ? .max : 0
    for byte in bytes.reversed() { word = word << 8 | UInt64(byte) }
    return Int64(bitPattern: word)
  }

  /// Decimal digits.
  public var description: String {
    let negative = (bytes.last ?? 0) >= 0x80
    var magnitude = negative ? Self.negated(bytes) : bytes
    var digits: [UInt8] = []
    repeat {
      var rest = 0
      for index in magnitude.indices.reversed() {
        rest = rest << 8 | Int(magnitude[index])
        magnitude[index] = UInt8(rest / 10)
        rest %= 10
      }
      digits.append(UInt8(0x30 + rest))
      while magnitude.count > 1, magnitude.last == 0 { magnitude.removeLast() }
    } while magnitude != [0]
    return (negative ? "-" : "") + String(decoding: digits.reversed(), as: UTF8.self)
  }

  private static func negated(_ bytes: [UInt8]) -> [UInt8] {
    var carry = 1
    return (bytes + [(bytes.last ?? 0) >= 0x80 ? 0xFF : 0]).map { byte in
      carry += Int(~byte)
      defer { carry >>= 8 }
      return UInt8(truncatingIfNeeded: carry)
    }
  }
}
