import Checkpoint

/// The name of a link for a key of the tree, and back.
///
/// A string key is itself, with `/`, `%` and NUL percent-escaped; a whole name that is empty, `.` or `..` is escaped
/// too. Any other key is `%=` and the key as packed JSON: `=` is no hexadecimal digit, so no escape looks like it.
enum LinkName {
  /// - Parameter reserved: names that the format owns in this place; a key of that name has its first byte escaped.
  static func escape(_ key: String, reserved: Set<String> = []) -> String {
    if key.isEmpty { return "%" }
    if key == "." || key == ".." || reserved.contains(key) { return escapingFirstByte(key) }
    guard key.utf8.contains(where: mustEscape) else { return key }
    return escapingBytes(of: key)
  }

  /// The key of a link name.
  ///
  /// - Throws: `damaged` for a name that `escape` never makes.
  static func unescape(_ name: String) throws(CheckpointError) -> String {
    guard name.utf8.contains(0x25) else { return name }
    if name == "%" { return "" }
    var bytes: [UInt8] = []
    var rest = Array(name.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == 0x25 else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
        throw CheckpointError(.damaged, "the link name \"\(name)\" has a % without two hexadecimal digits")
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    guard let key = String(validating: bytes, as: UTF8.self) else {
      throw CheckpointError(.damaged, "the link name \"\(name)\" is not UTF-8 when unescaped")
    }
    return key
  }

  /// The link name of any key. `allInts`: the dictionary says that all its keys are integers, so they stand bare.
  static func of(_ key: Key, allInts: Bool, reserved: Set<String> = []) -> String {
    switch key {
    case .string(let text): escape(text, reserved: reserved)
    case .int(let value) where allInts: String(value)
    default: "%=" + escapingBytes(of: PackedJSON.text(key.value))
    }
  }

  /// The key of a link name.
  static func key(_ name: String, allInts: Bool) throws(CheckpointError) -> Key {
    if allInts {
      guard let value = Int64(name), String(value) == name else {
        throw CheckpointError(.damaged, "the link \"\(name)\" should be an integer: its group says that all keys are")
      }
      return .int(value)
    }
    guard name.utf8.starts(with: "%=".utf8) else { return .string(try unescape(name)) }
    let text = try unescape(String(name.dropFirst(2)))
    guard let key = Key(try PackedJSON.value(Array(text.utf8))) else {
      throw CheckpointError(.damaged, "the link \"\(name)\" is no key")
    }
    return key
  }

  /// Whether a key's link is short enough to be stored.
  static func fits(_ key: String) -> Bool { escape(key).utf8.count <= Vocabulary.maximumNameBytes }

  private static func mustEscape(_ byte: UInt8) -> Bool { byte == 0x2F || byte == 0x25 || byte == 0 }

  private static func escapingFirstByte(_ key: String) -> String {
    guard let first = key.utf8.first else { return "%" }
    return hex(first) + escapingBytes(of: String(decoding: key.utf8.dropFirst(), as: UTF8.self))
  }

  private static func escapingBytes(of text: String) -> String {
    guard text.utf8.contains(where: mustEscape) else { return text }
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if mustEscape(byte) { bytes.append(contentsOf: hex(byte).utf8) } else { bytes.append(byte) }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func hex(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return byte < 16 ? "%0\(digits)" : "%\(digits)"
  }
}
