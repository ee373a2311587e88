import Checkpoint

/// Views of kernels as the other framework has them. They are lazy: elements are gathered when they are asked for.
extension Tensor {
  /// The tensor with its dimensions in another order: dimension `i` of the result is `axes[i]` of this one.
  ///
  /// - Parameter shape: what the result is called, where it has as many elements in another shape.
  func permuted(_ axes: [Int], shape: [Int]? = nil) throws(CheckpointError) -> Tensor {
    guard axes.sorted() == Array(self.shape.indices) else {
      throw CheckpointError(.damaged, "a kernel of shape \(self.shape); expected \(axes.count) dimensions")
    }
    let own = contiguousStrides
    let view = try StridedSource(
      source, dtype: dtype, offset: 0, shape: axes.map { self.shape[$0] }, strides: axes.map { own[$0] })
    return try Tensor(dtype: dtype, shape: shape ?? axes.map { self.shape[$0] }, source: view)
  }

  /// The same bytes under another shape, as a storage of its own.
  func copied(shape: [Int]? = nil) throws(CheckpointError) -> Tensor {
    try Tensor(dtype: dtype, shape: shape ?? self.shape, source: try SliceSource(source, range: 0..<byteCount))
  }

  /// Blocks of the first dimension in another order: block `i` of the result is `order[i]` of this one.
  func reordered(_ order: [Int]) throws(CheckpointError) -> Tensor {
    if order == Array(order.indices) { return self }
    guard let rows = shape.first, rows % order.count == 0 else {
      throw CheckpointError(.damaged, "a kernel of shape \(shape) does not hold \(order.count) gates")
    }
    let size = byteCount / order.count
    var parts: [any ByteSource] = []
    for block in order { parts.append(try SliceSource(source, range: (block * size)..<((block + 1) * size))) }
    return try Tensor(dtype: dtype, shape: shape, source: JoinedSource(parts))
  }

  /// One row of a matrix.
  func row(_ index: Int) throws(CheckpointError) -> Tensor {
    guard shape.count == 2, index < shape[0] else {
      throw CheckpointError(.damaged, "a bias of shape \(shape); expected rows")
    }
    let size = byteCount / shape[0]
    let source = try SliceSource(source, range: (index * size)..<((index + 1) * size))
    return try Tensor(dtype: dtype, shape: [shape[1]], source: source)
  }

  /// As many zeros.
  func zeros() throws(CheckpointError) -> Tensor {
    // A bias, which is small.
    try Tensor(dtype: dtype, shape: shape, source: BufferSource([UInt8](repeating: 0, count: byteCount)))
  }

  private var contiguousStrides: [Int] {
    var strides = Array(repeating: 1, count: shape.count)
    for index in shape.indices.reversed().dropFirst() { strides[index] = strides[index + 1] * max(shape[index + 1], 1) }
    return strides
  }
}
