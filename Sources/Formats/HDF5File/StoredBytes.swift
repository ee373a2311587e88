import Checkpoint
import HDF5

/// Where a dataset's bytes lie, checked against the profile before any of them is touched.
struct StoredBytes {
  let type: Datatype
  let shape: Shape
  let source: any ByteSource
  /// The place in the file, for contiguous data with at least one byte.
  let range: Range<Int>?

  /// Filters that a file may use: deflate, shuffle, fletcher32.
  private static let allowedFilters: Set<Int> = [1, 2, 3]
  /// What deflate can make of a byte at the best.
  private static let deflateLimit = 1032

  init(_ dataset: borrowing Dataset, file: MappedFile, path: String) throws(CheckpointError) {
    try self.init(dataset, in: HDF5Content(file), path: path)
  }

  init(_ dataset: borrowing Dataset, in content: HDF5Content, path: String) throws(CheckpointError) {
    let (type, shape, layout, stored) = try hdf5 { () throws(HDF5Error) in
      (try dataset.type, try dataset.shape, try dataset.layout, try dataset.storageSize)
    }
    self.type = type
    self.shape = shape
    if case .other(let description, _) = type {
      throw CheckpointError(.unsupported, "data of the type \(description) is not allowed")
    }
    if case .variableString = type {
      throw CheckpointError(.unsupported, "variable-length text is not allowed in a checkpoint")
    }
    guard let declared = shape.byteCount(elementBytes: type.byteCount) else {
      throw CheckpointError(.damaged, "its dimensions \(shape.dimensions) are too large")
    }
    switch layout {
    case .contiguous:
      (source, range) = try Self.contiguous(dataset, content, declared: declared, stored: stored)
    case .compact:
      source = try Self.small(dataset, declared: declared)
      range = nil
    case .chunked:
      try Self.checkChunks(dataset, declared: declared, stored: stored)
      source = ChunkedSource(content: content, path: path, type: type, shape: shape, byteCount: declared)
      range = nil
    case .virtual:
      throw CheckpointError(
        .unsupported, "a virtual dataset takes its data from elsewhere and is not allowed",
        advice: "A checkpoint holds all its data itself. Do not trust this file.")
    }
  }

  private static func contiguous(
    _ dataset: borrowing Dataset, _ file: HDF5Content, declared: Int, stored: UInt64
  ) throws(CheckpointError) -> (any ByteSource, Range<Int>?) {
    let (externals, offset) = try hdf5 { () throws(HDF5Error) in (try dataset.externalFileCount, try dataset.offset) }
    guard externals == 0 else {
      throw CheckpointError(
        .unsupported, "its data lies in \(externals) other file(s), which is not allowed",
        advice: "A checkpoint holds all its data itself. Do not trust this file.")
    }
    if declared == 0 { return (BufferSource([]), nil) }
    guard stored == UInt64(declared), let offset, let start = Int(exactly: offset), start <= file.count - declared,
      declared <= file.count
    else {
      throw CheckpointError(
        .damaged, "it declares \(declared) bytes; \(stored) are stored in a file of \(file.count) bytes",
        advice: "The file was cut short, its writer did not finish, or it lies about its size.")
    }
    return (try file.source(start..<(start + declared)), start..<(start + declared))
  }

  /// Compact data lies in the object header, so it is below 64 KiB.
  private static func small(_ dataset: borrowing Dataset, declared: Int) throws(CheckpointError) -> any ByteSource {
    guard declared <= 1 << 16 else { throw CheckpointError(.damaged, "compact data of \(declared) bytes cannot be") }
    var bytes = [UInt8](repeating: 0, count: declared)
    var failure: CheckpointError?
    bytes.withUnsafeMutableBytes { buffer in
      do throws(HDF5Error) { try dataset.read(into: buffer) } catch { failure = CheckpointError(error) }
    }
    if let failure { throw failure }
    return BufferSource(bytes)
  }

