import Checkpoint
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A stored record of the archive: a range of the mapped file whose CRC-32 is checked before or while it is read.
///
/// Streaming checks each piece while it is hot and fails after the last one; memory that is handed out whole is checked
/// in one pass first. What was found is remembered, so a storage that many tensors share is checked once.
final class RecordSource: ByteSource {
  private enum Verdict {
    static let unknown: UInt8 = 0
    static let good: UInt8 = 1
  }

  let file: MappedFile
  let range: Range<Int>
  private let place: String
  private let expected: UInt32
  private let verdict: Atomic<UInt8>
  /// Held while the whole is checked, so that two threads do not check one record twice.
  private let checking = Mutex<Void>(())

  init(_ entry: ZipEntry, of archive: ZipArchive, verify: Bool) {
    file = archive.file
    range = entry.payload
    place = archive.place(of: entry)
    expected = entry.crc
    verdict = Atomic(verify && archive.hasChecksums ? Verdict.unknown : Verdict.good)
  }

  var byteCount: Int { range.count }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    try check()
    try body(memory)
  }

  func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    guard verdict.load(ordering: .acquiring) == Verdict.unknown else {
      return try memory.forEachPiece(limit: limit, body)
    }
    var sum = Checksum()
    try memory.forEachPiece(limit: limit) { (piece) throws(CheckpointError) in
      sum.update(piece)
      try body(piece)
    }
    try judge(sum.value)
  }

  /// Checks the CRC-32 unless that was done.
  func check() throws(CheckpointError) {
    guard verdict.load(ordering: .acquiring) == Verdict.unknown else { return }
    let failure: CheckpointError? = checking.withLock { _ in
      guard verdict.load(ordering: .acquiring) == Verdict.unknown else { return nil }
      do throws(CheckpointError) {
        try judge(Checksum.of(memory))
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  private var memory: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[range]) }

  private func judge(_ sum: UInt32) throws(CheckpointError) {
    guard sum == expected else {
      throw Checksum.mismatch(sum, expected: expected, in: memory).at(place).inFile(file.path)
    }
    verdict.store(Verdict.good, ordering: .releasing)
  }
}

/// Whether two runs of memory hold the same bytes.
func memoryEqual(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool { memcmp(a, b, count) == 0 }
