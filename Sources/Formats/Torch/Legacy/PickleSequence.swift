import Checkpoint

/// Pickles that lie one after the other, with other bytes in between.
struct PickleSequence {
  let bytes: UnsafeRawBufferPointer
  /// Where the next one starts.
  private(set) var offset = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var remaining: Int { bytes.count - offset }

  /// The next pickle, and where it lies.
  ///
  /// - Parameter what: what it is, for errors.
  mutating func next(_ what: String) throws(CheckpointError) -> (pickle: Pickle, range: Range<Int>) {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
    do throws(CheckpointError) {
      let (pickle, length) = try PickleMachine.run(rest, limits: PickleMachine.Limits(bytesInFile: rest.count))
      defer { offset += length }
      return (pickle, offset..<(offset + length))
    } catch {
      throw error.at("\(what) at byte \(offset)")
    }
  }

  /// The next pickle as a tree that has no storages.
  mutating func nextTree(_ what: String) throws(CheckpointError) -> TorchTree {
    let start = offset
    let (pickle, range) = try next(what)
    do throws(CheckpointError) {
      return try TorchTree(
        pickle, bytes: UnsafeRawBufferPointer(rebasing: bytes[range]), storages: TorchStorages(NoStorages()))
    } catch {
      throw error.at("\(what) at byte \(start)")
    }
  }

  /// The next pickle, which holds plain data.
  mutating func nextValue(_ what: String) throws(CheckpointError) -> Value {
    let start = offset
    var tree = try nextTree(what)
    do throws(CheckpointError) { return try tree.root() } catch { throw error.at("\(what) at byte \(start)") }
  }

  /// A number between the pickles, little-endian.
  mutating func number<Number: FixedWidthInteger>(
    _ type: Number.Type, _ what: String
  ) throws(CheckpointError) -> Number {
    let range = try skip(MemoryLayout<Number>.size, what)
    return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: Number.self))
  }

  /// Bytes between the pickles.
  ///
  /// - Returns: where they lie.
  mutating func skip(_ count: Int, _ what: String) throws(CheckpointError) -> Range<Int> {
    guard count >= 0, count <= remaining else {
      throw CheckpointError(
        .damaged, "\(what) takes \(count) bytes; \(remaining) are left", place: "offset \(offset)",
        advice: "The file may have been cut short; compare its size with the original's.")
    }
    defer { offset += count }
    return offset..<(offset + count)
  }
}

/// What a pickle without persistent ids has.
struct NoStorages: StorageContainer {
  var count: Int { 0 }
  func place(of key: String) -> Int? { nil }
  func byteCount(at place: Int) -> Int { 0 }
  func name(of key: String) -> String { "storage \(key)" }

  func source(at place: Int) throws(CheckpointError) -> any ByteSource { BufferSource([]) }
}

/// A range of a source: of a mapped file directly, of others through it.
func part(of source: any ByteSource, _ range: Range<Int>) throws(CheckpointError) -> any ByteSource {
  if range.count == source.byteCount { return source }
  guard let mapped = source as? MappedRange, range.lowerBound >= 0, range.upperBound <= mapped.byteCount else {
    return try SliceSource(source, range: range)
  }
  let start = mapped.range.lowerBound
  return try MappedRange(mapped.file, range: (start + range.lowerBound)..<(start + range.upperBound))
}
