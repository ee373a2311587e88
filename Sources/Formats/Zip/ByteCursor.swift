import Checkpoint

/// Reads little-endian numbers from bytes, in order. An error names the offset at which the bytes ran out.
struct ByteCursor {
  let bytes: UnsafeRawBufferPointer
  /// The next byte to read.
  private(set) var offset: Int
  /// The first byte that is not to be read.
  let end: Int
  /// What is being read, for errors.
  let what: String

  /// - Throws: `damaged` when the range leaves `bytes`.
  init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0, end: Int? = nil, what: String) throws(CheckpointError) {
    let end = end ?? bytes.count
    guard offset >= 0, end <= bytes.count, offset <= end else {
      throw CheckpointError(
        .damaged, "\(what) would lie at bytes \(offset) to \(end) of \(bytes.count)", place: "offset \(offset)")
    }
    self.bytes = bytes
    self.offset = offset
    self.end = end
    self.what = what
  }

  var remaining: Int { end - offset }

  mutating func skip(_ count: Int) throws(CheckpointError) {
    guard count >= 0, count <= remaining else { throw short(count) }
    offset += count
  }

  mutating func read<Number: FixedWidthInteger>(_ type: Number.Type) throws(CheckpointError) -> Number {
    let size = MemoryLayout<Number>.size
    guard size <= remaining else { throw short(size) }
    let value = Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    offset += size
    return value
  }

  /// A 16-bit or 32-bit number, which always fits an `Int`.
  mutating func small<Number: FixedWidthInteger>(_ type: Number.Type) throws(CheckpointError) -> Int {
    Int(truncatingIfNeeded: try read(type))
  }

  /// A 64-bit count or offset.
  ///
  /// - Throws: `damaged` above 2^63 - 1.
  mutating func large() throws(CheckpointError) -> Int {
    let start = offset
    guard let value = Int(exactly: try read(UInt64.self)) else {
      throw CheckpointError(.damaged, "\(what) holds a number beyond 2^63", place: "offset \(start)")
    }
    return value
  }

  mutating func slice(_ count: Int) throws(CheckpointError) -> UnsafeRawBufferPointer {
    let start = offset
    try skip(count)
    return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
  }

  private func short(_ count: Int) -> CheckpointError {
    CheckpointError(
      .damaged, "\(what) ends where \(count) more bytes are due (\(remaining) left)", place: "offset \(offset)")
  }
}