  private static func checkChunks(
    _ dataset: borrowing Dataset, declared: Int, stored: UInt64
  ) throws(CheckpointError) {
    for filter in try hdf5({ () throws(HDF5Error) in try dataset.filters })
    where !allowedFilters.contains(filter.id) {
      throw CheckpointError(
        .unsupported, "its filter \(filter.id) \(filter.name) is not allowed; only deflate, shuffle and fletcher32 are")
    }
    guard declared / deflateLimit <= Int(clamping: stored), declared == 0 || stored > 0 else {
      throw CheckpointError(
        .damaged, "it declares \(declared) bytes, more than deflate can make of the \(stored) that are stored",
        advice: "The file was not finished, or it is a decompression bomb.")
    }
  }
}

/// Checks that no two datasets share bytes: overlapping ones are how a small file pretends to be a large one.
struct ExtentCheck {
  private var extents: [(range: Range<Int>, path: String)] = []

  mutating func add(_ range: Range<Int>, _ path: String) { extents.append((range, path)) }

  mutating func check() throws(CheckpointError) {
    extents.sort { $0.range.lowerBound < $1.range.lowerBound }
    for (a, b) in zip(extents, extents.dropFirst()) where b.range.lowerBound < a.range.upperBound {
      throw CheckpointError(
        .damaged, "its bytes \(b.range) overlap those of /\(a.path)", place: "/\(b.path)")
    }
  }
}

/// A dataset in chunks, as repacking tools write: read through libhdf5, some rows at a time.
final class ChunkedSource: ComputedSource {
  private let content: HDF5Content
  private let path: String
  private let type: Datatype
  private let shape: Shape
  let byteCount: Int

  init(content: HDF5Content, path: String, type: Datatype, shape: Shape, byteCount: Int) {
    (self.content, self.path, self.type, self.shape, self.byteCount) = (content, path, type, shape, byteCount)
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
    defer { buffer.deallocate() }
    try withDataset { (dataset) throws(CheckpointError) in
      try hdf5 { () throws(HDF5Error) in try dataset.read(into: buffer) }
    }
    try body(UnsafeRawBufferPointer(buffer))
  }

  func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    let rows = shape.dimensions.first ?? 0
    guard rows > 0, byteCount > 0 else { return }
    // At least a row; 16 MiB, so that a chunk is not inflated again for each small piece of it.
    let rowBytes = byteCount / rows
    let perPiece = min(rows, max(1, (16 << 20) / max(rowBytes, 1)))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: perPiece * rowBytes, alignment: 64)
    defer { buffer.deallocate() }
    try withDataset { (dataset) throws(CheckpointError) in
      var first = 0
      while first < rows {
        let n = min(perPiece, rows - first)
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(n * rowBytes)])
        try hdf5 { () throws(HDF5Error) in try dataset.readSlab(start: [first], count: [n], into: part) }
        try UnsafeRawBufferPointer(part).forEachPiece(limit: limit, body)
        first += n
      }
    }
  }

  private func withDataset(
    _ body: (borrowing Dataset) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    let file = try content.open()
    let parts = path.utf8.split(separator: 0x2F).map { String(decoding: $0, as: UTF8.self) }
    try descend(try hdf5 { () throws(HDF5Error) in try file.root() }, parts[...], body)
    try file.closeChecked()
  }

  private func descend(
    _ group: borrowing Group, _ parts: ArraySlice<String>, _ body: (borrowing Dataset) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard let part = parts.first else { return }
    if parts.count == 1 {
      try body(try hdf5 { () throws(HDF5Error) in try group.openDataset(part) })
    } else {
      try descend(try hdf5 { () throws(HDF5Error) in try group.openGroup(part) }, parts.dropFirst(), body)
    }
  }
}

extension DType {
  /// The element type that an HDF5 type implies where no attribute says it.
  init?(_ type: Datatype) {
    let plain: [DType] = [
      .float64, .float32, .float16, .bfloat16, .int64, .int32, .int16, .int8, .uint64, .uint32, .uint16, .uint8, .bool,
      .complex128, .complex64, .complex32,
    ]
    guard let match = plain.first(where: { StorageType.of($0).type == type }) else { return nil }
    self = match
  }
}
