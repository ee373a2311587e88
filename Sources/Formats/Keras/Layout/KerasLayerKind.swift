/// Kinds of layers that both frameworks have.
enum KerasLayerKind: Equatable {
  case dense
  /// Of any number of dimensions, groups included.
  case convolution, transposedConvolution, depthwise, separable
  case embedding, batchNorm, layerNorm
  case lstm, gru, simpleRNN

  /// From a class in small letters, as groups are called: `conv2d`, `batch_normalization`.
  init?(_ stem: String) {
    switch stem {
    case "dense": self = .dense
    case "conv1d", "conv2d", "conv3d", "convolution1d", "convolution2d", "convolution3d": self = .convolution
    case "conv1d_transpose", "conv2d_transpose", "conv3d_transpose": self = .transposedConvolution
    case "depthwise_conv1d", "depthwise_conv2d": self = .depthwise
    case "separable_conv1d", "separable_conv2d": self = .separable
    case "embedding": self = .embedding
    case "batch_normalization": self = .batchNorm
    case "layer_normalization", "group_normalization": self = .layerNorm
    case "lstm", "lstm_cell": self = .lstm
    case "gru", "gru_cell": self = .gru
    case "simple_rnn", "simple_rnn_cell": self = .simpleRNN
    default: return nil
    }
  }

  var isRecurrent: Bool { self == .lstm || self == .gru || self == .simpleRNN }

  /// Keras' order of a unit's gates, by PyTorch's: `r, z, n` of GRU are blocks 1, 0, 2 of `z, r, h`. LSTM's orders are
  /// the same: `i, f, c, o` is `i, f, g, o`. The order is its own inverse.
  var gates: [Int] {
    switch self {
    case .lstm: [0, 1, 2, 3]
    case .gru: [1, 0, 2]
    default: [0]
    }
  }
}

/// What a variable is in its layer.
enum KerasRole: String {
  case kernel, bias, gamma, beta, embeddings
  case movingMean = "moving_mean"
  case movingVariance = "moving_variance"
  case recurrentKernel = "recurrent_kernel"
  case depthwiseKernel = "depthwise_kernel"
  case pointwiseKernel = "pointwise_kernel"

  /// Keras 3 numbers a layer's variables. Nil where this number of them is none that is known.
  static func ofNumbers(
    _ kind: KerasLayerKind, count: Int, hasScale: Bool?, hasCenter: Bool?
  ) -> [KerasRole]? {
    let all: [KerasRole]
    switch kind {
    case .dense, .convolution, .transposedConvolution, .depthwise: all = [.kernel, .bias]
    case .separable: all = [.depthwiseKernel, .pointwiseKernel, .bias]
    case .embedding: all = [.embeddings]
    case .lstm, .gru, .simpleRNN: all = [.kernel, .recurrentKernel, .bias]
    case .batchNorm, .layerNorm:
      let statistics: [KerasRole] = kind == .batchNorm ? [.movingMean, .movingVariance] : []
      let own = count - statistics.count
      if own == 2 { return [.gamma, .beta] + statistics }
      if own == 0 { return statistics }
      // One of the two, which only the description tells.
      guard own == 1, hasScale != nil || hasCenter != nil else { return nil }
      return (hasScale == false ? [.beta] : [.gamma]) + statistics
    }
    // A bias is all that may be missing.
    guard count == all.count || (count == all.count - 1 && all.last == .bias) else { return nil }
    return Array(all.prefix(count))
  }
}
