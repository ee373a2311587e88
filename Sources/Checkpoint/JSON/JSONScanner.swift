/// A pull scanner over JSON text: the caller says what it expects, and nothing is built that was not asked for.
///
/// It serves the manifest of the native format and the packed trees in it, and any other format with a JSON header.
/// Strict RFC 8259 in UTF-8. Depth is the caller's to bound, as its own recursion is.
public struct JSONScanner {
  /// Valid only inside the closure that made the scanner.
  private let bytes: UnsafeBufferPointer<UInt8>
  /// The offset of the next byte, for errors.
  public private(set) var position = 0

  /// Scans `bytes`, which must outlive the scanner.
  public init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes.bindMemory(to: UInt8.self)
  }

  /// What the next value is.
  public enum Kind { case object, array, string, number, bool, null }

  public func failure(_ expected: String) -> CheckpointError {
    let found = position < bytes.count ? "byte \(bytes[position])" : "the end"
    return CheckpointError(.damaged, "expected \(expected), found \(found)", place: "JSON byte \(position)")
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      let byte = bytes[position]
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
      position += 1
    }
  }

  /// The kind of the next value; nothing is consumed but white space.
  public mutating func peek() throws(CheckpointError) -> Kind {
    skipSpace()
    guard position < bytes.count else { throw failure("a value") }
    switch bytes[position] {
    case 0x7B: return .object
    case 0x5B: return .array
    case 0x22: return .string
    case 0x74, 0x66: return .bool
    case 0x6E: return .null
    case 0x2D, 0x30...0x39: return .number
    default: throw failure("a value")
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  public mutating func beginObject() throws(CheckpointError) { if !take(0x7B) { throw failure("{") } }
  public mutating func beginArray() throws(CheckpointError) { if !take(0x5B) { throw failure("[") } }

  /// Whether one more element comes; consumes the comma, or the closing bracket.
  public mutating func nextElement(first: inout Bool) throws(CheckpointError) -> Bool {
    try next(closing: 0x5D, first: &first)
  }

  /// The next member's name, or nil at the end of the object.
  public mutating func nextKey(first: inout Bool) throws(CheckpointError) -> String? {
    guard try next(closing: 0x7D, first: &first) else { return nil }
    let name = try string()
    guard take(0x3A) else { throw failure(":") }
    return name
  }

  /// The next member's name, a path, as what comes after its last `/`. What comes before goes to `parent`, which is left
  /// alone where it is that already: neighbours have it in common, and one text for all of them is enough.
  public mutating func nextPath(first: inout Bool, parent: inout String) throws(CheckpointError) -> String? {
    guard try next(closing: 0x7D, first: &first) else { return nil }
    let start = position + 1
    let hasEscapes = try skipString()
    let end = position - 1
    guard take(0x3A) else { throw failure(":") }
    if hasEscapes {
      let (head, tail) = try unescaped(bytes[start..<end]).splitAtLastSlash
      parent = head
      return tail
    }
    guard let slash = bytes[start..<end].lastIndex(of: 0x2F), slash > start else {
      parent = ""
      return try plain(start, end)
    }
    let isSame = parent.withUTF8 { $0.elementsEqual(UnsafeBufferPointer(rebasing: bytes[start..<slash])) }
    if !isSame { parent = try plain(start, slash) }
    return try plain(slash + 1, end)
  }

  /// The next member's name where it is one of `names` (its index), any other name as -1, or nil at the end.
  public mutating func nextKey(of names: [StaticString], first: inout Bool) throws(CheckpointError) -> Int? {
    guard try next(closing: 0x7D, first: &first) else { return nil }
    skipSpace()
    let start = position
    try skipString()
    let length = position - start - 2
    guard take(0x3A) else { throw failure(":") }
    guard length >= 0 else { return -1 }
    for (index, name) in names.enumerated() where name.utf8CodeUnitCount == length {
      var same = true
      for offset in 0..<length where bytes[start + 1 + offset] != name.utf8Start[offset] { same = false }
      if same { return index }
    }
    return -1
  }

  private mutating func next(closing: UInt8, first: inout Bool) throws(CheckpointError) -> Bool {
    if take(closing) { return false }
    defer { first = false }
    if !first, !take(0x2C) { throw failure("a comma or the end") }
    skipSpace()
    guard position < bytes.count, bytes[position] != closing else { throw failure("a value") }
    return true
  }

  public mutating func null() throws(CheckpointError) { try literal("null") }

  public mutating func bool() throws(CheckpointError) -> Bool {
    skipSpace()
    if position < bytes.count, bytes[position] == 0x74 {
      try literal("true")
      return true
    }
    try literal("false")
    return false
  }

  /// Consumes one of the numbers that JSON has no word for, as Python spells them, if that comes next.
  public mutating func takeConstant() -> Double? {
    skipSpace()
    for (word, number): (StaticString, Double) in [("NaN", .nan), ("Infinity", .infinity), ("-Infinity", -.infinity)] {
      let end = position + word.utf8CodeUnitCount
      guard end <= bytes.count, word.withUTF8Buffer({ $0.elementsEqual(bytes[position..<end]) }) else { continue }
      position = end
      return number
    }
    return nil
  }

  private mutating func literal(_ text: StaticString) throws(CheckpointError) {
    skipSpace()
    for offset in 0..<text.utf8CodeUnitCount {
      guard position + offset < bytes.count, bytes[position + offset] == text.utf8Start[offset] else {
        throw failure("null, true or false")
      }
    }
    position += text.utf8CodeUnitCount
  }

  /// An integer that 64 bits hold; a fraction or an exponent is an error.
  public mutating func int() throws(CheckpointError) -> Int {
    skipSpace()
    let negative = position < bytes.count && bytes[position] == 0x2D
    if negative { position += 1 }
    let start = position
    var value = 0
    while position < bytes.count, case let digit = bytes[position], digit >= 0x30, digit <= 0x39 {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, carry) = tens.subtractingReportingOverflow(Int(digit - 0x30))
      guard !overflow, !carry else { throw failure("a 64-bit integer") }
      value = next  // kept negative, so that the least integer fits
      position += 1
    }
    guard position > start, bytes[start] != 0x30 || position == start + 1 else { throw failure("an integer") }
    if position < bytes.count, [0x2E, 0x65, 0x45].contains(bytes[position]) { throw failure("an integer") }
    guard negative || value != Int.min else { throw failure("a 64-bit integer") }
    return negative ? value : -value
  }

  /// The text of the next number, as it stands.
  public mutating func numberText() throws(CheckpointError) -> String {
    skipSpace()
    let start = position
    while position < bytes.count, isNumberByte(bytes[position]) { position += 1 }
    guard position > start else { throw failure("a number") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private func isNumberByte(_ byte: UInt8) -> Bool {
    (byte >= 0x30 && byte <= 0x39) || byte == 0x2D || byte == 0x2B || byte == 0x2E || byte == 0x65 || byte == 0x45
  }

  public mutating func string() throws(CheckpointError) -> String {
    skipSpace()
    let start = position
    let hasEscapes = try skipString()
    if hasEscapes { return try unescaped(bytes[(start + 1)..<(position - 1)]) }
    return try plain(start + 1, position - 1)
  }

  /// Text without escapes.
  private func plain(_ start: Int, _ end: Int) throws(CheckpointError) -> String {
    // Nearly all names are ASCII, for which this is a copy; only others need the slower check.
    if isASCII(start, end) {
      return String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<end]), as: UTF8.self)
    }
    guard let text = String(validating: bytes[start..<end], as: UTF8.self) else { throw failure("UTF-8") }
    return text
  }

  private func isASCII(_ start: Int, _ end: Int) -> Bool {
    var all: UInt8 = 0
    for index in start..<end { all |= bytes[index] }
    return all < 0x80
  }

  /// A string of hexadecimal digits as a digest.
  public mutating func digest(_ algorithm: Digest.Algorithm) throws(CheckpointError) -> Digest {
    skipSpace()
    let start = position + 1
    try skipString()
    guard position - 1 - start == algorithm.byteCount * 2 else {
      throw failure("\(algorithm.byteCount * 2) hexadecimal digits")
    }
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    words.0 = try hexWord(start)
    words.1 = try hexWord(start + 16)
    if algorithm == .sha256 {
      words.2 = try hexWord(start + 32)
      words.3 = try hexWord(start + 48)
    }
    return Digest(algorithm, words: words)
  }

  /// The number that sixteen lower-case hexadecimal digits say.
  private func hexWord(_ start: Int) throws(CheckpointError) -> UInt64 {
    let raw = UnsafeRawBufferPointer(bytes)
    guard
      let high = HexWord.value(of: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: start, as: UInt64.self))),
      let low = HexWord.value(of: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self)))
    else { throw failure("lower-case hexadecimal digits") }
    return UInt64(high) << 32 | UInt64(low)
  }

  /// Passes over a string and says whether it has escapes.
  @discardableResult
  private mutating func skipString() throws(CheckpointError) -> Bool {
    guard take(0x22) else { throw failure("a string") }
    var hasEscapes = false
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == 0x22 { return hasEscapes }
      if byte == 0x5C {
        hasEscapes = true
        position += 1
      } else if byte < 0x20 {
        position -= 1
        throw failure("no control character in a string")
      }
    }
    position = bytes.count
    throw failure("the end of a string")
  }

  private func unescaped(_ inner: Slice<UnsafeBufferPointer<UInt8>>) throws(CheckpointError) -> String {
    var units: [UInt8] = []
    var index = inner.startIndex
    while index < inner.endIndex {
      let byte = inner[index]
      index += 1
      guard byte == 0x5C else {
        units.append(byte)
        continue
      }
      guard index < inner.endIndex else { throw failure("an escape") }
      let code = inner[index]
      index += 1
      switch code {
      case 0x22, 0x5C, 0x2F: units.append(code)
      case 0x62: units.append(0x08)
      case 0x66: units.append(0x0C)
      case 0x6E: units.append(0x0A)
      case 0x72: units.append(0x0D)
      case 0x74: units.append(0x09)
      case 0x75: try appendUnicode(inner, &index, to: &units)
      default: throw failure("an escape")
      }
    }
    guard let text = String(validating: units, as: UTF8.self) else { throw failure("UTF-8") }
    return text
  }

  private func appendUnicode(
    _ inner: Slice<UnsafeBufferPointer<UInt8>>, _ index: inout Int, to units: inout [UInt8]
  ) throws(CheckpointError) {
    var code = try hex4(inner, &index)
    if code & 0xFC00 == 0xD800 {
      guard index + 2 <= inner.endIndex, inner[index] == 0x5C, inner[index + 1] == 0x75 else {
        throw failure("a surrogate pair")
      }
      index += 2
      let low = try hex4(inner, &index)
      guard low & 0xFC00 == 0xDC00 else { throw failure("a surrogate pair") }
      code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
    }
    guard let scalar = Unicode.Scalar(code) else { throw failure("a Unicode scalar") }
    units.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
  }

  private func hex4(_ inner: Slice<UnsafeBufferPointer<UInt8>>, _ index: inout Int) throws(CheckpointError) -> UInt32 {
    guard index + 4 <= inner.endIndex,
      let code = UInt32(String(decoding: inner[index..<(index + 4)], as: UTF8.self), radix: 16)
    else { throw failure("four hexadecimal digits") }
    index += 4
    return code
  }

  /// Passes over the next value, whatever it is, at most `depth` levels deep.
  public mutating func skipValue(depth: Int = 64) throws(CheckpointError) {
    guard depth > 0 else { throw failure("less nesting") }
    var first = true
    switch try peek() {
    case .object:
      try beginObject()
      while try nextKey(of: [], first: &first) != nil { try skipValue(depth: depth - 1) }
    case .array:
      try beginArray()
      while try nextElement(first: &first) { try skipValue(depth: depth - 1) }
    case .string:
      skipSpace()
      try skipString()
    case .number: _ = try numberText()
    case .bool: _ = try bool()
    case .null: try null()
    }
  }

  /// Nothing but white space may follow.
  public mutating func end() throws(CheckpointError) {
    skipSpace()
    guard position == bytes.count else { throw failure("the end") }
  }
}

extension String {
  /// A path's parent, and its last component; one without a `/` behind its first byte has no parent.
  public var splitAtLastSlash: (parent: String, name: String) {
    guard let slash = utf8.lastIndex(of: 0x2F), slash > startIndex else { return ("", self) }
    return (String(self[..<slash]), String(self[utf8.index(after: slash)...]))
  }
}
