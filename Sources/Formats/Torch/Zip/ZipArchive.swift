import Checkpoint

/// The records of a PyTorch zip archive. Everything is checked before anything is handed out: names, bounds, overlaps.
///
/// Sizes and CRC-32 come from the central directory, since miniz leaves them 0 in the local headers.
struct ZipArchive: Sendable {
  let file: MappedFile
  /// The folder that all records lie in, without the slash.
  let folder: String
  let entries: [ZipEntry]
  /// Whether any record has a CRC-32 (`torch.serialization.set_crc32_options(False)` writes 0 everywhere).
  let hasChecksums: Bool
  /// Bytes after the archive's end, which no reader looks at.
  let trailingBytes: Int
  private let index: [Key: Int]

  init(_ file: MappedFile) throws(CheckpointError) {
    do throws(CheckpointError) {
      defer { withExtendedLifetime(file) {} }
      var reader = try ZipEntryReader(file.bytes)
      try reader.readAll()
      self.file = file
      self.folder = reader.folder
      self.entries = reader.entries
      self.index = reader.index
      self.trailingBytes = reader.directory.trailing
      self.hasChecksums = reader.entries.contains { $0.crc != 0 }
    } catch {
      throw error.inFile(file.path)
    }
  }

  /// The record of a name (without the top folder). As in torch, case does not count.
  func entry(_ name: String) -> ZipEntry? { index[ZipEntryReader.foldedKey(name)].map { entries[$0] } }
}

