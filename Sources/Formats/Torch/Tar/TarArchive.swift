import Checkpoint

/// The members of an uncompressed tar archive: ustar, GNU's long names, and PAX records for size and path.
///
/// Nothing is ever extracted, so a member's name is only compared, never used as a path.
struct TarArchive {
  static let block = 512

  private(set) var members: [Key: Range<Int>] = [:]
  private(set) var names: [String] = []
  /// Whether the two empty blocks are there that end an archive.
  private(set) var hasEnd = false

  private let bytes: UnsafeRawBufferPointer
  private var offset = 0
  /// What extended headers say of the next member.
  private var nextSize: Int?
  private var nextName: String?

  /// Whether bytes start a tar archive that has one of PyTorch's members near its start.
  static func isTorch(_ prefix: [UInt8]) -> Bool {
    prefix.withUnsafeBytes { bytes in
      var archive = TarArchive(bytes: bytes)
      // The rest of the last member that is looked at is not there.
      do throws(CheckpointError) { while try archive.readMember() {} } catch {}
      return ["sys_info", "pickle", "tensors", "storages"].contains { archive.names.contains($0) }
    }
  }

  private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// - Throws: `damaged` for a header that is none, a member beyond the file, or a name that is there twice.
  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    self.init(bytes: bytes)
    while try readMember() {}
  }

  subscript(name: String) -> Range<Int>? { members[.string(name)] }

  /// Reads the next header.
  ///
  /// - Returns: whether there was one.
  private mutating func readMember() throws(CheckpointError) -> Bool {
    guard offset < bytes.count else { return false }
    let at = offset
    do throws(CheckpointError) {
      guard bytes.count - offset >= Self.block else { throw CheckpointError(.damaged, "ends within a header") }
      let header = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + Self.block)])
      if header.allSatisfy({ $0 == 0 }) {
        hasEnd = true
        return false
      }
      try read(TarHeader(header))
    } catch {
      throw error.at("the tar header at byte \(at)")
    }
    return true
  }

  private mutating func read(_ header: TarHeader) throws(CheckpointError) {
    let size = nextSize ?? header.size
    let name = nextName ?? header.name
    offset += Self.block
    // Known before the bounds are checked: the start of a file is recognised by it.
    if header.isFile { names.append(name) }
    guard size <= bytes.count - offset else {
      throw CheckpointError(
        .damaged, "\(size) bytes for \(name); \(bytes.count - offset) are left",
        advice: "The file may have been cut short; compare its size with the original's.")
    }
    let range = offset..<(offset + size)
    // The padding of the last member may be missing.
    offset = min(offset + (size + Self.block - 1) / Self.block * Self.block, bytes.count)
    switch header.type {
    case UInt8(ascii: "x"): try readPAX(range)
    case UInt8(ascii: "L"):
      let text = bytes[range].prefix(4096).prefix { $0 != 0 }
      nextName = String(decoding: text, as: UTF8.self)
    case UInt8(ascii: "g"): break
    default:
      (nextSize, nextName) = (nil, nil)
      guard header.isFile else { return }
      guard members.updateValue(range, forKey: .string(name)) == nil else {
        throw CheckpointError(.damaged, "the member \(name) is there twice")
      }
    }
  }

  /// Lines of the form `length key=value`.
  private mutating func readPAX(_ range: Range<Int>) throws(CheckpointError) {
    var rest = bytes[range]
    while !rest.isEmpty {
      let digits = rest.prefix(20).prefix { $0 != 0x20 }
      guard let length = Int(String(decoding: digits, as: UTF8.self)), length > digits.count + 2, length <= rest.count
      else { throw CheckpointError(.damaged, "a PAX record whose length is wrong") }
      let record = rest.prefix(length).dropFirst(digits.count + 1).dropLast()
      rest = rest.dropFirst(length)
      guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let value = String(decoding: record[(equals + 1)...].prefix(4096), as: UTF8.self)
      switch String(decoding: record[..<equals].prefix(64), as: UTF8.self) {
      case "size":
        guard let size = Int(value), size >= 0 else { throw CheckpointError(.damaged, "a size that is no number") }
        nextSize = size
      case "path": nextName = TarHeader.plain(value)
      default: break
      }
    }
  }
}

/// One header of a tar archive.
struct TarHeader {
  let name: String
  let size: Int
  let type: UInt8

  var isFile: Bool { type == 0 || type == UInt8(ascii: "0") || type == UInt8(ascii: "7") }

  /// - Throws: `damaged` when the checksum is wrong or the size is no number.
  init(_ block: UnsafeRawBufferPointer) throws(CheckpointError) {
    // The checksum's own eight bytes count as spaces.
    let sum = block.indices.reduce(0) { $0 + ((148..<156).contains($1) ? 0x20 : Int(block[$1])) }
    guard Self.octal(block[148..<156]) == sum else {
      throw CheckpointError(.damaged, "the checksum is wrong")
    }
    guard let size = Self.number(block[124..<136]) else { throw CheckpointError(.damaged, "a size that is no number") }
    self.size = size
    type = block[156]
    name = Self.plain(String(decoding: block[0..<100].prefix { $0 != 0 }, as: UTF8.self))
  }

  /// Without `./` in front.
  static func plain(_ name: String) -> String { name.hasPrefix("./") ? String(name.dropFirst(2)) : name }

  private static func octal(_ field: Slice<UnsafeRawBufferPointer>) -> Int? {
    let digits = field.drop { $0 == 0x20 }.prefix { $0 >= 0x30 && $0 <= 0x37 }
    return digits.isEmpty ? nil : Int(String(decoding: digits, as: UTF8.self), radix: 8)
  }

  /// Octal digits, or (GNU, above 8 GiB) a big-endian number with the top bit set.
  private static func number(_ field: Slice<UnsafeRawBufferPointer>) -> Int? {
    guard field.first == 0x80 else { return octal(field) }
    guard field.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }) else { return nil }
    return Int(exactly: field.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }
}
