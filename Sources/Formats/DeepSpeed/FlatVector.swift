import Checkpoint

/// One long row of numbers that lies in several pieces: what a rank holds of a group of parameters.
struct FlatVector {
  private(set) var pieces: [(source: any ByteSource, count: Int)] = []
  let dtype: DType
  private(set) var count = 0

  init(dtype: DType) { self.dtype = dtype }

  init(_ tensor: Tensor) throws(CheckpointError) {
    dtype = tensor.dtype
    try append(tensor)
  }

  /// - Throws: `damaged` where the types differ.
  mutating func append(_ tensor: Tensor) throws(CheckpointError) {
    guard tensor.dtype == dtype, let size = dtype.itemSize else {
      throw CheckpointError(.damaged, "\(tensor.dtype.rawValue) where \(dtype.rawValue) is due, as in the other parts")
    }
    // Not `tensor.count`: the shape's product is known to fit, as the source has as many bytes.
    let elements = tensor.byteCount / size
    guard elements > 0 else { return }
    let (sum, overflow) = count.addingReportingOverflow(elements)
    guard !overflow else { throw CheckpointError(.damaged, "sizes that overflow") }
    pieces.append((tensor.source, elements))
    count = sum
  }

  mutating func append(_ other: FlatVector) throws(CheckpointError) {
    guard other.dtype == dtype else {
      throw CheckpointError(.damaged, "\(other.dtype.rawValue) where \(dtype.rawValue) is due, as in the other parts")
    }
    let (sum, overflow) = count.addingReportingOverflow(other.count)
    guard !overflow else { throw CheckpointError(.damaged, "sizes that overflow") }
    pieces += other.pieces
    count = sum
  }

  /// The pieces that make up a range of elements, which is not empty and lies in the vector.
  private func sources(of range: Range<Int>) throws(CheckpointError) -> [(source: any ByteSource, count: Int)] {
    let size = dtype.itemSize ?? 1
    var found: [(source: any ByteSource, count: Int)] = []
    var start = 0
    for piece in pieces {
      let part = range.clamped(to: start..<(start + piece.count))
      if !part.isEmpty {
        let bytes = ((part.lowerBound - start) * size)..<((part.upperBound - start) * size)
        found.append((try SliceSource(piece.source, range: bytes), part.count))
      }
      start += piece.count
      if start >= range.upperBound { break }
    }
    return found
  }

  /// A tensor put together from ranges of several vectors of one type, one after the other. Nothing is copied before
  /// its bytes are asked for.
  static func tensor(
    shape: [Int], of parts: [(vector: FlatVector, range: Range<Int>)], dtype: DType
  ) throws(CheckpointError) -> Tensor {
    var sources: [(source: any ByteSource, count: Int)] = []
    for part in parts where !part.range.isEmpty {
      guard part.vector.dtype == dtype else {
        throw CheckpointError(.damaged, "\(part.vector.dtype.rawValue) in one rank, \(dtype.rawValue) in another")
      }
      sources += try part.vector.sources(of: part.range)
    }
    if sources.count == 1 { return try Tensor(dtype: dtype, shape: shape, source: sources[0].source) }
    var boxes: [(offsets: [Int], sizes: [Int], source: any ByteSource)] = []
    var start = 0
    for piece in sources {
      boxes.append(([start], [piece.count], piece.source))
      start += piece.count
    }
    let source: any ByteSource =
      boxes.isEmpty
      ? BufferSource([])
      : try BoxedSource(
        dtype: dtype, shape: [start], parts: boxes)
    return try Tensor(dtype: dtype, shape: shape, source: source)
  }
}
