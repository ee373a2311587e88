import Checkpoint
import Synchronization

/// A tensor that is a whole torch.save archive within a file. The archive is opened when its bytes are asked for.
final class StoredChunk: ByteSource {
  let byteCount: Int
  let file: MappedFile
  let range: Range<Int>
  private let dtype: DType
  private let sizes: [Int]
  private let place: String
  private let verify: Bool
  private let content = Mutex<(any ByteSource)?>(nil)

  /// - Parameters:
  ///   - range: lies in the file.
  ///   - place: what errors call it.
  /// - Throws: `damaged` when so few bytes cannot hold so much: archives that torch writes are not compressed.
  init(
    _ file: MappedFile, _ range: Range<Int>, dtype: DType, sizes: [Int], place: String, verify: Bool
  ) throws(CheckpointError) {
    guard let byteCount = dtype.byteCount(of: sizes), byteCount <= range.count else {
      throw CheckpointError(
        .damaged, "\(dtype.rawValue) \(sizes) is said to lie in \(range.count) bytes", file: file.path, place: place)
    }
    (self.file, self.range, self.dtype, self.sizes) = (file, range, dtype, sizes)
    (self.byteCount, self.place, self.verify) = (byteCount, place, verify)
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    try opened().withBytes(body)
  }

  func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try opened().forEachPiece(limit: limit, body)
  }

  /// The tensor's bytes in the archive.
  ///
  /// - Throws: `damaged` when the archive holds anything but the tensor that it is said to hold.
  fileprivate func opened() throws(CheckpointError) -> any ByteSource {
    let result: Result<any ByteSource, CheckpointError> = content.withLock { content in
      if let content { return .success(content) }
      do throws(CheckpointError) {
        let made = try open()
        content = made
        return .success(made)
      } catch {
        return .failure(error.under(place).inFile(file.path))
      }
    }
    return try result.get()
  }

  private func open() throws(CheckpointError) -> any ByteSource {
    let archive = try TorchArchive(file, part: (place, range), verify: verify)
    // torch stores no more than the tensor has; what a storage holds beside it, or inflates to, is nobody's.
    let stored = archive.zip.entries.reduce(0) { $1.name.hasPrefix("data/") ? $0 + $1.size : $0 }
    guard stored <= 2 * byteCount + 1 << 16 else {
      throw CheckpointError(.damaged, "\(stored) bytes are stored for \(dtype.rawValue) \(sizes)")
    }
    let root = try archive.read().root
    guard case .tensor(let tensor) = root else {
      throw CheckpointError(.damaged, "the part holds no tensor; \(dtype.rawValue) \(sizes) is due")
    }
    guard tensor.dtype == dtype, tensor.shape == sizes else {
      throw CheckpointError(
        .damaged,
        "the part holds \(tensor.dtype.rawValue) \(tensor.shape), the metadata says \(dtype.rawValue) \(sizes)")
    }
    return tensor.source
  }
}

extension CheckpointError {
  /// The same error at a place, unless it names that already.
  func under(_ outer: String) -> CheckpointError {
    place?.utf8.starts(with: outer.utf8) ?? false ? self : at(outer)
  }
}

extension ByteSource {
  /// A source of the same bytes whose memory can be had again and again at no cost.
  func resident() throws(CheckpointError) -> any ByteSource {
    let source = try (self as? StoredChunk)?.opened() ?? self
    if source is RecordSource || source is MappedRange || source is BufferSource || source is InflatedSource {
      return source
    }
    var copy: [UInt8] = []
    copy.reserveCapacity(source.byteCount)
    try source.forEachPiece(limit: 1 << 20) { (piece) throws(CheckpointError) in copy.append(contentsOf: piece) }
    return BufferSource(copy)
  }
}
