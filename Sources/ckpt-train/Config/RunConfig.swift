import Checkpoint

/// What a run's config says, checked. The words are those of the file.
struct RunConfig: Sendable {
  var seed = 0
  var threads: Int?
  var model: ModelConfig
  /// A checkpoint whose weights the run starts from.
  var initial: Located<String>?
  var data: DataConfig
  var loss: LossConfig
  var optimizer: OptimizerConfig
  var schedule: ScheduleConfig
  var length: Length
  var clipGradNorm: Double?
  var clipGradValue: Double?
  var accumulate = 1
  var ema: Double?
  var evaluateEvery: Int?
  var logEvery = 10
  var out: String?
  var checkpoint: CheckpointConfig
  /// Patterns of parameters that stay as they are.
  var freeze: [Located<String>] = []

  enum Length: Sendable, Equatable {
    case steps(Int)
    case epochs(Double)
  }
}

enum ModelConfig: Sendable {
  case sequential([LayerConfig])
  case gpt(GPTConfig)
}

struct GPTConfig: Sendable {
  var layers: Int
  var heads: Int
  var width: Int
  var context: Int
  var vocab: Int
  var bias = true
  var dropout = 0.0
  var isTanhGelu = false
  var tiesEmbeddings = true
  var place: ConfigPlace
  var path: String
}

struct DataConfig: Sendable {
  var train: DataSource
  var validation: DataSource?
  var batch = 1
  var shuffle = false
  /// How many tokens a window has, where the model does not say.
  var context: Located<Int>?
}

/// One set of samples.
struct DataSource: Sendable {
  enum Kind: Sendable {
    /// Arrays of an `.npz`, `.h5` or `.safetensors`, by name.
    case arrays(file: String, inputs: Located<String>, targets: Located<String>)
    /// An `.npy` each.
    case files(inputs: String, targets: String)
    case table(file: String, inputs: [Located<String>], targets: [Located<String>])
    case text(file: String, isBytes: Bool)
    case tokens(file: String)
  }

  var kind: Kind
  var place: ConfigPlace
  var path: String

  /// Whether samples are windows of tokens.
  var isTokens: Bool {
    switch kind {
    case .text, .tokens: true
    case .arrays, .files, .table: false
    }
  }
}

struct LossConfig: Sendable {
  enum Kind: Sendable, Equatable {
    case mse, l1, bceWithLogits
    case huber(delta: Double)
    case crossEntropy(ignoreIndex: Int)
  }

  var kind: Kind
  /// The word in the config.
  var name: String
  var place: ConfigPlace
  var path: String
}

struct OptimizerConfig: Sendable {
  enum Kind: Sendable, Equatable {
    case adam(betas: Betas, eps: Double, amsgrad: Bool)
    case adamw(betas: Betas, eps: Double, amsgrad: Bool)
    case sgd(momentum: Double, dampening: Double, nesterov: Bool)
    case rmsprop(alpha: Double, eps: Double, momentum: Double, centered: Bool)
    case adagrad(lrDecay: Double, initialAccumulatorValue: Double, eps: Double)
  }

  struct Betas: Sendable, Equatable {
    var first = 0.9
    var second = 0.999
  }

  var kind: Kind
  /// The word in the config.
  var name: String
  var lr: Double
  var weightDecay: Double
  var maximize = false
  /// Patterns of parameters whose weights do not decay.
  var noDecay: [Located<String>] = []
  var place: ConfigPlace
  var path: String
}

/// A schedule's name and its arguments, complete but for `total`, which a run's target fills in.
struct ScheduleConfig: Sendable {
  var name: String
  var arguments: [(key: String, value: Value)] = []
  var place: ConfigPlace
  var path: String

  subscript(key: String) -> Value? { arguments.first { $0.key == key }?.value }
}

struct CheckpointConfig: Sendable, Equatable {
  var every: Int?
  var minutes: Double?
  var keep: Int?
  var keepEvery: Int?
  /// Whether `best.h5` is kept: the smallest validation loss.
  var keepsBest = false
  var isAsync = true
}
