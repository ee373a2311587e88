/// Writes JSON text into a byte buffer. The caller opens and closes; commas are put where they belong.
///
/// It exists because listing ten thousand tensors must cost a few milliseconds and no Foundation.
public struct JSONWriter: Sendable {
  public private(set) var bytes: [UInt8] = []
  private var needsComma = false
  private var breaksLine: Int?
  private let isMinimal: Bool
  private let isSpaced: Bool

  /// - Parameters:
  ///   - minimal: escape as Rust's serde_json does: DEL stands as it is, and `\b` and `\f` are short.
  ///   - spaced: put a space after a member's colon, as Python's `json.dumps` does.
  public init(minimal: Bool = false, spaced: Bool = false) { (isMinimal, isSpaced) = (minimal, spaced) }

  /// Hands over what was written so far, and goes on after it: long texts are written in pieces of one buffer.
  public mutating func drain<Failure: Error>(_ body: ([UInt8]) throws(Failure) -> Void) throws(Failure) {
    try body(bytes)
    bytes.removeAll(keepingCapacity: true)
  }

  public mutating func beginObject() { open(0x7B) }
  public mutating func endObject() { close(0x7D) }
  public mutating func beginArray() { open(0x5B) }
  public mutating func endArray() { close(0x5D) }

  /// A member's name; its value comes next.
  public mutating func key(_ name: String) {
    string(name)
    bytes.append(0x3A)
    if isSpaced { bytes.append(0x20) }
    needsComma = false
  }

  /// A name that is known to need no escapes.
  public mutating func key(plain name: StaticString) {
    comma()
    bytes.append(0x22)
    name.withUTF8Buffer { bytes.append(contentsOf: $0) }
    bytes.append(0x22)
    bytes.append(0x3A)
    needsComma = false
  }

  public mutating func null() { literal("null") }
  public mutating func bool(_ value: Bool) { literal(value ? "true" : "false") }

  public mutating func int(_ value: Int) {
    comma()
    appendDecimal(value)
    needsComma = true
  }

  /// The shortest decimal that reads back as the same number; always with a `.` or an exponent. `value` is finite.
  public mutating func double(_ value: Double) {
    comma()
    bytes.append(contentsOf: value.description.utf8)
    needsComma = true
  }

  public mutating func string(_ text: String) {
    text.withBytes { string($0) }
  }

  /// A text given by its UTF-8 bytes.
  public mutating func string(utf8 text: ArraySlice<UInt8>) {
    text.withUnsafeBufferPointer { string($0) }
  }

  private mutating func string(_ text: UnsafeBufferPointer<UInt8>) {
    comma()
    bytes.append(0x22)
    appendEscaped(text)
    bytes.append(0x22)
    needsComma = true
  }

  /// A digest with its algorithm, as its description has it.
  public mutating func digest(_ digest: Digest) {
    comma()
    bytes.append(0x22)
    bytes.append(contentsOf: digest.algorithm.rawValue.utf8)
    bytes.append(0x3A)
    digest.forEachEightDigits { digits in
      withUnsafeBytes(of: digits.bigEndian) { bytes.append(contentsOf: $0) }
    }
    bytes.append(0x22)
    needsComma = true
  }

  /// Before what comes next, begins a line with `indent` spaces, where a person may look at the text.
  public mutating func newline(indent: Int = 0) { breaksLine = indent }

  private mutating func comma() {
    if needsComma { bytes.append(0x2C) }
    needsComma = false
    breakLine()
  }

  private mutating func breakLine() {
    guard let indent = breaksLine else { return }
    bytes.append(0x0A)
    bytes.append(contentsOf: repeatElement(0x20, count: indent))
    breaksLine = nil
  }

  private mutating func open(_ bracket: UInt8) {
    comma()
    bytes.append(bracket)
  }

  private mutating func close(_ bracket: UInt8) {
    breakLine()
    bytes.append(bracket)
    needsComma = true
  }

  private mutating func literal(_ text: StaticString) {
    comma()
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    needsComma = true
  }

  private mutating func appendDecimal(_ value: Int) {
    guard value >= 0, value < 10 else {
      bytes.append(contentsOf: String(value).utf8)
      return
    }
    bytes.append(0x30 + UInt8(value))
  }

  private mutating func appendEscaped(_ text: UnsafeBufferPointer<UInt8>) {
    guard text.contains(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C || $0 == 0x7F }) else {
      bytes.append(contentsOf: text)
      return
    }
    for byte in text {
      switch byte {
      case 0x22, 0x5C:
        bytes.append(0x5C)
        bytes.append(byte)
      case 0x0A: bytes.append(contentsOf: "\\n".utf8)
      case 0x09: bytes.append(contentsOf: "\\t".utf8)
      case 0x0D: bytes.append(contentsOf: "\\r".utf8)
      case 0x7F where isMinimal: bytes.append(byte)
      case 0x08 where isMinimal: bytes.append(contentsOf: "\\b".utf8)
      case 0x0C where isMinimal: bytes.append(contentsOf: "\\f".utf8)
      case 0..<0x20, 0x7F:
        bytes.append(contentsOf: "\\u00".utf8)
        bytes.append(hexDigit(byte >> 4))
        bytes.append(hexDigit(byte & 15))
      default: bytes.append(byte)
      }
    }
  }
}

private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
