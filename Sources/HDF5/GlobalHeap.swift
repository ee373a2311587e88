#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// The collections of variable-length values in a file, read with every length checked.
///
/// A collection is "GCOL", version 1, three reserved bytes and its size (8); then objects, each of index (2),
/// reference count (2), reserved (4), size (8) and data padded to 8 bytes. Index 0 is the free rest.
struct GlobalHeap {
  /// Collections above it are not read.
  static let largest = 16 << 20

  struct Reference {
    var length: Int
    var address: UInt64
    var index: Int

    init(_ bytes: [UInt8], at start: Int) {
      length = Int(littleEndian(bytes, start, 4))
      address = littleEndian(bytes, start + 4, 8)
      index = Int(littleEndian(bytes, start + 12, 4))
    }
  }

  /// -1 for a file in memory.
  let descriptor: Int32
  let image: MemoryRange?
  let base: UInt64
  /// The collection read last: the values of one attribute mostly share it.
  private var collection: (address: UInt64, bytes: [UInt8])?

  init(descriptor: Int32, image: MemoryRange? = nil, base: UInt64) {
    self.descriptor = descriptor
    self.image = image
    self.base = base
  }

  /// The value behind a reference; nil when the file has none there.
  mutating func bytes(_ reference: Reference) -> ArraySlice<UInt8>? {
    if reference.length == 0 || reference.address == 0 { return [] }
    guard let bytes = load(reference.address) else { return nil }
    var position = 16
    while position + 16 <= bytes.count {
      let index = Int(littleEndian(bytes, position, 2))
      guard index != 0, let size = Int(exactly: littleEndian(bytes, position + 8, 8)),
        size <= bytes.count - position - 16
      else { return nil }
      let start = position + 16
      if index == reference.index {
        return reference.length <= size ? bytes[start..<start + reference.length] : nil
      }
      position = start + (size + 7) / 8 * 8
    }
    return nil
  }

  private mutating func load(_ address: UInt64) -> [UInt8]? {
    if let collection, collection.address == address { return collection.bytes }
    guard let head = read(address, 16), head.starts(with: "GCOL".utf8), head[4] == 1,
      let size = Int(exactly: littleEndian(head, 8, 8)), (16...Self.largest).contains(size),
      let bytes = read(address, size)
    else { return nil }
    collection = (address, bytes)
    return bytes
  }

  private func read(_ address: UInt64, _ count: Int) -> [UInt8]? {
    let (place, overflow) = address.addingReportingOverflow(base)
    guard !overflow, let offset = off_t(exactly: place) else { return nil }
    if let image {
      guard count <= image.count, Int(offset) <= image.count - count else { return nil }
      return Array(image.bytes[Int(offset)..<Int(offset) + count])
    }
    guard descriptor >= 0 else { return nil }
    var status = stat()
    // The size is a claim of the file: nothing is allocated that it does not hold.
    guard fstat(descriptor, &status) == 0, status.st_size >= count, offset <= status.st_size - off_t(count) else {
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: count)
    return bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, count, offset) } == count ? bytes : nil
  }
}

private func littleEndian(_ bytes: [UInt8], _ start: Int, _ count: Int) -> UInt64 {
  bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
}
