public import Checkpoint

/// Attention of each token to itself and those before it, as GPT-2 has it: one product for queries, keys and values
/// (`c_attn`), the heads, and a product of their results (`c_proj`).
public final class CausalSelfAttention: Module {
  public let width: Int
  public let heads: Int
  public let dropout: Double
  /// `[3 * width, width]`.
  @Named public private(set) var attention: Linear
  /// `[width, width]`.
  @Named public private(set) var projection: Linear

  /// - Parameter dropout: for the attention's weights and for the result.
  /// - Throws: `usage` when the heads do not divide the width.
  public init(
    _ width: Int, heads: Int, bias: Bool = true, dropout: Double = 0, generator: Generator? = nil
  ) throws(CheckpointError) {
    guard width > 0, heads > 0, width % heads == 0 else {
      throw CheckpointError(.usage, "attention: \(heads) heads cannot share a width of \(width)")
    }
    guard dropout >= 0, dropout <= 1 else {
      throw CheckpointError(.usage, "attention: dropout of \(dropout) is no probability")
    }
    self.width = width
    self.heads = heads
    self.dropout = dropout
    _attention = Named("c_attn", try Linear(width, 3 * width, bias: bias, generator: generator))
    _projection = Named("c_proj", try Linear(width, width, bias: bias, generator: generator))
    super.init()
  }

  /// `[batch, sequence, width]` to the same.
  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try forward(input, residual: nil)
  }

  /// The same, plus `residual`.
  func forward(_ input: Variable, residual: Variable?) throws(CheckpointError) -> Variable {
    guard input.shape.count == 3 else {
      throw CheckpointError(
        .usage, "attention: an input of shape \(input.shape), where [batch, sequence, \(width)] is due")
    }
    let mixed = try causalSelfAttention(
      try attention(input), heads: heads, dropoutP: training ? dropout : 0, generator: generator)
    return try project(mixed, projection, residual, dropout: training ? dropout : 0, generator)
  }
}

/// The last product of a block: with dropout, then added to what went by; in one pass where nothing is dropped.
func project(
  _ input: Variable, _ layer: Linear, _ residual: Variable?, dropout p: Double, _ generator: Generator?
) throws(CheckpointError) -> Variable {
  guard p > 0 else { return try linear(input, layer.weight, layer.bias, .none, residual: residual) }
  let result = try dropout(try layer(input), p: p, generator: generator)
  return try residual.map { (residual) throws(CheckpointError) in try residual + result } ?? result
}
