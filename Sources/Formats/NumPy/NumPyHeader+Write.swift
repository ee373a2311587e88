import Checkpoint

extension NumPyHeader {
  /// The header that `np.save` writes: version 1.0, padded so that the data begins at a multiple of 64 bytes.
  ///
  /// - Parameter descr: as `NumPyElement.descr(of:)` gives it.
  static func bytes(descr: String, shape: [Int]) -> [UInt8] {
    let sizes = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = "{'descr': \(descr), 'fortran_order': False, 'shape': (\(sizes)), }"
    // Room for a first dimension of 21 digits, which NumPy leaves so that arrays can grow in place.
    if let first = shape.first { text += String(repeating: " ", count: max(21 - String(first).utf8.count, 0)) }
    let start = magic.count + 4
    let padding = 64 - (start + text.utf8.count + 1) % 64
    text += String(repeating: " ", count: padding) + "\n"
    let length = text.utf8.count
    return magic + [1, 0, UInt8(truncatingIfNeeded: length), UInt8(truncatingIfNeeded: length >> 8)] + Array(text.utf8)
  }
}

/// An array as a file of its own has it: a header, then the tensor's bytes.
final class NumPyArraySource: ByteSource {
  private let header: [UInt8]
  private let data: any ByteSource

  /// - Throws: `unsupported` for a type narrower than a byte.
  convenience init(_ tensor: Tensor) throws(CheckpointError) {
    guard let descr = NumPyElement.descr(of: tensor.dtype) else {
      throw CheckpointError(.unsupported, "NumPy has no arrays of \(tensor.dtype.rawValue)")
    }
    self.init(descr: descr, shape: tensor.shape, tensor.source)
  }

  /// Bytes as one array without dimensions.
  convenience init(text: [UInt8]) { self.init(descr: "'|S\(text.count)'", shape: [], BufferSource(text)) }

  private init(descr: String, shape: [Int], _ data: any ByteSource) {
    header = NumPyHeader.bytes(descr: descr, shape: shape)
    self.data = data
  }

  var byteCount: Int { header.count + data.byteCount }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    var all = header
    try data.withBytes { (bytes) throws(CheckpointError) in all += bytes }
    try BufferSource(all).withBytes(body)
  }

  func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try BufferSource(header).withBytes(body)
    try data.forEachPiece(limit: limit, body)
  }
}
