public import Checkpoint

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
  public let shape: [Int]
  public let dtype: DType
  let layout: Layout
  /// The elements. The functions never write into the storage of a value that a node may still need.
  var storage: Storage
  /// Whether a gradient is wanted here: for a parameter, or a value computed from one.
  public internal(set) var requiresGrad: Bool
  /// The gradient in this value's shape and layout, once `backward()` has come by. It may be shared: whoever writes
  /// into it goes through `addGradient`.
  var gradient: Storage?
  /// What computed this value; nil for leaves.
  var node: Node?

  init(shape: [Int], dtype: DType, layout: Layout = .contiguous, storage: Storage, requiresGrad: Bool = false) {
    self.shape = shape
    self.dtype = dtype
    self.layout = layout
    self.storage = storage
    self.requiresGrad = requiresGrad
  }

  /// How many elements there are.
  public final var count: Int {
    var product = 1
    for size in shape { product *= size }
    return product
  }
}

/// A tensor that training changes: `torch.nn.Parameter`. Gradients stay on it until `zeroGrad()`.
public final class Parameter: Variable {
  /// - Throws: `inputOutput` when memory is short.
  public init(shape: [Int]) throws(CheckpointError) {
    super.init(
      shape: shape, dtype: .float32, storage: try Storage(byteCount: shape.reduce(4, *)), requiresGrad: true)
  }
}
