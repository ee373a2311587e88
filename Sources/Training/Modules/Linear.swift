public import Checkpoint

/// input weight^T + bias over the last dimension: `torch.nn.Linear`.
public final class Linear: Module {
  public let inFeatures: Int
  public let outFeatures: Int
  /// `[outFeatures, inFeatures]`.
  public let weight: Parameter
  /// `[outFeatures]`; nil without bias.
  public let bias: Parameter?

  /// Weight and bias are from U(-b, b), b = 1 / sqrt(inFeatures), as PyTorch's default (Kaiming's with a = sqrt 5).
  ///
  /// - Throws: `usage` for sizes that are negative.
  public init(
    _ inFeatures: Int, _ outFeatures: Int, bias: Bool = true, generator: Generator? = nil
  ) throws(CheckpointError) {
    self.inFeatures = inFeatures
    self.outFeatures = outFeatures
    weight = try Parameter(shape: [outFeatures, inFeatures])
    self.bias = bias ? try Parameter(shape: [outFeatures]) : nil
    super.init()
    let bound = inFeatures > 0 ? 1 / Double(inFeatures).squareRoot() : 0
    weight.fillUniform(-bound, bound, generator)
    self.bias?.fillUniform(-bound, bound, generator)
  }

  /// A layer without bias over a weight that lies elsewhere too: tied.
  init(weight: Parameter) {
    self.weight = weight
    bias = nil
    outFeatures = weight.shape.first ?? 0
    inFeatures = weight.shape.last ?? 0
    super.init()
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try linear(input, weight, bias, .none)
  }
}
