import Training

/// A model with a batch to train it on; `train_peers.py` has the same.
struct Subject {
  let model: Module
  let loss: any Loss
  let inputs, targets: Variable
  let warmup: Int

  /// - Parameter batch: how many samples the GPT gets.
  init(_ name: String, batch: Int = 12) throws {
    let generator = Generator(seed: 1)
    switch name {
    case "linear":
      model = try Linear(10, 1, generator: generator)
      loss = MSELoss()
      (inputs, targets) = (try noise([64, 10]), try noise([64, 1]))
      warmup = 200
    case "mlp":
      model = Sequential(
        try Linear(784, 512, generator: generator), ReLU(), try Linear(512, 512, generator: generator), ReLU(),
        try Linear(512, 10, generator: generator))
      loss = CrossEntropyLoss()
      (inputs, targets) = (try noise([128, 784]), try labels([128], below: 10))
      warmup = 10
    case "cnn":
      model = Sequential(
        try Conv2d(1, 32, kernelSize: 3, generator: generator), ReLU(),
        try Conv2d(32, 64, kernelSize: 3, generator: generator), ReLU(), MaxPool2d(2), Flatten(),
        try Linear(64 * 12 * 12, 128, generator: generator), ReLU(), try Linear(128, 10, generator: generator))
      loss = CrossEntropyLoss()
      (inputs, targets) = (try noise([64, 1, 28, 28]), try labels([64], below: 10))
      warmup = 3
    case "gpt":
      model = try GPT(layers: 6, heads: 6, width: 384, context: 256, vocab: 65, generator: generator)
      loss = CrossEntropyLoss()
      (inputs, targets) = (try labels([batch, 256], below: 65), try labels([batch, 256], below: 65))
      warmup = 2
    default: throw BadUse(message: "there is no model '\(name)'")
    }
  }
}

/// Numbers that look like noise and are the same each time.
func noise(_ shape: [Int]) throws -> Variable {
  let bits = Generator(seed: 2).bits(shape.reduce(1, *))
  return try Variable(bits.map { Float($0 >> 8) / Float(1 << 23) - 1 }, shape: shape)
}

func labels(_ shape: [Int], below limit: UInt32) throws -> Variable {
  let bits = Generator(seed: 3).bits(shape.reduce(1, *))
  return try Variable(bits.map { Int64($0 % limit) }, shape: shape)
}
