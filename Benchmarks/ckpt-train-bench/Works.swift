import Checkpoint
import Training

/// Whole steps: forward, loss, backward, AdamW.
struct Steps: Work {
  private let subject: Subject
  private let optimizer: AdamW
  var warmup: Int { subject.warmup }

  init(_ subject: Subject) throws {
    self.subject = subject
    optimizer = try AdamW(parameters: subject.model.namedParameters(), lr: 1e-3)
  }

  func take(_ steps: Int) throws -> Double {
    try seconds {
      for _ in 0..<steps {
        optimizer.zeroGrad()
        try subject.loss(try subject.model(subject.inputs), subject.targets).backward()
        try optimizer.step()
      }
    }
  }
}

/// AdamW's step alone, with gradients that stay.
struct OptimizerAlone: Work {
  private let model: GPT
  private let optimizer: AdamW
  let warmup = 3

  init() throws {
    model = try GPT(layers: 8, heads: 8, width: 512, context: 256, vocab: 65)
    optimizer = try AdamW(parameters: model.namedParameters(), lr: 1e-3)
    for parameter in model.parameters() { try (parameter * 1e-3).sum().backward() }
  }

  func take(_ steps: Int) throws -> Double { try seconds { for _ in 0..<steps { try optimizer.step() } } }
}

/// A run by the trainer. What counts is the time from the step after the first save to the last save: `every` steps less
/// than were asked for, so that each save that counts has the time of so many steps to be written in.
struct Run: Work {
  /// The distance between saves, and between looks at the clock.
  static let distance = 50

  private let trainer: Trainer
  let warmup = 2 * Run.distance

  init(_ subject: Subject, every: Int, folder: String) throws {
    var options = RunOptions(steps: 1_000_000, folder: RunFolder(folder))
    options.logEvery = Run.distance
    options.checkpoint = CheckpointPolicy(every: every > 0 ? every : nil, keep: 2)
    let data = OneBatch(batch: Batch(inputs: subject.inputs, targets: subject.targets, samples: 1))
    trainer = try Trainer(
      model: subject.model,
      loss: subject.loss,
      optimizer: try AdamW(parameters: subject.model.namedParameters(), lr: 1e-3), training: data,
      sampler: try Sampler(count: 1, batch: 1, shuffle: false, seed: 0), generator: Generator(seed: 1),
      options: options)
  }

  func take(_ steps: Int) throws -> Double {
    let stop = StopRequest()
    let watch = Watch(last: trainer.step + steps, stop)
    try trainer.run(observer: watch, stop: stop)
    return watch.seconds * Double(steps) / Double(steps - Run.distance)
  }
}

/// Looks at the clock whenever a step is logged, and stops the run after the last one.
private final class Watch: RunObserver {
  private let last: Int
  private let stop: StopRequest
  private var start: ContinuousClock.Instant?
  private(set) var seconds = Double.nan

  init(last: Int, _ stop: StopRequest) {
    self.last = last
    self.stop = stop
  }

  func logged(_ row: Metrics.Row, samplesPerSecond: Double) {
    guard row.step % Run.distance == 0 else { return }
    guard let start else {
      start = ContinuousClock.now
      return
    }
    guard row.step == last else { return }
    let time = (ContinuousClock.now - start).components
    seconds = Double(time.seconds) + Double(time.attoseconds) * 1e-18
    stop.request()
  }

  func warning(_ text: String) { say(text) }
}

/// A data set that is one batch, in memory.
private struct OneBatch: Dataset {
  let batch: Batch
  let count = 1

  func batch(_ samples: [Int]) throws(CheckpointError) -> Batch { batch }
}
