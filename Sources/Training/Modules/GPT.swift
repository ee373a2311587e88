public import Checkpoint

/// A small GPT-2: tokens `[batch, sequence]` to logits `[batch, sequence, vocab]`. Names are nanoGPT's and
/// `transformers`': `transformer.wte.weight`, `transformer.h.0.attn.c_attn.weight`, …, `lm_head.weight`.
public final class GPT: Module {
  public let context: Int
  public let vocab: Int
  public let transformer: GPTTransformer
  @Named public private(set) var head: Linear

  /// Weights are from N(0, 0.02), those before a residual addition from N(0, 0.02 / sqrt(2 layers)), biases zero.
  ///
  /// - Parameters:
  ///   - gelu: which form the blocks use.
  ///   - tieEmbeddings: whether `lm_head.weight` is `transformer.wte.weight`.
  /// - Throws: `usage` for sizes that make no sense together.
  public init(
    layers: Int, heads: Int, width: Int, context: Int, vocab: Int, bias: Bool = true, dropout: Double = 0,
    gelu: GELUApproximation = .none, tieEmbeddings: Bool = true, generator: Generator? = nil
  ) throws(CheckpointError) {
    guard layers >= 0, context > 0, vocab > 0 else {
      throw CheckpointError(.usage, "GPT: \(layers) layers, a context of \(context), a vocabulary of \(vocab)")
    }
    self.context = context
    self.vocab = vocab
    transformer = try GPTTransformer(
      layers: layers, heads: heads, width: width, context: context, vocab: vocab, bias: bias, dropout: dropout,
      gelu: gelu, generator: generator)
    let head =
      tieEmbeddings
      ? Linear(weight: transformer.tokens.weight) : try Linear(width, vocab, bias: false, generator: generator)
    _head = Named("lm_head", head)
    super.init()
    initialize(layers: layers, generator)
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    guard input.shape.count == 2 else {
      throw CheckpointError(.usage, "GPT: tokens of shape \(input.shape), where [batch, sequence] is due")
    }
    return try head(try transformer(input))
  }

  private func initialize(layers: Int, _ generator: Generator?) {
    let deviation = 0.02 / (2 * Double(max(layers, 1))).squareRoot()
    for entry in namedParameters() {
      let parameter = entry.parameter
      guard parameter.shape.count == 2 else {
        if entry.name.hasSuffix(".bias") { parameter.fill(0) }
        continue
      }
      parameter.fillNormal(0, entry.name.hasSuffix("c_proj.weight") ? deviation : 0.02, generator)
    }
  }
}

/// The part of a GPT before its head.
public final class GPTTransformer: Module {
  @Named public private(set) var tokens: Embedding
  @Named public private(set) var positions: Embedding
  private let dropout: Double
  @Named public private(set) var blocks: [GPTBlock]
  @Named public private(set) var norm: LayerNorm

  init(
    layers: Int, heads: Int, width: Int, context: Int, vocab: Int, bias: Bool, dropout: Double,
    gelu: GELUApproximation, generator: Generator?
  ) throws(CheckpointError) {
    _tokens = Named("wte", try Embedding(vocab, width, generator: generator))
    _positions = Named("wpe", try Embedding(context, width, generator: generator))
    self.dropout = dropout
    var blocks: [GPTBlock] = []
    for _ in 0..<layers {
      blocks.append(
        try GPTBlock(width, heads: heads, bias: bias, dropout: dropout, gelu: gelu, generator: generator))
    }
    _blocks = Named("h", blocks)
    _norm = Named("ln_f", try LayerNorm(width, bias: bias))
    super.init()
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    var value = try embedding(input, tokens.weight, positions: positions.weight)
    value = try Training.dropout(value, p: dropout, training: training, generator: generator)
    for block in blocks { value = try block(value) }
    return try norm(value)
  }
}

/// One block: attention and a two-layer network, each after a norm and added to what goes by.
public final class GPTBlock: Module {
  @Named public private(set) var norm1: LayerNorm
  @Named public private(set) var attention: CausalSelfAttention
  @Named public private(set) var norm2: LayerNorm
  public let mlp: GPTMLP

  init(
    _ width: Int, heads: Int, bias: Bool, dropout: Double, gelu: GELUApproximation, generator: Generator?
  ) throws(CheckpointError) {
    _norm1 = Named("ln_1", try LayerNorm(width, bias: bias))
    _attention = Named(
      "attn",
      try CausalSelfAttention(
        width, heads: heads, bias: bias, dropout: dropout, generator: generator))
    _norm2 = Named("ln_2", try LayerNorm(width, bias: bias))
    mlp = try GPTMLP(width, bias: bias, dropout: dropout, gelu: gelu, generator: generator)
    super.init()
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    let value = try attention.forward(try norm1(input), residual: input)
    return try mlp.forward(try norm2(value), residual: value)
  }
}

/// The two-layer network of a block: four times as wide inside.
public final class GPTMLP: Module {
  @Named public private(set) var inner: Linear
  @Named public private(set) var projection: Linear
  private let dropout: Double
  private let activation: Activation

  init(
    _ width: Int, bias: Bool, dropout: Double, gelu: GELUApproximation, generator: Generator?
  ) throws(CheckpointError) {
    _inner = Named("c_fc", try Linear(width, 4 * width, bias: bias, generator: generator))
    _projection = Named("c_proj", try Linear(4 * width, width, bias: bias, generator: generator))
    self.dropout = dropout
    activation = gelu == .none ? .gelu : .geluTanh
    super.init()
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try forward(input, residual: nil)
  }

  func forward(_ input: Variable, residual: Variable?) throws(CheckpointError) -> Variable {
    let value = try linear(input, inner.weight, inner.bias, activation)
    return try project(value, projection, residual, dropout: training ? dropout : 0, generator)
  }
}
