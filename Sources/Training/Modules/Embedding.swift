public import Checkpoint

/// Rows of a table by their numbers: `torch.nn.Embedding`.
public final class Embedding: Module {
  public let numEmbeddings: Int
  public let embeddingDim: Int
  /// `[numEmbeddings, embeddingDim]`.
  public let weight: Parameter

  /// The weight is from N(0, 1), as PyTorch's default.
  public init(_ numEmbeddings: Int, _ embeddingDim: Int, generator: Generator? = nil) throws(CheckpointError) {
    self.numEmbeddings = numEmbeddings
    self.embeddingDim = embeddingDim
    weight = try Parameter(shape: [numEmbeddings, embeddingDim])
    super.init()
    weight.fillNormal(0, 1, generator)
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable { try embedding(input, weight) }
}
