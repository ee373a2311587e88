import CDeflate
import Checkpoint
import Synchronization

/// A deflated record, inflated into owned memory when it is first read.
///
/// The size is never taken on faith: deflate cannot shrink anything more than 1032 times, and whoever made this source
/// has compared the size with what is to be made of it.
final class InflatedSource: ByteSource {
  let file: MappedFile
  let byteCount: Int
  private let entry: ZipEntry
  private let place: String
  private let checked: Bool
  private let content = Mutex<BufferSource?>(nil)

  /// - Throws: `damaged` when so few bytes cannot hold so many.
  init(_ entry: ZipEntry, of archive: ZipArchive, verify: Bool) throws(CheckpointError) {
    let (most, overflow) = entry.payload.count.multipliedReportingOverflow(by: 1032)
    guard !overflow, entry.size <= most + 64 else {
      throw CheckpointError(
        .damaged, "\(entry.payload.count) deflated bytes cannot hold \(entry.size)", file: archive.file.path,
        place: archive.place(of: entry))
    }
    place = archive.place(of: entry)
    file = archive.file
    byteCount = entry.size
    self.entry = entry
    checked = verify && archive.hasChecksums
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    let result: Result<BufferSource, CheckpointError> = content.withLock { content in
      if let content { return .success(content) }
      do throws(CheckpointError) {
        let made = BufferSource(try inflate())
        content = made
        return .success(made)
      } catch {
        return .failure(error.at(place).inFile(file.path))
      }
    }
    try result.get().withBytes(body)
  }

  private func inflate() throws(CheckpointError) -> [UInt8] {
    defer { withExtendedLifetime(file) {} }
    guard let engine = libdeflate_alloc_decompressor() else {
      throw CheckpointError(.inputOutput, "no memory to inflate the record")
    }
    defer { libdeflate_free_decompressor(engine) }
    let packed = file.bytes[entry.payload]
    var status = LIBDEFLATE_BAD_DATA
    let bytes = [UInt8](unsafeUninitializedCapacity: max(byteCount, 1)) { out, count in
      count = 0
      var written = 0
      guard let from = UnsafeRawBufferPointer(rebasing: packed).baseAddress, let to = out.baseAddress else { return }
      status = libdeflate_deflate_decompress(engine, from, packed.count, to, byteCount, &written)
      if status == LIBDEFLATE_SUCCESS { count = written }
    }
    guard status == LIBDEFLATE_SUCCESS, bytes.count == byteCount else {
      let found =
        status == LIBDEFLATE_BAD_DATA ? "is no deflate stream" : "does not inflate to the \(byteCount) bytes it claims"
      throw CheckpointError(.damaged, "the record \(found)")
    }
    if checked {
      try bytes.withUnsafeBytes { buffer -> Result<Void, CheckpointError> in
        let sum = Checksum.of(buffer)
        return sum == entry.crc ? .success(()) : .failure(Checksum.mismatch(sum, expected: entry.crc, in: buffer))
      }.get()
    }
    return bytes
  }
}

extension ZipArchive {
  /// The bytes of a record, whichever way they are kept.
  func source(_ entry: ZipEntry, verify: Bool) throws(CheckpointError) -> any ByteSource {
    switch entry.method {
    case .stored: RecordSource(entry, of: self, verify: verify)
    case .deflated: try InflatedSource(entry, of: self, verify: verify)
    }
  }
}

extension ZipArchive {
  /// The first `count` bytes of a record, or all where it has fewer. The CRC-32 is not checked.
  func start(of entry: ZipEntry, count: Int) throws(CheckpointError) -> [UInt8] {
    defer { withExtendedLifetime(file) {} }
    let payload = UnsafeRawBufferPointer(rebasing: file.bytes[entry.payload])
    guard entry.method == .deflated else { return Array(payload.prefix(count)) }
    guard let packed = payload.baseAddress else { return [] }
    var made = -1
    let bytes = [UInt8](unsafeUninitializedCapacity: min(count, entry.size)) { out, size in
      guard let start = out.baseAddress else { return made = 0 }
      made = ckpt_inflate_start(packed, payload.count, start, out.count)
      size = max(made, 0)
    }
    guard made >= 0 else {
      throw CheckpointError(
        .damaged, "the record is no deflate stream", file: file.path, place: place(of: entry))
    }
    return bytes
  }
}
