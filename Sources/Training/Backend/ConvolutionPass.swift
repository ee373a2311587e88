internal import Checkpoint

/// The three computations of a convolution.
enum ConvolutionKind: Hashable { case forward, backwardData, backwardWeights }

/// One of the three, for one shape: images and results lie as N, H, W, C. Several threads may run it at once.
protocol ConvolutionPass: AnyObject {
  /// How many bytes the filters take in the order that this pass likes.
  var filterBytes: Int { get }
  /// How much memory to work with a run takes.
  var scratchBytes: Int { get }

  /// Filters from PyTorch's order to that of the pass; for `backwardWeights` the other way round.
  func reorder(_ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>) throws(CheckpointError)

  /// One run over `images`, `filters` and `results`, of which the kind says which one is written. Only `forward` looks
  /// at the bias.
  func run(
    images: UnsafeMutablePointer<Float>, filters: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?,
    results: UnsafeMutablePointer<Float>, scratch: UnsafeMutableRawPointer
  ) throws(CheckpointError)
}

/// The passes that one module has needed so far.
final class ConvolutionPasses {
  private struct Key: Hashable {
    let kind: ConvolutionKind
    let shape: ConvolutionShape
  }

  private var made: [Key: any ConvolutionPass] = [:]
  private let usesLibrary: Bool

  /// How many products are worth a thread.
  let worth: Int

  /// - Parameters:
  ///   - usesLibrary: whether a library's convolution is taken where there is one; false for tests.
  ///   - worth: how many products are worth a thread; few for tests.
  init(usesLibrary: Bool = true, worth: Int = 1_000_000) {
    self.usesLibrary = usesLibrary
    self.worth = worth
  }

  func pass(_ kind: ConvolutionKind, _ shape: ConvolutionShape) -> any ConvolutionPass {
    let key = Key(kind: kind, shape: shape)
    if let pass = made[key] { return pass }
    // Shapes that change all the time must not fill the memory.
    if made.count >= 64 { made.removeAll() }
    let pass = make(kind, shape)
    made[key] = pass
    return pass
  }

  private func make(_ kind: ConvolutionKind, _ shape: ConvolutionShape) -> any ConvolutionPass {
    #if OneDNN
      if usesLibrary, let pass = OneDNNConvolution(kind, shape) { return pass }
    #endif
    return MatrixConvolution(kind, shape)
  }
}
