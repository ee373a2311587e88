import Kernels

/// A strided tensor's elements in row-major order: a transpose, a slice, an expanded view.
///
/// It also undoes what PyTorch leaves undone in the bytes: big-endian words, a pending conjugation or negation.
public final class StridedSource: ByteSource {
  /// What to do to the words after they are gathered.
  public struct Fixes: Sendable {
    /// Words are big-endian.
    public var swapped = false
    /// Imaginary parts are to change sign (PyTorch's lazy `conj`).
    public var conjugated = false
    /// Everything is to change sign (PyTorch's lazy `neg`).
    public var negated = false

    public init(swapped: Bool = false, conjugated: Bool = false, negated: Bool = false) {
      self.swapped = swapped
      self.conjugated = conjugated
      self.negated = negated
    }
  }

  private let base: any ByteSource
  private let dtype: DType
  private let itemSize: Int
  private let offset: Int
  private let sizes: [Int64]
  private let strides: [Int64]
  private let fixes: Fixes
  private let count: Int

  /// - Parameters:
  ///   - offset: of element (0, …, 0), in elements of `dtype` from the start of `base`.
  ///   - strides: in elements; all at least 0.
  /// - Throws: `damaged` when the view leaves `base` or its extent overflows.
  public init(
    _ base: any ByteSource, dtype: DType, offset: Int, shape: [Int], strides: [Int], fixes: Fixes = Fixes()
  ) throws(CheckpointError) {
    guard let itemSize = dtype.itemSize else {
      throw CheckpointError(.unsupported, "a strided view of the packed type \(dtype.rawValue)")
    }
    guard shape.count <= 64 else {
      throw CheckpointError(.unsupported, "\(shape.count) dimensions; at most 64 are supported")
    }
    let last = try Self.lastElement(offset: offset, shape: shape, strides: strides)
    let count = elementCount(of: shape) ?? 0
    if count > 0 {
      let (end, overflow) = (last + 1).multipliedReportingOverflow(by: itemSize)
      guard !overflow, end <= base.byteCount else {
        throw CheckpointError(
          .damaged,
          "the tensor's last element is number \(last) of a storage that holds \(base.byteCount / itemSize) elements")
      }
    }
    self.base = base
    self.dtype = dtype
    self.itemSize = itemSize
    self.offset = offset
    self.sizes = shape.map(Int64.init)
    self.strides = strides.map(Int64.init)
    self.fixes = fixes
    self.count = count
  }

  /// The index of the last element that a view reaches (`offset` when it has none).
  ///
  /// - Throws: `damaged` for negative or overflowing numbers, or when sizes and strides differ in number.
  public static func lastElement(offset: Int, shape: [Int], strides: [Int]) throws(CheckpointError) -> Int {
    guard shape.count == strides.count else {
      throw CheckpointError(.damaged, "\(shape.count) sizes but \(strides.count) strides")
    }
    guard let count = elementCount(of: shape), offset >= 0, strides.allSatisfy({ $0 >= 0 }) else {
      throw CheckpointError(.damaged, "size \(shape), stride \(strides), offset \(offset): negative or too large")
    }
    guard count > 0 else { return offset }
    var last = offset
    for (size, stride) in zip(shape, strides) {
      let (reach, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      let (sum, carried) = last.addingReportingOverflow(reach)
      guard !overflow, !carried, sum < Int.max else {
        throw CheckpointError(.damaged, "size \(shape), stride \(strides), offset \(offset): too large")
      }
      last = sum
    }
    return last
  }

  /// Bytes that all elements take.
  public var byteCount: Int { count * itemSize }

  public func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    try forEachPiece(limit: max(byteCount, itemSize), body)
    if count == 0 { try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
  }

  public func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard count > 0 else { return }
    let perPiece = min(max(limit / itemSize, 1), count)
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: perPiece * itemSize, alignment: 64)
    defer { piece.deallocate() }
    try base.withBytes { (storage) throws(CheckpointError) in
      var first = 0
      while first < count {
        let n = min(perPiece, count - first)
        let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<(n * itemSize)])
        gather(storage, first: first, count: n, into: part)
        try body(UnsafeRawBufferPointer(part))
        first += n
      }
    }
  }

  private func gather(
    _ storage: UnsafeRawBufferPointer, first: Int, count n: Int, into out: UnsafeMutableRawBufferPointer
  ) {
    guard let from = storage.baseAddress, let to = out.baseAddress else { return }
    ck_gather(
      to, from + offset * itemSize, sizes.count, sizes, strides, itemSize, UInt64(first), UInt64(n))
    let word = dtype.wordSize
    let words = out.count / word
    if fixes.swapped { ck_byteswap(to, words, word) }
    if fixes.conjugated, dtype.isComplex { ck_flip_signs(to, words, word, 1, 2) }
    if fixes.negated {
      if dtype.isFloatingPoint || dtype.isComplex {
        ck_flip_signs(to, words, word, 0, 1)
      } else {
        ck_negate_integers(to, words, word)
      }
    }
  }
}
