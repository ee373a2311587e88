import Checkpoint
import Kernels

/// The records that a zip archive's local headers tell of, for archives whose central directory is gone.
///
/// PyTorch (miniz) writes sizes and CRC-32 behind a record, in a data descriptor: `PK 07 08`, the CRC-32, then both
/// sizes in 32 or 64 bits. A descriptor that names just as many bytes as lie before it ends the record.
struct ZipScan {
  private(set) var folder = ""
  private(set) var entries: [ZipEntry] = []
  /// What was found and cannot be used, and why.
  private(set) var lost: [String] = []
  private let bytes: UnsafeRawBufferPointer
  private var seen: Set<String> = []
  /// From here on there is no descriptor any more.
  private var lastDescriptor = Int.max

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    var offset = 0
    while let header = find([0x50, 0x4B, 0x03, 0x04], from: offset) { offset = take(header) ?? header + 4 }
  }

  /// Reads the record at a local header.
  ///
  /// - Returns: where it ends; nil where there is none, or not all of it.
  private mutating func take(_ header: Int) -> Int? {
    guard let head = try? LocalHeader(bytes, at: header), let name = inFolder(head.name) else { return nil }
    guard let method = ZipEntry.Method(rawValue: head.method), !head.isEncrypted else {
      lost.append("record \(name): packed in a way that is not supported")
      return nil
    }
    guard let (end, next, crc, size) = extent(of: head) else {
      lost.append("record \(name): the file ends within it, or its end is damaged")
      return nil
    }
    guard seen.insert(name.lowercased()).inserted else {
      lost.append("record \(name) at offset \(header): there is another one of this name")
      return next
    }
    entries.append(
      ZipEntry(name: name, method: method, crc: crc, size: size, header: header, payload: head.payload..<end))
    return next
  }

  /// The name without the top folder, which the first record's name has.
  private mutating func inFolder(_ name: String) -> String? {
    guard let slash = name.utf8.firstIndex(of: 0x2F), slash != name.startIndex else { return nil }
    let top = String(name[..<slash]), rest = String(name[name.index(after: slash)...])
    if folder.isEmpty { folder = top }
    guard top == folder, !rest.isEmpty, !rest.split(separator: "/").contains("..") else { return nil }
    return rest
  }

  /// So many of these signatures may be a record's own bytes: they come by chance once in 4 GiB. A file that is made to
  /// have more must not take long.
  private static let falseEnds = 16

  /// Where the payload ends, where the next header may be, the CRC-32 and the size.
  private mutating func extent(of head: LocalHeader) -> (end: Int, next: Int, crc: UInt32, size: Int)? {
    guard head.hasDescriptor else {
      let (end, overflow) = head.payload.addingReportingOverflow(head.packed)
      return overflow || end > bytes.count ? nil : (end, end, head.crc, head.size)
    }
    var at = head.payload
    for _ in 0..<Self.falseEnds where at < lastDescriptor {
      guard let place = find([0x50, 0x4B, 0x07, 0x08], from: at) else {
        lastDescriptor = at
        return nil
      }
      let packed = place - head.payload
      if let found = descriptor(place, packed: packed, isStored: head.method == 0) {
        return (place, found.end, found.crc, found.size)
      }
      at = place + 4
    }
    return nil
  }

  private func descriptor(_ place: Int, packed: Int, isStored: Bool) -> (end: Int, crc: UInt32, size: Int)? {
    for width in [4, 8] {
      guard place + 8 + 2 * width <= bytes.count else { continue }
      let first = number(place + 8, width), second = number(place + 8 + width, width)
      guard first == packed, !isStored || second == packed, let second else { continue }
      return (place + 8 + 2 * width, UInt32(truncatingIfNeeded: number(place + 4, 4) ?? 0), second)
    }
    return nil
  }

  private func number(_ offset: Int, _ width: Int) -> Int? {
    width == 4
      ? Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      : Int(exactly: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
  }

  private func find(_ signature: [UInt8], from offset: Int) -> Int? {
    guard offset < bytes.count, let base = bytes.baseAddress else { return nil }
    let found = ck_find_word(base + offset, bytes.count - offset, signature)
    return found < bytes.count - offset ? offset + found : nil
  }
}

/// The header before a record.
private struct LocalHeader {
  let name: String
  let method: Int
  let isEncrypted: Bool
  /// Whether CRC-32 and sizes come behind the record.
  let hasDescriptor: Bool
  let crc: UInt32
  let packed: Int
  let size: Int
  /// Where the record's bytes begin.
  let payload: Int

  init(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
    var cursor = try ByteCursor(bytes, at: offset + 6, what: "a local header")
    let flags = try cursor.small(UInt16.self)
    method = try cursor.small(UInt16.self)
    try cursor.skip(4)
    crc = try cursor.read(UInt32.self)
    packed = try cursor.small(UInt32.self)
    size = try cursor.small(UInt32.self)
    let (nameLength, extraLength) = (try cursor.small(UInt16.self), try cursor.small(UInt16.self))
    guard let name = String(validating: try cursor.slice(nameLength), as: UTF8.self), !name.utf8.contains(0) else {
      throw CheckpointError(.damaged, "a record's name is not UTF-8", place: "offset \(offset)")
    }
    try cursor.skip(extraLength)
    self.name = name
    isEncrypted = flags & 1 != 0
    hasDescriptor = flags & 8 != 0
    payload = cursor.offset
  }
}

extension ZipArchive {
  /// What is whole of an archive: all of it where its directory is sound, else what its local headers tell of.
  ///
  /// - Returns: the archive, and what is lost of it.
  static func salvaged(_ file: MappedFile) throws(CheckpointError) -> (archive: ZipArchive, lost: [String]) {
    let failure: CheckpointError
    do throws(CheckpointError) { return (try ZipArchive(file), []) } catch { failure = error }
    defer { withExtendedLifetime(file) {} }
    let scan = ZipScan(file.bytes)
    guard !scan.entries.isEmpty else { throw failure }
    return (
      ZipArchive(file, folder: scan.folder, entries: scan.entries),
      ["the archive's directory is damaged (\(failure.message)); its records were looked for one by one"] + scan.lost
    )
  }
}