/// Walks the central directory and checks each entry against its local header.
private struct ZipEntryReader {
  let bytes: UnsafeRawBufferPointer
  let directory: ZipDirectory
  var folder = ""
  var entries: [ZipEntry] = []
  var index: [Key: Int] = [:]

  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    self.bytes = bytes
    directory = try ZipDirectory(bytes)
  }

  static func foldedKey(_ name: String) -> Key {
    guard name.utf8.contains(where: { $0 >= 0x41 && $0 <= 0x5A }) else { return .string(name) }
    return .string(String(decoding: name.utf8.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }, as: UTF8.self))
  }

  mutating func readAll() throws(CheckpointError) {
    var cursor = try ByteCursor(
      bytes, at: directory.range.lowerBound, end: directory.range.upperBound, what: "the zip central directory")
    entries.reserveCapacity(directory.count)
    index.reserveCapacity(directory.count)
    for _ in 0..<directory.count { try readEntry(&cursor) }
    guard cursor.remaining == 0 else {
      throw CheckpointError(
        .damaged, "the zip central directory has \(cursor.remaining) bytes after its last entry",
        place: "offset \(cursor.offset)")
    }
    try refuseOverlaps()
  }

  private mutating func readEntry(_ cursor: inout ByteCursor) throws(CheckpointError) {
    let place = "offset \(cursor.offset)"
    guard try cursor.read(UInt32.self) == 0x0201_4B50 else {
      throw CheckpointError(.damaged, "no central directory entry where one is due", place: place)
    }
    try cursor.skip(4)
    let flags = try cursor.small(UInt16.self)
    let method = try cursor.small(UInt16.self)
    try cursor.skip(4)
    let crc = try cursor.read(UInt32.self)
    var packed = try cursor.small(UInt32.self)
    var size = try cursor.small(UInt32.self)
    let nameLength = try cursor.small(UInt16.self)
    let extraLength = try cursor.small(UInt16.self)
    let commentLength = try cursor.small(UInt16.self)
    let disk = try cursor.small(UInt16.self)
    try cursor.skip(6)
    var header = try cursor.small(UInt32.self)
    let rawName = try cursor.slice(nameLength)
    let extraEnd = cursor.offset + extraLength
    let extra = try ByteCursor(bytes, at: cursor.offset, end: min(extraEnd, cursor.end), what: "a zip extra field")
    try cursor.skip(extraLength)
    try cursor.skip(commentLength)
    try Self.widen(extra, size: &size, packed: &packed, header: &header)
    let fullName = try Self.text(rawName, place)
    guard disk == 0, flags & 1 == 0, flags & 0x2000 == 0 else {
      throw CheckpointError(.unsupported, "the record is encrypted", place: "record \(fullName)")
    }
    guard let method = ZipEntry.Method(rawValue: method) else {
      throw CheckpointError(
        .unsupported, "the record is compressed with zip method \(method); torch reads methods 0 and 8",
        place: "record \(fullName)")
    }
    if fullName.utf8.last == 0x2F, size == 0 { return }
    let name = try strip(fullName)
    do throws(CheckpointError) {
      let payload = try checkLocal(header, rawName: rawName, method: method, packed: packed, size: size)
      try add(ZipEntry(name: name, method: method, crc: crc, size: size, header: header, payload: payload))
    } catch {
      throw error.at("record \(fullName)")
    }
  }

  /// The zip64 extra field: 64-bit numbers in place of those that are 0xFFFFFFFF.
  private static func widen(
    _ extra: ByteCursor, size: inout Int, packed: inout Int, header: inout Int
  ) throws(CheckpointError) {
    var extra = extra
    while extra.remaining >= 4 {
      let id = try extra.small(UInt16.self)
      let length = try extra.small(UInt16.self)
      let end = extra.offset + length
      if id == 1 {
        if size == 0xFFFF_FFFF { size = try extra.large() }
        if packed == 0xFFFF_FFFF { packed = try extra.large() }
        if header == 0xFFFF_FFFF { header = try extra.large() }
        guard extra.offset <= end else {
          throw CheckpointError(.damaged, "a zip64 extra field is too short", place: "offset \(extra.offset)")
        }
      }
      try extra.skip(end - extra.offset)
    }
  }

  private static func text(_ raw: UnsafeRawBufferPointer, _ place: String) throws(CheckpointError) -> String {
    guard let text = String(validating: raw, as: UTF8.self), !raw.contains(0) else {
      throw CheckpointError(.damaged, "a record's name is not UTF-8", place: place)
    }
    return text
  }

  /// The name without its top folder, which all records must share.
  private mutating func strip(_ fullName: String) throws(CheckpointError) -> String {
    let parts = fullName.utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
    guard parts.count >= 2, parts.allSatisfy({ !$0.isEmpty && !$0.elementsEqual("..".utf8) }) else {
      throw CheckpointError(
        .damaged, "the record lies in no folder, or its name climbs out of it", place: "record \(fullName)",
        advice: "PyTorch keeps all records in one top folder; this may be another kind of zip file.")
    }
    let top = String(parts[0]) ?? ""
    if folder.isEmpty { folder = top }
    guard folder.hasSameBytes(as: top) else {
      throw CheckpointError(.damaged, "the record is not in the folder \(folder)", place: "record \(fullName)")
    }
    return String(fullName.utf8.dropFirst(top.utf8.count + 1)) ?? ""
  }

  private func checkLocal(
    _ header: Int, rawName: UnsafeRawBufferPointer, method: ZipEntry.Method, packed: Int, size: Int
  ) throws(CheckpointError) -> Range<Int> {
    var cursor = try ByteCursor(bytes, at: header, end: directory.range.lowerBound, what: "the local header")
    guard try cursor.read(UInt32.self) == 0x0403_4B50 else {
      throw CheckpointError(.damaged, "no local header where the directory says", place: "offset \(header)")
    }
    try cursor.skip(2)
    let flags = try cursor.small(UInt16.self)
    let localMethod = try cursor.small(UInt16.self)
    try cursor.skip(16)
    let nameLength = try cursor.small(UInt16.self)
    let extraLength = try cursor.small(UInt16.self)
    let name = try cursor.slice(nameLength)
    guard name.elementsEqual(rawName), localMethod == method.rawValue, flags & 1 == 0 else {
      throw CheckpointError(
        .damaged, "the local header and the central directory describe different records", place: "offset \(header)")
    }
    try cursor.skip(extraLength)
    guard packed <= cursor.remaining else {
      throw CheckpointError(
        .damaged, "\(packed) bytes at \(cursor.offset) leave the file of \(bytes.count) bytes",
        advice: "The file may have been cut short; compare its size with the original's.")
    }
    guard method == .deflated || packed == size else {
      throw CheckpointError(.damaged, "stored, but its two sizes are \(packed) and \(size) bytes")
    }
    return cursor.offset..<(cursor.offset + packed)
  }

  private mutating func add(_ entry: ZipEntry) throws(CheckpointError) {
    guard index.updateValue(entries.count, forKey: Self.foldedKey(entry.name)) == nil else {
      throw CheckpointError(
        .damaged, "two records have this name, and readers may take either",
        advice: "A file made so may hide something; do not load it with Python.")
    }
    entries.append(entry)
  }

  private func refuseOverlaps() throws(CheckpointError) {
    var last: ZipEntry?
    for entry in entries.sorted(by: { $0.header < $1.header }) {
      if let last, last.payload.upperBound > entry.header {
        throw CheckpointError(
          .damaged, "the records \(last.name) and \(entry.name) overlap", place: "offset \(entry.header)")
      }
      last = entry
    }
  }
}
