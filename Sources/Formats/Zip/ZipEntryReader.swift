import Checkpoint

/// Walks the central directory and checks each entry against its local header.
struct ZipEntryReader {
  let bytes: UnsafeRawBufferPointer
  let directory: ZipDirectory
  var folder = ""
  var entries: [ZipEntry] = []
  var names: ZipNames
  private let naming: ZipArchive.Naming
  private var folderBytes: [UInt8] = []

  init(_ bytes: UnsafeRawBufferPointer, naming: ZipArchive.Naming) throws(CheckpointError) {
    self.bytes = bytes
    self.naming = naming
    names = ZipNames(foldsCase: naming == .oneFolder)
    directory = try ZipDirectory(bytes)
  }

  mutating func readAll() throws(CheckpointError) {
    var cursor = try ByteCursor(
      bytes, at: directory.range.lowerBound, end: directory.range.upperBound, what: "the zip central directory")
    entries.reserveCapacity(directory.count)
    for _ in 0..<directory.count { try readEntry(&cursor) }
    guard cursor.remaining == 0 else {
      throw CheckpointError(
        .damaged, "the zip central directory has \(cursor.remaining) bytes after its last entry",
        place: "offset \(cursor.offset)")
    }
    try refuseOverlaps()
  }

  /// Makes the entries' places those in a file in which the archive begins at `start`.
  mutating func moveEntries(by start: Int) {
    for index in entries.indices {
      let payload = entries[index].payload
      entries[index].header += start
      entries[index].payload = (payload.lowerBound + start)..<(payload.upperBound + start)
    }
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
    guard disk == 0, flags & 0x2001 == 0 else {
      throw CheckpointError(.unsupported, "the record is encrypted", place: "record \(try Self.text(rawName, place))")
    }
    guard let method = ZipEntry.Method(rawValue: method) else {
      throw CheckpointError(
        .unsupported, "the record is compressed with zip method \(method); methods 0 and 8 are supported",
        place: "record \(try Self.text(rawName, place))")
    }
    // A folder's own entry.
    if rawName.last == 0x2F, size == 0 { return }
    let name = naming == .oneFolder ? try strip(rawName, place) : try Self.text(rawName, place)
    do throws(CheckpointError) {
      let payload = try checkLocal(header, rawName: rawName, method: method, packed: packed, size: size)
      try add(ZipEntry(name: name, method: method, crc: crc, size: size, header: header, payload: payload))
    } catch {
      throw error.at("record \(name)")
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
  private mutating func strip(_ raw: UnsafeRawBufferPointer, _ place: String) throws(CheckpointError) -> String {
    if folderBytes.isEmpty {
      guard let slash = raw.firstIndex(of: 0x2F), slash > 0 else { throw Self.outside(try Self.text(raw, place)) }
      folderBytes = Array(raw[...slash])
      folder = try Self.text(UnsafeRawBufferPointer(rebasing: raw[..<slash]), place)
    }
    let start = folderBytes.count
    guard raw.count > start, folderBytes.withUnsafeBytes({ raw.prefix(start).elementsEqual($0) }) else {
      throw CheckpointError(
        .damaged, "the record is not in the folder \(folder)", place: "record \(try Self.text(raw, place))",
        advice: Self.folderAdvice)
    }
    let rest = UnsafeRawBufferPointer(rebasing: raw[start...])
    guard Self.staysInside(folderBytes), Self.staysInside(rest) else { throw Self.outside(try Self.text(raw, place)) }
    return try Self.text(rest, place)
  }

  /// Whether no part between slashes is empty or `..`.
  private static func staysInside(_ path: some Collection<UInt8>) -> Bool {
    var length = 0
    var dots = 0
    var isFirst = true
    for byte in path {
      guard byte == 0x2F else {
        length += 1
        if byte == 0x2E { dots += 1 }
        continue
      }
      if length == 0 || (length == 2 && dots == 2) { return false }
      (length, dots, isFirst) = (0, 0, false)
    }
    // The folder's own name ends in its slash.
    return (length > 0 || !isFirst) && !(length == 2 && dots == 2)
  }

  private static let folderAdvice =
    "PyTorch keeps all records in one top folder; this may be another kind of zip file."

  private static func outside(_ name: String) -> CheckpointError {
    CheckpointError(
      .damaged, "the record lies in no folder, or its name climbs out of it", place: "record \(name)",
      advice: folderAdvice)
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
    guard names.add(entry.name, at: entries.count) else {
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
