/// Where a tensor's bytes come from: mapped file, owned memory, or a view over either.
///
/// A source gives exactly `byteCount` bytes: the logical content of its tensor in row-major order, little-endian.
/// Two tensors that have the same source (the same object) are tied: they share their storage.
public protocol ByteSource: AnyObject, Sendable {
  /// The number of bytes this source gives.
  var byteCount: Int { get }

  /// Gives all bytes as one piece of memory. A mapped range costs nothing; a view over it is materialised.
  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError)

  /// Gives the bytes in order, in pieces of at most about `limit` bytes, each a whole number of elements.
  func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError)
}

extension ByteSource {
  public func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try withBytes { (bytes) throws(CheckpointError) in try bytes.forEachPiece(limit: limit, body) }
  }
}

extension UnsafeRawBufferPointer {
  /// Cuts the buffer into pieces of `limit` bytes (a multiple of 16) and a rest.
  public func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    let step = Swift.max(limit & ~15, 16)
    var start = 0
    while start < count {
      let end = Swift.min(start + step, count)
      try body(UnsafeRawBufferPointer(rebasing: self[start..<end]))
      start = end
    }
  }
}

/// Bytes that are owned here.
public final class BufferSource: ByteSource {
  private let bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The memory of `count` elements of a trivial type, as little-endian bytes.
  public convenience init<Element: BitwiseCopyable>(elements: [Element]) {
    self.init(elements.withUnsafeBytes { Array($0) })
  }

  public var byteCount: Int { bytes.count }

  public func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    var failure: CheckpointError?
    bytes.withUnsafeBytes { buffer in
      do throws(CheckpointError) { try body(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}

/// A range of another source.
public final class SliceSource: ByteSource {
  private let base: any ByteSource
  private let range: Range<Int>

  /// - Throws: `damaged` when the range leaves the base.
  public init(_ base: any ByteSource, range: Range<Int>) throws(CheckpointError) {
    guard range.lowerBound >= 0, range.upperBound <= base.byteCount else {
      throw CheckpointError(
        .damaged, "bytes \(range.lowerBound) to \(range.upperBound) lie outside a storage of \(base.byteCount) bytes")
    }
    self.base = base
    self.range = range
  }

  public var byteCount: Int { range.count }

  public func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    try base.withBytes { (bytes) throws(CheckpointError) in
      try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
    }
  }
}
