public import Checkpoint
internal import Kernels

/// A dense tensor that a model computes with, and the value that gradients flow through.
///
/// What computes it is recorded while it is computed, so that `backward()` can go the way back. Not for use by two
/// threads at once.
public class Variable {
  /// What the elements are: numbers that are computed with, or tokens and labels.
  public enum DType: Sendable { case float32, int64 }

  /// How the elements lie in memory.
  enum Layout {
    /// Row-major.
    case contiguous
    /// `[N, C, H, W]` with the channels next to one another (N, H, W, C in memory), as convolutions like them.
    case channelsLast
  }

  /// Sizes of the dimensions, slowest first; empty for a scalar.
  public final let shape: [Int]
  public final let dtype: DType
  final let layout: Layout
  /// How many elements there are.
  public final let count: Int
  /// The elements. The functions never write into the storage of a value that a node may still need.
  final var storage: Storage
  /// Whether a gradient is wanted here: for a parameter, or a value computed from one. Set to false, it freezes a
  /// parameter.
  public final var requiresGrad: Bool
  /// The gradient in this value's shape and layout, once `backward()` has come by. It may be shared: whoever writes
  /// into it goes through `addGradient`.
  final var gradient: Storage?
  /// What computed this value; nil for leaves.
  final var node: Node?
  /// The place on the way back, while there is one.
  final var nextPending: Variable?
  final var isPending = false

  init(shape: [Int], dtype: DType, layout: Layout = .contiguous, storage: Storage, requiresGrad: Bool = false) {
    self.shape = shape
    self.dtype = dtype
    self.layout = layout
    self.storage = storage
    self.requiresGrad = requiresGrad
    var product = 1
    for size in shape { product *= size }
    count = product
  }

  deinit {
    if node != nil { Node.release(&node) }
  }

  /// The depth of the node that computed this value; 0 for leaves.
  final var depth: Int { node?.depth ?? 0 }

  final var isScalar: Bool { count == 1 }
}

/// A tensor that training changes: `torch.nn.Parameter`. Gradients stay on it until `zeroGrad()`.
public final class Parameter: Variable {
  /// A parameter of zeros.
  ///
  /// - Throws: `usage` for a shape that is none, `inputOutput` when memory is short.
  public init(shape: [Int]) throws(CheckpointError) {
    let count = try checkedCount(shape)
    let storage = try Storage(byteCount: count * 4)
    ck_zero(storage.floats, count)
    super.init(shape: shape, dtype: .float32, storage: storage, requiresGrad: true)
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
