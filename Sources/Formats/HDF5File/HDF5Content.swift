import Checkpoint
import HDF5

/// The bytes of an HDF5 file, wherever they are: a file of its own, or a member of a zip archive.
struct HDF5Content: Sendable {
  private enum Place: Sendable {
    case file(MappedFile)
    /// In memory, and where its bytes are given from.
    case member(HDF5Image, any ByteSource)
  }

  /// What errors call the file.
  let path: String
  private let place: Place

  /// Bytes of a deflated record that are inflated whatever they shrank to, and what a byte may grow to above.
  private static let freelyInflated = 64 << 20
  private static let mostInflated = 100

  init(_ file: MappedFile) {
    path = file.path
    place = .file(file)
  }

  /// A record of an archive. A stored one is used where it lies in the mapped file; a deflated one is inflated, into
  /// memory that lives as long as any tensor of it.
  ///
  /// - Parameter verify: hold the record against its CRC-32 when the first of its data is read.
  init(_ entry: ZipEntry, of archive: ZipArchive, verify: Bool) throws(CheckpointError) {
    path = archive.file.path
    switch entry.method {
    case .stored:
      place = .member(
        HDF5Image(archive.file, range: entry.payload), RecordSource(entry, of: archive, verify: verify))
    case .deflated:
      // Numbers hardly shrink: what shrinks so much was made to fill the memory.
      guard entry.size <= Self.freelyInflated || entry.size / Self.mostInflated <= entry.payload.count else {
        throw CheckpointError(
          .unsupported, "\(entry.payload.count) deflated bytes claim to be \(entry.size)",
          place: archive.place(of: entry), advice: "It is a decompression bomb. Do not trust this file.")
      }
      let image = try HDF5Image(copying: try archive.source(entry, verify: verify))
      place = .member(image, image)
    }
  }

  /// Bytes of the file.
  var count: Int {
    switch place {
    case .file(let file): file.count
    case .member(let image, _): image.count
    }
  }

  /// A range of the file, which has to lie in it.
  func source(_ range: Range<Int>) throws(CheckpointError) -> any ByteSource {
    switch place {
    case .file(let file): try MappedRange(file, range: range)
    case .member(_, let record): try SliceSource(record, range: range)
    }
  }

  /// Opens it for reading.
  func open() throws(CheckpointError) -> File {
    switch place {
    case .file(let file): try hdf5 { () throws(HDF5Error) in try File.open(file.path, .readOnly) }
    case .member(let image, _):
      try hdf5 { () throws(HDF5Error) in try File.open(image: image.bytes, owner: image, name: path) }
    }
  }
}

/// An HDF5 file in memory: a part of a mapped file, or memory of its own.
final class HDF5Image: ByteSource {
  private let file: MappedFile?
  private let address: UInt
  let count: Int

  /// - Parameter range: lies in the file, as that of a zip record that was checked.
  init(_ file: MappedFile, range: Range<Int>) {
    self.file = file
    address = UInt(bitPattern: file.bytes.baseAddress) + UInt(range.lowerBound)
    count = range.count
  }

  init(copying source: any ByteSource) throws(CheckpointError) {
    file = nil
    count = source.byteCount
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 64)
    address = UInt(bitPattern: memory.baseAddress)
    try source.withBytes { (bytes) throws(CheckpointError) in memory.copyMemory(from: bytes) }
  }

  deinit {
    if file == nil { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() }
  }

  var byteCount: Int { count }

  /// Valid while this object lives.
  var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: count)
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    defer { withExtendedLifetime(self) {} }
    try body(bytes)
  }
}
