import Kernels
import Synchronization

/// A source whose bytes cost more than a look at memory: they are computed, so a whole tensor of them is to be avoided.
public protocol ComputedSource: ByteSource {}

extension StridedSource: ComputedSource {}

/// Another source's numbers in another type. Nothing is converted before the bytes are asked for.
///
/// Floats round to nearest, ties to even, in one step (also from float64). A number too large for a narrower float
/// becomes infinite, or the largest number of `float8_e4m3fn`, and is counted. Where an integer type is on
/// either side, a number that the target cannot hold exactly is an error.
public final class CastSource: ComputedSource {
  public let base: any ByteSource
  /// The element types before and after.
  public let from, to: DType
  private let types: (from: ck_number, to: ck_number)
  private let sizes: (from: Int, to: Int)
  private let lost = Mutex(0)

  /// - Throws: `usage` when there is no cast between the types.
  public init(_ base: any ByteSource, from: DType, to: DType) throws(CheckpointError) {
    let pair = (from: from.component ?? from, to: to.component ?? to)
    guard from.isComplex == to.isComplex, let a = pair.from.number, let b = pair.to.number,
      Self.targets.contains(pair.to)
    else { throw CheckpointError(.usage, "\(from.rawValue) cannot be cast to \(to.rawValue)") }
    self.base = base
    self.from = from
    self.to = to
    types = (a, b)
    sizes = (ck_number_size(a), ck_number_size(b))
  }

  public var byteCount: Int { base.byteCount / sizes.from * sizes.to }

  /// How many numbers were too large for the new type in the last complete pass over the bytes.
  public var overflowed: Int { lost.withLock { $0 } }

  public func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
    defer { memory.deallocate() }
    var at = 0
    try forEachPiece(limit: 1 << 20) { (piece) throws(CheckpointError) in
      memory[at...].copyBytes(from: piece)
      at += piece.count
    }
    try body(UnsafeRawBufferPointer(memory))
  }

  public func forEachPiece(
    limit: Int, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    let perPiece = Swift.max(Swift.min(limit, byteCount) / sizes.to, 1)
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: perPiece * sizes.to, alignment: 64)
    defer { piece.deallocate() }
    var total = 0
    try base.forEachPiece(limit: perPiece * sizes.from) { (bytes) throws(CheckpointError) in
      var first = 0
      // The base may give larger pieces than were asked for.
      while first < bytes.count {
        let n = Swift.min(perPiece, (bytes.count - first) / sizes.from)
        let part = UnsafeRawBufferPointer(rebasing: bytes[first..<(first + n * sizes.from)])
        total += try convert(part, n, into: piece)
        try body(UnsafeRawBufferPointer(rebasing: piece[..<(n * sizes.to)]))
        first += n * sizes.from
      }
    }
    lost.withLock { $0 = total }
  }

  private func convert(
    _ part: UnsafeRawBufferPointer, _ count: Int, into piece: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) -> Int {
    guard let input = part.baseAddress, let output = piece.baseAddress else { return 0 }
    let lost = Int(ck_cast(input, types.from, output, types.to, count))
    let exact = !(from.isFloatingPoint || from.isComplex) || !(to.isFloatingPoint || to.isComplex)
    guard lost == 0 || !exact else {
      throw CheckpointError(.usage, "\(lost) or more numbers do not fit \(to.rawValue) exactly (from \(from.rawValue))")
    }
    return lost
  }

  /// Types that can be written; the rest can only be read.
  private static let targets: Set<DType> = [
    .float64, .float32, .float16, .bfloat16, .float8_e4m3fn, .float8_e5m2, .int64, .int32, .int16, .int8, .uint64,
    .uint32, .uint16, .uint8,
  ]
}
