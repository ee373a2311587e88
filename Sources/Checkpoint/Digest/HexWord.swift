/// Eight hexadecimal digits at a time, as one machine word: a listing reads and writes hundreds of thousands of them.
enum HexWord {
  /// The lower-case digits of `value`; the first one is the highest byte.
  static func digits(of value: UInt32) -> UInt64 {
    var nibbles = UInt64(value)
    nibbles = (nibbles << 16 | nibbles) & 0x0000_FFFF_0000_FFFF
    nibbles = (nibbles << 8 | nibbles) & 0x00FF_00FF_00FF_00FF
    nibbles = (nibbles << 4 | nibbles) & 0x0F0F_0F0F_0F0F_0F0F
    // 1 in each byte above 9, which is a letter.
    let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & ones
    return nibbles + 0x30 * ones + 0x27 * letters
  }

  /// The number that eight digits say; nil for anything but lower-case hexadecimal digits.
  static func value(of digits: UInt64) -> UInt32? {
    // Bit 6 tells a letter from a decimal digit.
    var nibbles = (digits & 0x0F0F_0F0F_0F0F_0F0F) &+ 9 &* (digits >> 6 & ones)
    nibbles = (nibbles >> 4 | nibbles) & 0x00FF_00FF_00FF_00FF
    nibbles = (nibbles >> 8 | nibbles) & 0x0000_FFFF_0000_FFFF
    let value = UInt32(truncatingIfNeeded: nibbles >> 16 | nibbles)
    // Whatever else stood there came out as some number too, but as no number with these digits.
    return Self.digits(of: value) == digits ? value : nil
  }

  private static let ones: UInt64 = 0x0101_0101_0101_0101
}
