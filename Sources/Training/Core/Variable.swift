public import Checkpoint
internal import Kernels

/// A dense tensor in memory, to compute with. Not for use by two threads at once.
public class Variable {
  /// What the elements are: numbers that are computed with, or tokens and labels.
  public enum DType: Sendable { case float32, int64 }

  /// Sizes of the dimensions, slowest first; empty for a scalar.
  public final let shape: [Int]
  public final let dtype: DType
  /// How many elements there are.
  public final let count: Int
  /// The elements, row-major.
  final let storage: Storage

  init(shape: [Int], dtype: DType, storage: Storage) {
    self.shape = shape
    self.dtype = dtype
    self.storage = storage
    var product = 1
    for size in shape { product *= size }
    count = product
  }
}

/// A tensor that training changes: `torch.nn.Parameter`.
public final class Parameter: Variable {
  /// The gradient in the parameter's shape, until `zeroGrad()`; nil where there is none.
  var gradient: Storage?

  /// A parameter of zeros.
  ///
  /// - Throws: `usage` for a shape that is none, `inputOutput` when memory is short.
  public init(shape: [Int]) throws(CheckpointError) {
    let count = try checkedCount(shape)
    let storage = try Storage(byteCount: count * 4)
    ck_zero(storage.floats, count)
    super.init(shape: shape, dtype: .float32, storage: storage)
  }
}

/// The product of the sizes.
///
/// - Throws: `usage` when one is negative, or the product too large for memory.
func checkedCount(_ shape: [Int]) throws(CheckpointError) -> Int {
  guard let count = elementCount(of: shape), count <= 1 << 40 else {
    throw CheckpointError(.usage, "a shape of \(shape) is negative or too large")
  }
  return count
}
