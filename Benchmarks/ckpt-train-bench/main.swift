// Whole optimizer steps of four models, as lines of JSON: `swift run -c release ckpt-train-bench --model mlp`.
import Training

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A model with a batch to train it on.
struct Subject {
  let model: Module
  let loss: any Loss
  let inputs, targets: Variable
  let steps: Int
}

func subject(_ name: String) throws -> Subject {
  let generator = Generator(seed: 1)
  switch name {
  case "linear":
    return Subject(
      model: try Linear(10, 1, generator: generator), loss: MSELoss(), inputs: try noise([64, 10]),
      targets: try noise([64, 1]), steps: 2000)
  case "mlp":
    let model = Sequential(
      try Linear(784, 512, generator: generator), ReLU(), try Linear(512, 512, generator: generator), ReLU(),
      try Linear(512, 10, generator: generator))
    return Subject(
      model: model, loss: CrossEntropyLoss(), inputs: try noise([128, 784]), targets: try labels([128], below: 10),
      steps: 20)
  case "cnn":
    let model = Sequential(
      try Conv2d(1, 32, kernelSize: 3, generator: generator), ReLU(),
      try Conv2d(32, 64, kernelSize: 3, generator: generator), ReLU(), MaxPool2d(2), Flatten(),
      try Linear(64 * 12 * 12, 128, generator: generator), ReLU(), try Linear(128, 10, generator: generator))
    return Subject(
      model: model, loss: CrossEntropyLoss(), inputs: try noise([64, 1, 28, 28]),
      targets: try labels([64], below: 10), steps: 5)
  case "gpt":
    let model = try GPT(layers: 6, heads: 6, width: 384, context: 256, vocab: 65, generator: generator)
    return Subject(
      model: model, loss: CrossEntropyLoss(), inputs: try labels([12, 256], below: 65),
      targets: try labels([12, 256], below: 65), steps: 1)
  default: throw BadUse(message: "--model is linear, mlp, cnn or gpt, not '\(name)'")
  }
}

struct BadUse: Error {
  let message: String
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

func milliseconds(_ body: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock()
  let time = try clock.measure(body)
  return Double(time.components.seconds) * 1e3 + Double(time.components.attoseconds) * 1e-15
}

/// The most memory that this process has had, in MiB.
func peakMemory() -> Double {
  var usage = rusage()
  // RUSAGE_SELF, which C libraries import under different types.
  getrusage(0, &usage)
  #if canImport(Darwin)
    return Double(usage.ru_maxrss) / 1_048_576
  #else
    return Double(usage.ru_maxrss) / 1024
  #endif
}

func run(_ name: String, threads: Int?, steps: Int?, repeats: Int) throws {
  if let threads { Threads.count = threads }
  let subject = try subject(name)
  let optimizer = try AdamW(parameters: subject.model.namedParameters(), lr: 1e-3)
  var loss: Float = 0
  func step() throws {
    optimizer.zeroGrad()
    let value = try subject.loss(try subject.model(subject.inputs), subject.targets)
    loss = try value.item()
    try value.backward()
    try optimizer.step()
  }
  try step()
  try step()
  let steps = steps ?? subject.steps
  var times: [Double] = []
  for _ in 0..<repeats {
    times.append(try milliseconds { for _ in 0..<steps { try step() } } / Double(steps))
  }
  times.sort()
  print(
    """
    {"model": "\(name)", "threads": \(Threads.count), "step_ms_median": \(times[times.count / 2]), \
    "step_ms_min": \(times[0]), "peak_rss_mib": \(peakMemory()), "loss": \(loss)}
    """)
}

var models: [String] = []
var threads: Int?
var steps: Int?
var repeats = 7
do {
  var arguments = CommandLine.arguments.dropFirst()
  while let option = arguments.popFirst() {
    guard let value = arguments.popFirst() else { throw BadUse(message: "\(option) needs a value") }
    switch option {
    case "--model": models.append(value)
    case "--threads": threads = Int(value)
    case "--steps": steps = Int(value)
    case "--repeats": repeats = max(1, Int(value) ?? repeats)
    default: throw BadUse(message: "unknown option \(option)")
    }
  }
  for model in models.isEmpty ? ["linear", "mlp", "cnn", "gpt"] : models {
    try run(model, threads: threads, steps: steps, repeats: repeats)
  }
} catch {
  print("ckpt-train-bench: \((error as? BadUse)?.message ?? "\(error)")")
  exit(64)
}
