import Checkpoint
import Training

/// Makes the module that a config describes, with PyTorch's first weights.
struct ModelBuilder {
  /// What the first weights, and dropout later, take their numbers from.
  let generator: Generator

  func model(_ config: ModelConfig) throws(CheckpointError) -> Module {
    let model: Module
    switch config {
    case .sequential(let layers): model = Sequential(try modules(layers))
    case .gpt(let gpt):
      model = try GPT(
        layers: gpt.layers, heads: gpt.heads, width: gpt.width, context: gpt.context, vocab: gpt.vocab, bias: gpt.bias,
        dropout: gpt.dropout, gelu: gpt.isTanhGelu ? .tanh : .none, tieEmbeddings: gpt.tiesEmbeddings,
        generator: generator)
    }
    return model
  }

  private func modules(_ layers: [LayerConfig]) throws(CheckpointError) -> [Module] {
    var modules: [Module] = []
    for layer in layers { modules.append(try module(layer.kind)) }
    return modules
  }

  private func module(_ kind: LayerConfig.Kind) throws(CheckpointError) -> Module {
    switch kind {
    case .linear(let inputs, let outputs, let bias):
      try Linear(inputs, outputs, bias: bias, generator: generator)
    case .conv2d(let layer):
      try Conv2d(
        layer.inputs, layer.outputs, kernelSize: layer.kernel, stride: layer.stride, padding: layer.padding,
        dilation: layer.dilation, groups: layer.groups, bias: layer.bias, generator: generator)
    case .embedding(let count, let width): try Embedding(count, width, generator: generator)
    case .layerNorm(let shape, let eps, let affine, let bias):
      try LayerNorm(shape, eps: eps, elementwiseAffine: affine, bias: bias)
    case .batchNorm(let norm): try batchNorm(norm)
    case .relu: ReLU()
    case .gelu(let isTanh): GELU(approximate: isTanh ? .tanh : .none)
    case .tanh: Tanh()
    case .sigmoid: Sigmoid()
    case .softmax(let dim): Softmax(dim: dim)
    case .dropout(let p): try Dropout(p, generator: generator)
    case .maxPool2d(let pool): MaxPool2d(pool.kernel, stride: pool.stride, padding: pool.padding)
    case .avgPool2d(let pool, let countsPadding):
      AvgPool2d(pool.kernel, stride: pool.stride, padding: pool.padding, countIncludePad: countsPadding)
    case .flatten(let start, let end): Flatten(startDim: start, endDim: end)
    case .residual(let layers): Residual(try modules(layers))
    }
  }

  private func batchNorm(_ norm: LayerConfig.BatchNorm) throws(CheckpointError) -> Module {
    if norm.dimensions == 1 {
      return try BatchNorm1d(
        norm.features, eps: norm.eps, momentum: norm.momentum, affine: norm.affine, trackRunningStats: norm.tracks)
    }
    return try BatchNorm2d(
      norm.features, eps: norm.eps, momentum: norm.momentum, affine: norm.affine, trackRunningStats: norm.tracks)
  }
}

extension LossConfig {
  /// The loss as a trainer takes it.
  var loss: any Loss {
    switch kind {
    case .mse: MSELoss()
    case .l1: L1Loss()
    case .huber(let delta): HuberLoss(delta: delta)
    case .crossEntropy(let ignoreIndex): CrossEntropyLoss(ignoreIndex: ignoreIndex)
    case .bceWithLogits: BCEWithLogitsLoss()
    }
  }
}
