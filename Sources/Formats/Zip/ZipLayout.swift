import Checkpoint

/// Where each record of an archive to be written lies. All of it is known before any byte is.
///
/// As torch does, payloads are aligned to 64 bytes with an extra field "FB" of Zs. Unlike torch's, local headers have
/// their true sizes and CRC-32, since payloads are written first: no data descriptors. The same content gives the same
/// bytes.
struct ZipLayout {
  struct Record {
    var name: [UInt8]
    var size: Int
    var header: Int
    var payload: Int
  }

  static let alignment = 64
  private static let limit = 0xFFFF_FFFF

  /// Whether a zip64 end record is there even where no number asks for one, as in torch's files.
  let isAlwaysWide: Bool
  private(set) var records: [Record] = []
  /// Where the central directory begins.
  private(set) var end = 0

  init(isAlwaysWide: Bool = false) { self.isAlwaysWide = isAlwaysWide }

  /// - Throws: `unsupported` for a name that no archive can have.
  mutating func add(_ name: String, size: Int) throws(CheckpointError) {
    let name = Array(name.utf8)
    guard !name.contains(0), name.count <= 0xFFFF else {
      throw CheckpointError(
        .unsupported, "the name has a zero byte in it, or more than 65535 bytes, which zip archives cannot have",
        place: "'\(String(decoding: name.prefix(100), as: UTF8.self))'", advice: "Rename it: --rename 's/…/…/'.")
    }
    let fixed = end + 30 + name.count + Self.wideExtra(size) + 4
    let padding = (Self.alignment - fixed % Self.alignment) % Self.alignment
    let payload = fixed + padding
    records.append(Record(name: name, size: size, header: end, payload: payload))
    end = payload + size
  }

  private static func wideExtra(_ size: Int) -> Int { size >= limit ? 20 : 0 }

  /// A record's local header, up to its payload.
  func localHeader(_ record: Record, crc: UInt32) -> [UInt8] {
    let isWide = record.size >= Self.limit
    var out = LittleEndianBytes(capacity: record.payload - record.header)
    out.append(UInt32(0x0403_4B50))
    out.append(UInt16(isWide ? 45 : 20))
    out.append16(Self.flags, Self.stored, 0, Self.date)
    out.append(crc)
    out.append(UInt32(min(record.size, Self.limit)))
    out.append(UInt32(min(record.size, Self.limit)))
    let padding = record.payload - record.header - 30 - record.name.count - Self.wideExtra(record.size) - 4
    out.append16(UInt16(record.name.count), UInt16(Self.wideExtra(record.size) + 4 + padding))
    out.bytes += record.name
    if isWide {
      out.append16(1, 16)
      out.append(UInt64(record.size))
      out.append(UInt64(record.size))
    }
    out.append16(0x4246, UInt16(padding))
    out.bytes.append(contentsOf: repeatElement(0x5A, count: padding))
    return out.bytes
  }

  /// The central directory and the end records.
  func directory(crcs: [UInt32]) -> [UInt8] {
    var out = LittleEndianBytes(capacity: records.count * 80 + 98)
    for (record, crc) in zip(records, crcs) { appendEntry(record, crc, to: &out) }
    appendEnd(size: out.bytes.count, to: &out)
    return out.bytes
  }

  private func appendEntry(_ record: Record, _ crc: UInt32, to out: inout LittleEndianBytes) {
    let isWide = record.size >= Self.limit
    let isFar = record.header >= Self.limit
    let extra = (isWide ? 16 : 0) + (isFar ? 8 : 0)
    out.append(UInt32(0x0201_4B50))
    out.append16(UInt16(extra > 0 ? 45 : 20), UInt16(extra > 0 ? 45 : 20))
    out.append16(Self.flags, Self.stored, 0, Self.date)
    out.append(crc)
    out.append(UInt32(min(record.size, Self.limit)))
    out.append(UInt32(min(record.size, Self.limit)))
    out.append16(UInt16(record.name.count), UInt16(extra > 0 ? extra + 4 : 0), 0, 0, 0, 0, 0)
    out.append(UInt32(min(record.header, Self.limit)))
    out.bytes += record.name
    guard extra > 0 else { return }
    out.append16(1, UInt16(extra))
    if isWide {
      out.append(UInt64(record.size))
      out.append(UInt64(record.size))
    }
    if isFar { out.append(UInt64(record.header)) }
  }

  private func appendEnd(size: Int, to out: inout LittleEndianBytes) {
    if isAlwaysWide || records.count >= 0xFFFF || end >= Self.limit || size >= Self.limit {
      appendWideEnd(size, to: &out)
    }
    out.append(UInt32(0x0605_4B50))
    let count = UInt16(min(records.count, 0xFFFF))
    out.append16(0, 0, count, count)
    out.append(UInt32(min(size, Self.limit)))
    out.append(UInt32(min(end, Self.limit)))
    out.append16(0)
  }

  private func appendWideEnd(_ size: Int, to out: inout LittleEndianBytes) {
    let wideEnd = end + size
    out.append(UInt32(0x0606_4B50))
    out.append(UInt64(44))
    out.append16(45, 45, 0, 0, 0, 0)
    out.append(UInt64(records.count))
    out.append(UInt64(records.count))
    out.append(UInt64(size))
    out.append(UInt64(end))
    out.append(UInt32(0x0706_4B50))
    out.append(UInt32(0))
    out.append(UInt64(wideEnd))
    out.append(UInt32(1))
  }

  /// Names are UTF-8.
  private static let flags: UInt16 = 0x0800
  private static let stored: UInt16 = 0
  /// 1 January 1980: the earliest that zip knows, so that equal content gives equal bytes.
  private static let date: UInt16 = 0x0021
}

/// Bytes that grow by little-endian numbers.
struct LittleEndianBytes {
  var bytes: [UInt8] = []

  init(capacity: Int) { bytes.reserveCapacity(capacity) }

  mutating func append(_ number: some FixedWidthInteger) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func append16(_ numbers: UInt16...) {
    for number in numbers { append(number) }
  }
}
