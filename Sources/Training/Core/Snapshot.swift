public import Checkpoint
internal import Kernels

/// A copy of a tensor's bytes in memory of its own.
final class SnapshotSource: ByteSource {
  let byteCount: Int
  /// The address, kept as a number so that the class is `Sendable`: nothing changes what lies there.
  private let address: UInt

  /// - Throws: `inputOutput` when memory is short.
  init(copying bytes: UnsafeRawPointer, _ byteCount: Int) throws(CheckpointError) {
    guard let block = ck_block_take(byteCount) else {
      throw CheckpointError(.inputOutput, "no memory for a copy of \(byteCount) bytes")
    }
    ck_copy(block, bytes, byteCount)
    address = UInt(bitPattern: block)
    self.byteCount = byteCount
  }

  deinit { ck_block_give(UnsafeMutableRawPointer(bitPattern: address), byteCount) }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    try body(UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: byteCount))
  }
}

/// The element type that a value's tensor has.
private func storedType(of value: Variable) -> DType { value.dtype == .float32 ? .float32 : .int64 }

extension Variable {
  /// A copy of the elements as they are now, for a checkpoint. It may be used by any thread.
  ///
  /// - Throws: `inputOutput` when memory is short.
  public final func snapshot() throws(CheckpointError) -> Tensor {
    let source = try contiguous()
    let copy = try SnapshotSource(copying: source.storage.base, count * (dtype == .float32 ? 4 : 8))
    return try Tensor(dtype: storedType(of: self), shape: shape, source: copy)
  }

  /// Takes over a tensor's elements. Floats of other widths are rounded to float32.
  ///
  /// - Throws: `usage` when shape or kind of number do not fit, and what reading the tensor throws. Nothing is changed
  ///   in the first case.
  public final func copy(from tensor: Tensor) throws(CheckpointError) {
    if let reason = misfit(tensor) { throw CheckpointError(.usage, reason) }
    let wanted = storedType(of: self)
    let source =
      tensor.dtype == wanted
      ? tensor.source : try CastSource(tensor.source, from: tensor.dtype, to: wanted)
    // Into fresh memory: what was computed before may still need the old.
    let fresh = try Storage(byteCount: source.byteCount)
    var at = 0
    try source.forEachPiece(limit: 1 << 20) { (piece) throws(CheckpointError) in
      if let from = piece.baseAddress { (fresh.base + at).copyMemory(from: from, byteCount: piece.count) }
      at += piece.count
    }
    guard layout == .contiguous else {
      throw CheckpointError(.usage, "a value whose channels lie next to one another cannot be set")
    }
    storage = fresh
  }

  /// Why a tensor cannot become this value; nil when it can.
  final func misfit(_ tensor: Tensor) -> String? {
    guard tensor.shape == shape else { return "shape \(shape) is wanted, found \(tensor.shape)" }
    let fits = dtype == .float32 ? tensor.dtype.isFloatingPoint : tensor.dtype == .int64
    return fits ? nil : "\(dtype == .float32 ? "a float type" : "int64") is wanted, found \(tensor.dtype.rawValue)"
  }
}
