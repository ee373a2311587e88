import Kernels

/// What a tensor's numbers are like: one pass over the bytes in bounded memory.
public struct Statistics: Sendable, Equatable {
  /// The smallest and the largest finite number; nil when there is none.
  public let min, max: Double?
  /// The mean of the finite numbers.
  public let mean: Double?
  /// Their standard deviation, as `torch.std` has it (divided by n - 1); nil for fewer than two numbers.
  public let std: Double?
  /// How many elements are NaN, infinite (of either sign), zero (of either sign).
  public let nan, inf, zeros: Int

  /// The statistics of a tensor; nil for types whose elements are no real numbers (complex, packed, quantised).
  ///
  /// A bool counts as 0 or 1.
  public init?(_ tensor: Tensor) throws(CheckpointError) {
    guard let type = tensor.dtype.number, let size = tensor.dtype.itemSize else { return nil }
    var sum = ck_statistics()
    try tensor.source.forEachPiece(limit: 1 << 20) { (piece) throws(CheckpointError) in
      guard let start = piece.baseAddress else { return }
      ck_describe(start, type, piece.count / size, &sum)
    }
    let some = sum.finite > 0
    min = some ? sum.min : nil
    max = some ? sum.max : nil
    mean = some ? sum.mean : nil
    std = sum.finite > 1 ? (sum.m2 / Double(sum.finite - 1)).squareRoot() : nil
    nan = Int(sum.nan)
    inf = Int(sum.inf)
    zeros = Int(sum.zeros)
  }
}

extension Tensor {
  /// Whether no element is NaN or infinite. Always so for types that have neither.
  public func allFinite() throws(CheckpointError) -> Bool {
    guard let type = (dtype.component ?? dtype).number else { return true }
    let size = ck_number_size(type)
    var finite = true
    try source.forEachPiece(limit: 1 << 20) { (piece) throws(CheckpointError) in
      guard finite, let start = piece.baseAddress else { return }
      finite = ck_all_finite(start, type, piece.count / size) != 0
    }
    return finite
  }
}
