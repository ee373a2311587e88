public import Checkpoint
internal import Kernels

extension Variable {
  /// The same elements in row-major order under another shape: `torch.reshape`. One size may be -1: what is left.
  ///
  /// - Throws: `usage` when the shape takes another number of elements.
  public final func reshape(_ shape: [Int]) throws(CheckpointError) -> Variable {
    let wanted = try inferred(shape)
    let source = try contiguous()
    let result = Variable(shape: wanted, dtype: dtype, storage: source.storage)
    if records(source) { result.computed(by: ReshapeNode(source)) }
    return result
  }

  /// As `reshape`: `tensor.view`.
  public final func view(_ shape: Int...) throws(CheckpointError) -> Variable { try reshape(shape) }

  private func inferred(_ shape: [Int]) throws(CheckpointError) -> [Int] {
    let misfit = CheckpointError(.usage, "a value of shape \(self.shape) cannot be reshaped to \(shape)")
    let known = shape.filter { $0 != -1 }
    guard shape.count - known.count <= 1, let product = elementCount(of: known) else { throw misfit }
    if known.count == shape.count {
      guard product == count else { throw misfit }
      return shape
    }
    guard product > 0, count % product == 0 else { throw misfit }
    return shape.map { $0 == -1 ? count / product : $0 }
  }

  /// Two dimensions swapped: `torch.transpose`. Negative ones count from the end.
  ///
  /// - Throws: `usage` when there is no such dimension.
  public final func transpose(_ dim0: Int, _ dim1: Int) throws(CheckpointError) -> Variable {
    let rank = shape.count
    let (a, b) = (dim0 < 0 ? dim0 + rank : dim0, dim1 < 0 ? dim1 + rank : dim1)
    guard shape.indices.contains(a), shape.indices.contains(b) else {
      throw CheckpointError(.usage, "transpose(\(dim0), \(dim1)) of a value of shape \(shape)")
    }
    guard a != b else { return self }
    let source = try contiguous()
    let result = Variable(shape: swapped(shape, a, b), dtype: dtype, storage: try source.swappedStorage(shape, a, b))
    if records(source) { result.computed(by: TransposeNode(source, a, b)) }
    return result
  }

  /// This value's memory, taken for row-major of `shape`, with two dimensions swapped.
  private func swappedStorage(_ shape: [Int], _ a: Int, _ b: Int) throws(CheckpointError) -> Storage {
    try storage.swapping(shape, a, b, item: dtype == .int64 ? 8 : 4)
  }
}

private func swapped(_ shape: [Int], _ a: Int, _ b: Int) -> [Int] {
  var result = shape
  result.swapAt(a, b)
  return result
}

extension Storage {
  fileprivate func swapping(_ shape: [Int], _ a: Int, _ b: Int, item: Int) throws(CheckpointError) -> Storage {
    var strides = [Int64](repeating: 1, count: shape.count)
    var count = 1
    for axis in shape.indices.reversed() {
      strides[axis] = Int64(count)
      count *= shape[axis]
    }
    strides.swapAt(a, b)
    let out = try Storage(byteCount: count * item)
    if count > 0 {
      ck_gather(
        out.base, base, shape.count, swapped(shape, a, b).map { Int64($0) }, strides, item, 0, UInt64(count))
    }
    return out
  }
}

private final class ReshapeNode: Node {
  init(_ input: Variable) { super.init(input) }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) { try first.addGradient(gradient) }
}

private final class TransposeNode: Node {
  private let a, b: Int

  init(_ input: Variable, _ a: Int, _ b: Int) {
    self.a = a
    self.b = b
    super.init(input)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    try first.addGradient(try gradient.swapping(swapped(first.shape, a, b), a, b, item: 4))
  }
}
