import Checkpoint

/// Where a zip archive's central directory lies, from its end record (and the zip64 one).
///
/// PyTorch 2.13 (miniz) always writes a zip64 end record and its locator; other programs only where they need it.
struct ZipDirectory {
  let range: Range<Int>
  let count: Int
  /// Bytes after the end record. torch ignores them.
  let trailing: Int

  private static let endSize = 22
  private static let locatorSize = 20
  private static let entrySize = 46

  init(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    let end = try Self.findEnd(bytes)
    var cursor = try ByteCursor(bytes, at: end + 4, what: "the zip end record")
    let disk = try cursor.small(UInt16.self)
    let startDisk = try cursor.small(UInt16.self)
    let here = try cursor.small(UInt16.self)
    var count = try cursor.small(UInt16.self)
    var size = try cursor.small(UInt32.self)
    var start = try cursor.small(UInt32.self)
    let comment = try cursor.small(UInt16.self)
    guard disk == 0, startDisk == 0, here == count else {
      throw CheckpointError(.unsupported, "the zip archive is split over several disks", place: "offset \(end)")
    }
    var stop = end
    if let (wide, at) = try Self.readZip64(bytes, end: end) {
      // The narrow record repeats the numbers where they fit; where both say something, they must agree.
      guard count == 0xFFFF || count == wide.count, size == 0xFFFF_FFFF || size == wide.size,
        start == 0xFFFF_FFFF || start == wide.start
      else {
        throw CheckpointError(.damaged, "the zip end record and the zip64 one disagree", place: "offset \(end)")
      }
      (count, size, start, stop) = (wide.count, wide.size, wide.start, at)
    }
    let (sum, overflow) = start.addingReportingOverflow(size)
    guard !overflow, sum == stop else {
      throw CheckpointError(
        .damaged, "the zip central directory is said to take \(size) bytes at \(start); it must end at \(stop)",
        place: "offset \(end)", advice: "The file may have been cut, joined or edited; get it again.")
    }
    guard count <= size / Self.entrySize else {
      throw CheckpointError(
        .damaged, "the zip end record promises \(count) entries in a directory of \(size) bytes", place: "offset \(end)"
      )
    }
    self.range = start..<stop
    self.count = count
    self.trailing = bytes.count - end - Self.endSize - comment
  }

  /// The last end record: it is followed by a comment of at most 65 535 bytes, which torch leaves empty.
  private static func findEnd(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) -> Int {
    var at = bytes.count - endSize
    let lowest = max(0, at - 0xFFFF)
    while at >= lowest {
      if bytes[at] == 0x50, signature(bytes, at) == 0x0605_4B50 {
        let comment = Int(bytes[at + 20]) | Int(bytes[at + 21]) << 8
        if at + endSize + comment <= bytes.count { return at }
      }
      at -= 1
    }
    throw CheckpointError(
      .damaged, "central directory not found at the end of the file",
      advice: "The file was cut short, as by a download that broke off; compare its size and get it again.")
  }

  private static func signature(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> UInt32 {
    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
  }

  private static func readZip64(
    _ bytes: UnsafeRawBufferPointer, end: Int
  ) throws(CheckpointError) -> ((count: Int, size: Int, start: Int), at: Int)? {
    let locator = end - locatorSize
    guard locator >= 0, signature(bytes, locator) == 0x0706_4B50 else { return nil }
    var cursor = try ByteCursor(bytes, at: locator + 4, what: "the zip64 locator")
    let disk = try cursor.small(UInt32.self)
    let at = try cursor.large()
    let disks = try cursor.small(UInt32.self)
    guard disk == 0, disks <= 1, at <= locator - 56, signature(bytes, at) == 0x0606_4B50 else {
      throw CheckpointError(.damaged, "the zip64 locator points to no zip64 end record", place: "offset \(locator)")
    }
    cursor = try ByteCursor(bytes, at: at + 4, what: "the zip64 end record")
    guard try cursor.large() == locator - at - 12 else {
      throw CheckpointError(.damaged, "the zip64 end record has a wrong length", place: "offset \(at)")
    }
    try cursor.skip(4)
    let disksAgree = try cursor.read(UInt64.self) == 0
    let here = try cursor.large()
    let count = try cursor.large()
    let size = try cursor.large()
    let start = try cursor.large()
    guard disksAgree, here == count else {
      throw CheckpointError(.unsupported, "the zip archive is split over several disks", place: "offset \(at)")
    }
    return ((count, size, start), at)
  }
}
