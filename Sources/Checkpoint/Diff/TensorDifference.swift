import Kernels

/// How the numbers of two tensors of one type and shape differ.
public struct TensorDifference: Sendable, Equatable {
  /// The elements that differ (bytes, for types whose elements are no numbers).
  public var differing: Int
  /// The largest |a - b|; NaN when a NaN met a number, nil for types whose elements are no numbers.
  public var maxAbs: Double?
  /// The largest |a - b| / |b|; infinite where b is 0.
  public var maxRel: Double?

  public init(differing: Int, maxAbs: Double? = nil, maxRel: Double? = nil) {
    self.differing = differing
    self.maxAbs = maxAbs
    self.maxRel = maxRel
  }
}

/// When numbers count as equal although their bits differ: |a - b| <= atol + rtol * |b|, as `numpy.isclose` has it with
/// `equal_nan`.
public struct Tolerance: Sendable, Equatable {
  public var rtol, atol: Double

  public init(rtol: Double = 0, atol: Double = 0) {
    self.rtol = rtol
    self.atol = atol
  }

  func covers(_ a: Double, _ b: Double) -> Bool {
    if a == b || (a.isNaN && b.isNaN) { return true }
    return a.isFinite && b.isFinite && (a - b).magnitude <= atol + rtol * b.magnitude
  }
}

extension Tensor {
  /// How this tensor's elements differ from those of another of the same type and shape; nil when they do not.
  /// Without a tolerance two floats are equal when all their bits are.
  ///
  /// Memory stays bounded, whatever the size.
  public func difference(
    from other: Tensor, tolerance: Tolerance? = nil
  ) throws(CheckpointError) -> TensorDifference? {
    guard dtype == other.dtype, shape == other.shape else {
      throw CheckpointError(.usage, "tensors of different types or shapes have no difference")
    }
    if source === other.source { return nil }
    var sum = DifferenceSum(dtype, tolerance)
    try forEachPair(source, other.source, item: dtype.itemSize ?? 1) { sum.add($0, $1) }
    return sum.result
  }
}

/// Adds up pieces.
private struct DifferenceSum {
  private let number: ck_number?
  private let component: ck_number?
  private let size: Int
  private let tolerance: Tolerance?
  private var sum = ck_difference()
  private var bytes = 0

  init(_ dtype: DType, _ tolerance: Tolerance?) {
    number = dtype.number
    component = dtype.component?.number
    size = dtype.itemSize ?? 1
    self.tolerance = tolerance
  }

  mutating func add(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) {
    guard let x = a.baseAddress, let y = b.baseAddress, ck_same(x, y, a.count) == 0 else { return }
    let tolerant: Int32 = tolerance == nil ? 0 : 1
    let (rtol, atol) = (tolerance?.rtol ?? 0, tolerance?.atol ?? 0)
    if let number {
      ck_compare(x, y, number, a.count / size, tolerant, rtol, atol, &sum)
    } else if let component {
      ck_compare_complex(x, y, component, a.count / size, tolerant, rtol, atol, &sum)
    } else {
      bytes += zip(a, b).count { $0 != $1 }
    }
  }

  var result: TensorDifference? {
    guard number != nil || component != nil else {
      return bytes == 0 ? nil : TensorDifference(differing: bytes)
    }
    guard sum.differing > 0 else { return nil }
    return TensorDifference(differing: Int(sum.differing), maxAbs: sum.max_abs, maxRel: sum.max_rel)
  }
}

/// Bytes of one piece, and of a tensor that is small enough to be had whole.
private let pieceSize = 1 << 20
/// Bytes that are kept when neither side lies in memory.
private let windowSize = 64 << 20

/// Gives both sources' bytes side by side, in pieces of whole elements.
private func forEachPair(
  _ a: any ByteSource, _ b: any ByteSource, item: Int,
  _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(CheckpointError) -> Void
) throws(CheckpointError) {
  guard a.byteCount > 0 else { return }
  if a.byteCount <= pieceSize || !(b is any ComputedSource) {
    try b.withBytes { (whole) throws(CheckpointError) in
      try pair(a, with: whole, from: 0, body)
    }
  } else if !(a is any ComputedSource) {
    try a.withBytes { (whole) throws(CheckpointError) in
      try pair(b, with: whole, from: 0) { (y, x) throws(CheckpointError) in try body(x, y) }
    }
  } else {
    // Neither side lies in memory: a window of one is kept, and the other passes by, once for each window.
    let size = min(b.byteCount, windowSize) / item * item
    let window = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    defer { window.deallocate() }
    var start = 0
    while start < b.byteCount {
      let count = min(size, b.byteCount - start)
      try fill(window, from: b, start..<(start + count))
      try pair(a, with: UnsafeRawBufferPointer(rebasing: window[..<count]), from: start, body)
      start += count
    }
  }
}

/// Gives the part of a source that lies beside `whole`, which starts at byte `start` of the other one.
private func pair(
  _ source: any ByteSource, with whole: UnsafeRawBufferPointer, from start: Int,
  _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(CheckpointError) -> Void
) throws(CheckpointError) {
  var at = 0
  let end = start + whole.count
  try source.forEachPiece(limit: pieceSize) { (piece) throws(CheckpointError) in
    let low = max(at, start)
    let high = min(at + piece.count, end)
    if low < high {
      try body(
        UnsafeRawBufferPointer(rebasing: piece[(low - at)..<(high - at)]),
        UnsafeRawBufferPointer(rebasing: whole[(low - start)..<(high - start)]))
    }
    at += piece.count
  }
}

private func fill(
  _ window: UnsafeMutableRawBufferPointer, from source: any ByteSource, _ range: Range<Int>
) throws(CheckpointError) {
  var at = 0
  try source.forEachPiece(limit: pieceSize) { (piece) throws(CheckpointError) in
    let low = max(at, range.lowerBound)
    let high = min(at + piece.count, range.upperBound)
    if low < high {
      UnsafeMutableRawBufferPointer(rebasing: window[(low - range.lowerBound)..<(high - range.lowerBound)])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: piece[(low - at)..<(high - at)]))
    }
    at += piece.count
  }
}
