import Training

/// A layer of `sequential`.
struct LayerConfig: Sendable {
  indirect enum Kind: Sendable {
    case linear(inputs: Int, outputs: Int, bias: Bool)
    case conv2d(Convolution)
    case embedding(count: Int, width: Int)
    case layerNorm(shape: [Int], eps: Double, affine: Bool, bias: Bool)
    case batchNorm(BatchNorm)
    case relu
    case gelu(isTanh: Bool)
    case tanh
    case sigmoid
    case softmax(dim: Int)
    case dropout(p: Double)
    case maxPool2d(Pool)
    case avgPool2d(Pool, countsPadding: Bool)
    case flatten(start: Int, end: Int)
    case residual([LayerConfig])
  }

  struct Convolution: Sendable, Equatable {
    var inputs: Int
    var outputs: Int
    var kernel: Pair
    var stride = Pair(1, 1)
    var padding = Pair(0, 0)
    var dilation = Pair(1, 1)
    var groups = 1
    var bias = true
  }

  struct Pool: Sendable, Equatable {
    var kernel: Pair
    var stride: Pair
    var padding = Pair(0, 0)
  }

  struct BatchNorm: Sendable, Equatable {
    /// 1 or 2: `batch_norm1d`, `batch_norm2d`.
    var dimensions: Int
    var features: Int
    var eps = 1e-5
    var momentum = 0.1
    var affine = true
    var tracks = true
  }

  var kind: Kind
  /// The word in the config.
  var name: String
  var place: ConfigPlace
  var path: String
}
