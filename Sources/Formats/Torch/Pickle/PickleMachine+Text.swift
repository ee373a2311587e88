import Checkpoint

// The numbers and strings of protocols 0 and 1, and what Python 2 wrote.
extension PickleMachine {
  mutating func long(_ span: PickleSpan) throws(CheckpointError) {
    guard span.count > 8 else {
      var word: UInt64 = 0
      for byte in bytes[span.range].reversed() { word = word << 8 | UInt64(byte) }
      let unused = 64 - 8 * span.count
      // Shifting left and arithmetically back repeats the sign bit.
      return try pushNew(.int(span.count == 0 ? 0 : Int64(bitPattern: word << unused) >> unused))
    }
    try pushNew(.bigInt(span))
  }

  private mutating func pushOwnedString(_ text: [UInt8]) throws(CheckpointError) {
    pickle.owned.append(text)
    try pushNew(.stringOwned(Int32(truncatingIfNeeded: pickle.owned.count - 1)))
  }

  private mutating func asciiLine() throws(CheckpointError) -> String {
    var raw = try line()
    if raw.last == 0x0D { raw = UnsafeRawBufferPointer(rebasing: raw.dropLast()) }
    return String(decoding: raw, as: UTF8.self)
  }

  mutating func indexLine() throws(CheckpointError) -> Int {
    let text = try asciiLine()
    guard let index = Int(text) else { throw damaged("a memo index that is no number") }
    return index
  }

  mutating func intLine() throws(CheckpointError) {
    let text = try asciiLine()
    if text == "01" { return try push(Self.trueNode) }
    if text == "00" { return try push(Self.falseNode) }
    try decimal(text)
  }

  mutating func longLine() throws(CheckpointError) {
    var text = try asciiLine()
    if text.last == "L" { text.removeLast() }
    try decimal(text)
  }

  private mutating func decimal(_ text: String) throws(CheckpointError) {
    if let small = Int64(text) { return try pushNew(.int(small)) }
    guard let big = BigInt(decimal: text) else { throw damaged("an integer that is no number, or too long") }
    pickle.owned.append(big.bytes)
    try pushNew(.bigIntOwned(Int32(truncatingIfNeeded: pickle.owned.count - 1)))
  }

  mutating func floatLine() throws(CheckpointError) {
    guard let value = Double(try asciiLine()) else { throw damaged("a float that is no number") }
    try pushNew(.double(value))
  }

  /// A quoted byte string with Python's escapes.
  mutating func stringLine() throws(CheckpointError) {
    var raw = try line()
    if raw.last == 0x0D { raw = UnsafeRawBufferPointer(rebasing: raw.dropLast()) }
    guard raw.count >= 2, let quote = raw.first, quote == 0x22 || quote == 0x27, raw.last == quote else {
      throw damaged("a STRING without its quotes")
    }
    pickle.owned.append(try Self.unescape(raw[1..<(raw.count - 1)]))
    try pushNew(.byteStringOwned(Int32(truncatingIfNeeded: pickle.owned.count - 1)))
  }

  private static func unescape(_ raw: Slice<UnsafeRawBufferPointer>) throws(CheckpointError) -> [UInt8] {
    var out: [UInt8] = []
    var rest = raw
    while let byte = rest.popFirst() {
      guard byte == 0x5C else {
        out.append(byte)
        continue
      }
      guard let escape = rest.popFirst() else { throw CheckpointError(.damaged, "a STRING ends in a backslash") }
      switch escape {
      case UInt8(ascii: "n"): out.append(0x0A)
      case UInt8(ascii: "r"): out.append(0x0D)
      case UInt8(ascii: "t"): out.append(0x09)
      case UInt8(ascii: "a"): out.append(0x07)
      case UInt8(ascii: "b"): out.append(0x08)
      case UInt8(ascii: "f"): out.append(0x0C)
      case UInt8(ascii: "v"): out.append(0x0B)
      case UInt8(ascii: "x"): out.append(UInt8(truncatingIfNeeded: try code(&rest, digits: 2, radix: 16)))
      case UInt8(ascii: "0")...UInt8(ascii: "7"):
        var value = Int(escape & 7)
        for _ in 0..<2 {
          guard let digit = rest.first, digit >= 0x30, digit <= 0x37 else { break }
          value = value << 3 | Int(digit & 7)
          rest.removeFirst()
        }
        out.append(UInt8(truncatingIfNeeded: value))
      case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): out.append(escape)
      default: out += [0x5C, escape]
      }
    }
    return out
  }

  /// Python's `raw-unicode-escape`: Latin-1, with \uXXXX and \UXXXXXXXX.
  mutating func unicodeLine() throws(CheckpointError) {
    let raw = try line()
    var rest = raw[...]
    var out: [UInt8] = []
    while let byte = rest.popFirst() {
      let next = rest.first
      guard byte == 0x5C, next == UInt8(ascii: "u") || next == UInt8(ascii: "U") else {
        Self.append(UInt32(byte), to: &out)
        continue
      }
      rest.removeFirst()
      let value = try Self.code(&rest, digits: next == UInt8(ascii: "u") ? 4 : 8, radix: 16)
      guard value <= 0x10FFFF else { throw damaged("a character beyond U+10FFFF") }
      Self.append(value, to: &out)
    }
    try pushOwnedString(out)
  }

  private static func code(
    _ rest: inout Slice<UnsafeRawBufferPointer>, digits: Int, radix: Int
  ) throws(CheckpointError) -> UInt32 {
    let text = String(decoding: rest.prefix(digits), as: UTF8.self)
    guard text.utf8.count == digits, text.utf8.first != 0x2B, let value = UInt32(text, radix: radix) else {
      throw CheckpointError(.damaged, "an escape without its digits")
    }
    rest = rest.dropFirst(digits)
    return value
  }

  /// UTF-8 of a code point; a surrogate becomes three bytes, as Python's `surrogatepass` writes it.
  static func append(_ code: UInt32, to out: inout [UInt8]) {
    func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | (code >> shift) & 0x3F) }
    switch code {
    case ..<0x80: out.append(UInt8(code))
    case ..<0x800: out += [UInt8(0xC0 | code >> 6), tail(0)]
    case ..<0x10000: out += [UInt8(0xE0 | code >> 12), tail(6), tail(0)]
    default: out += [UInt8(0xF0 | code >> 18), tail(12), tail(6), tail(0)]
    }
  }
}
