public import Checkpoint

/// The trailing dimensions normalised to mean 0 and variance 1: `torch.nn.LayerNorm`.
public final class LayerNorm: Module {
  public let normalizedShape: [Int]
  public let eps: Double
  /// Ones at first; nil without `elementwiseAffine`.
  public let weight: Parameter?
  /// Zeros at first; nil without `elementwiseAffine` or `bias`.
  public let bias: Parameter?

  public init(
    _ normalizedShape: [Int], eps: Double = 1e-5, elementwiseAffine: Bool = true, bias: Bool = true
  ) throws(CheckpointError) {
    self.normalizedShape = normalizedShape
    self.eps = eps
    weight = elementwiseAffine ? try Parameter(shape: normalizedShape) : nil
    self.bias = elementwiseAffine && bias ? try Parameter(shape: normalizedShape) : nil
    super.init()
    weight?.fill(1)
  }

  /// Over the last dimension.
  public convenience init(
    _ width: Int, eps: Double = 1e-5, elementwiseAffine: Bool = true, bias: Bool = true
  ) throws(CheckpointError) {
    try self.init([width], eps: eps, elementwiseAffine: elementwiseAffine, bias: bias)
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try layerNorm(input, normalizedShape: normalizedShape, weight: weight, bias: bias, eps: eps)
  }
}
