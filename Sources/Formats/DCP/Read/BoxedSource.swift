import Checkpoint

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A tensor that lies in several boxes, each row-major by itself. Only the pieces that are asked for are put together.
final class BoxedSource: ByteSource {
  /// One box, as runs of elements that lie side by side in it and in the tensor.
  private struct Box {
    let source: any ByteSource
    /// Bytes of a run.
    let run: Int
    /// How many runs there are along each dimension that has several, slowest first.
    let counts: [Int]
    /// How many bytes of the tensor lie between two runs along that dimension.
    let strides: [Int]
    /// Where the first run starts in the tensor.
    let start: Int
    let runs: Int

    func place(of run: Int) -> Int {
      var rest = run
      var place = start
      for d in counts.indices.reversed() {
        place += rest % counts[d] * strides[d]
        rest /= counts[d]
      }
      return place
    }

    /// The first run that ends behind a place of the tensor.
    func firstRun(endingBehind place: Int) -> Int {
      var (low, high) = (0, runs)
      while low < high {
        let middle = (low + high) / 2
        if self.place(of: middle) + run > place { high = middle } else { low = middle + 1 }
      }
      return low
    }
  }

  let byteCount: Int
  private let itemSize: Int
  private let boxes: [Box]
  /// Whether each box is one run: then they only follow one another.
  private let isSequence: Bool

  /// - Parameter parts: boxes that cover the tensor, each element once, none empty.
  init(
    dtype: DType, shape: [Int], parts: [(offsets: [Int], sizes: [Int], source: any ByteSource)]
  ) throws(CheckpointError) {
    guard let itemSize = dtype.itemSize, let byteCount = dtype.byteCount(of: shape) else {
      throw CheckpointError(.unsupported, "a tensor of the packed type \(dtype.rawValue) in several chunks")
    }
    self.byteCount = byteCount
    self.itemSize = itemSize
    let boxes = parts.map { Self.box($0.offsets, $0.sizes, $0.source, shape, itemSize) }
    isSequence = boxes.allSatisfy { $0.runs == 1 }
    self.boxes = boxes.sorted { $0.start < $1.start }
  }

  private static func box(
    _ offsets: [Int], _ sizes: [Int], _ source: any ByteSource, _ shape: [Int], _ itemSize: Int
  ) -> Box {
    var strides = shape
    var step = itemSize
    for d in shape.indices.reversed() {
      strides[d] = step
      step *= shape[d]
    }
    // All dimensions after this one are whole, so that everything from it on lies side by side.
    let split = shape.indices.last { shape[$0] != sizes[$0] } ?? 0
    let run = split < shape.count ? sizes[split] * strides[split] : itemSize
    let start = shape.indices.reduce(0) { $0 + offsets[$1] * strides[$1] }
    let outer = (0..<split).filter { sizes[$0] > 1 }
    let counts = outer.map { sizes[$0] }
    return Box(
      source: source, run: run, counts: counts, strides: outer.map { strides[$0] }, start: start,
      runs: counts.reduce(1, *))
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    let whole = UnsafeMutableRawBufferPointer.allocate(byteCount: max(byteCount, 1), alignment: 64)
    defer { whole.deallocate() }
    let memory = UnsafeMutableRawBufferPointer(rebasing: whole[..<byteCount])
    if isSequence {
      for box in boxes {
        var at = box.start
        try box.source.forEachPiece(limit: 8 << 20) { (piece) throws(CheckpointError) in
          UnsafeMutableRawBufferPointer(rebasing: memory[at...]).copyMemory(from: piece)
          at += piece.count
        }
      }
    } else {
      try fill(memory, from: 0, try residents())
    }
    try body(UnsafeRawBufferPointer(memory))
  }

  func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    if isSequence {
      for box in boxes { try box.source.forEachPiece(limit: limit, body) }
      return
    }
    let step = min(max(limit / itemSize, 1) * itemSize, byteCount)
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: max(step, 1), alignment: 64)
    defer { piece.deallocate() }
    let sources = try residents()
    var from = 0
    while from < byteCount {
      let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(step, byteCount - from)])
      try fill(part, from: from, sources)
      try body(UnsafeRawBufferPointer(part))
      from += part.count
    }
  }

  private func residents() throws(CheckpointError) -> [any ByteSource] {
    var sources: [any ByteSource] = []
    sources.reserveCapacity(boxes.count)
    for box in boxes { sources.append(try box.source.resident()) }
    return sources
  }

  /// Puts the tensor's bytes from a place on into memory.
  private func fill(
    _ out: UnsafeMutableRawBufferPointer, from: Int, _ sources: [any ByteSource]
  ) throws(CheckpointError) {
    for (box, source) in zip(boxes, sources) {
      guard box.start < from + out.count else { break }
      let first = box.firstRun(endingBehind: from)
      guard first < box.runs, box.place(of: first) < from + out.count else { continue }
      try source.withBytes { (bytes) throws(CheckpointError) in
        guard bytes.count == box.run * box.runs else {
          throw CheckpointError(.damaged, "a chunk of \(bytes.count) bytes where \(box.run * box.runs) are due")
        }
        Self.copy(box, bytes, from: first, to: out, at: from)
      }
    }
  }

  /// Copies runs from the `first` on, as far as they lie in the `out.count` bytes of the tensor that begin at `from`.
  private static func copy(
    _ box: Box, _ bytes: UnsafeRawBufferPointer, from first: Int, to out: UnsafeMutableRawBufferPointer, at from: Int
  ) {
    guard let source = bytes.baseAddress, let target = out.baseAddress else { return }
    let end = from + out.count
    // The innermost dimension is walked in a tight loop; the others are worked out anew for each of its rows.
    let inner = box.counts.last ?? 1
    let stride = box.strides.last ?? 0
    var run = first
    while run < box.runs {
      var place = box.place(of: run)
      guard place < end else { return }
      let rowEnd = min(run - run % inner + inner, box.runs)
      while run < rowEnd, place < end {
        let start = max(place, from)
        let stop = min(place + box.run, end)
        memcpy(target + (start - from), source + (run * box.run + start - place), stop - start)
        run += 1
        place += stride
      }
    }
  }
}
