/// Hand-made legacy streams, with every number open to lies.
enum LegacyBuilder {
  /// Each character is a byte.
  static func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }

  static func little(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian, Array.init)
  }

  static let magic: [UInt8] =
    [0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]

  /// A persistent id of 4 floats unless it is said otherwise.
  static func storage(key: String = "0", count: String = "I4", type: String = "FloatStorage", view: String = "N")
    -> String
  {
    "(S'storage'\nctorch\n\(type)\nS'\(key)'\nS'cpu'\n\(count)\n\(view)tQ"
  }

  /// A tensor over a storage, in pickle opcodes.
  static func tensor(_ storage: String = storage(), offset: Int = 0, size: Int = 4, stride: Int = 1) -> String {
    "ctorch._utils\n_rebuild_tensor\n(\(storage)I\(offset)\n(I\(size)\nt(I\(stride)\nttR"
  }

  static func stream(
    object: String = tensor(), keys: [String] = ["0"], counts: [Int64] = [4], data: [UInt8] = Array(0..<16),
    version: String = "M\u{E9}\u{3}.", system: String = "}."
  ) -> [UInt8] {
    let list = "(" + keys.map { "S'\($0)'\n" }.joined() + "l."
    return magic + bytes(version) + bytes(system) + bytes(object + ".") + bytes(list)
      + counts.flatMap { little($0) + data }
  }

  /// A call of `_load_from_bytes` with the bytes as protocol 3 has them.
  static func load(_ stream: [UInt8]) -> [UInt8] {
    bytes("ctorch.storage\n_load_from_bytes\nB") + little(UInt32(stream.count)) + stream + bytes("\u{85}R")
  }

  static func pickle(_ body: [UInt8]) -> [UInt8] { [0x80, 3] + body + bytes(".") }

  /// A tar archive of whole members.
  static func tar(_ members: [(String, [UInt8])], size: String? = nil) -> [UInt8] {
    members.flatMap { name, data in
      header(name, size ?? octal(data.count, 11)) + data + [UInt8](repeating: 0, count: -data.count & 511)
    } + [UInt8](repeating: 0, count: 1024)
  }

  static func octal(_ number: Int, _ digits: Int) -> String {
    let text = String(number, radix: 8)
    return String(repeating: "0", count: digits - text.count) + text
  }

  private static func header(_ name: String, _ size: String) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, _ at: Int) { block.replaceSubrange(at..<(at + text.utf8.count), with: text.utf8) }
    put(name, 0)
    put("0000644", 100)
    put(size, 124)
    put("        ", 148)
    put("0", 156)
    put("ustar", 257)
    put("00", 263)
    put(octal(block.reduce(0) { $0 + Int($1) }, 6) + "\0", 148)
    return block
  }
}
