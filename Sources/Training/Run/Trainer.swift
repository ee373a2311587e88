public import Checkpoint

/// A training run: batches through a model into a loss, gradients into an optimizer, and everything that it takes to
/// go on later to the same bits into checkpoints.
///
///     let trainer = try Trainer(
///       model: model, loss: CrossEntropyLoss(), optimizer: optimizer, training: data,
///       sampler: data.sampler(batch: 64, shuffle: true, seed: 1), generator: generator, options: options)
///     try trainer.run()
public final class Trainer {
  public let model: Module
  public let loss: any Loss
  public let optimizer: any Optimizer
  public let schedule: any Schedule
  public let training: any Dataset
  public let validation: (any Dataset)?
  /// What the model's dropout takes its numbers from: a part of the run's state.
  public let generator: Generator
  public let options: RunOptions

  /// Which samples come next.
  public internal(set) var sampler: Sampler
  /// How many steps have been done.
  public internal(set) var step = 0
  /// The step at which the run is complete.
  public internal(set) var targetStep: Int
  public internal(set) var metrics = Metrics()
  public internal(set) var best: Best?
  public internal(set) var ema: ExponentialMovingAverage?

  /// The learning rates that the schedule starts from, one for each group.
  var baseRates: [Double]
  let parameters: [Parameter]
  let parameterNames: [String]

  /// The smallest validation loss so far.
  public struct Best: Sendable, Equatable {
    public var loss: Double
    public var step: Int
  }

  /// - Throws: `usage` when the options contradict one another.
  public init(
    model: Module, loss: any Loss, optimizer: any Optimizer, schedule: any Schedule = ConstantSchedule(),
    training: any Dataset, validation: (any Dataset)? = nil, sampler: Sampler, generator: Generator,
    options: RunOptions
  ) throws(CheckpointError) {
    try options.check()
    model.use(generator)
    self.model = model
    self.loss = loss
    self.optimizer = optimizer
    self.schedule = schedule
    self.training = training
    self.validation = validation
    self.sampler = sampler
    self.generator = generator
    self.options = options
    targetStep = options.steps
    if !(schedule is ConstantSchedule) { optimizer.attachSchedule() }
    baseRates = optimizer.initialLearningRates
    let named = model.namedParameters()
    parameters = named.map(\.parameter)
    parameterNames = named.map(\.name)
    if let decay = options.emaDecay { ema = try ExponentialMovingAverage(model, decay: decay) }
  }

  /// Epochs gone by, with decimals.
  public var epoch: Double { sampler.progress }

  /// What a step gave.
  struct StepResult {
    /// The loss of the step's batch, before the update.
    var loss: Double
    /// The gradient's norm before clipping; NaN where nobody asked.
    var gradNorm: Double
    var samples: Int
    var learningRate: Double
    /// Why the parameters were not updated.
    var failure: String?
  }

  /// One step: `accumulate` batches forward and back, clipping, the update.
  func takeStep(wantsNorm: Bool) throws(CheckpointError) -> StepResult {
    for (group, base) in baseRates.enumerated() {
      optimizer.setLearningRate(schedule.learningRate(step: step + 1, base: base), ofGroup: group)
    }
    optimizer.zeroGrad()
    var result = StepResult(loss: 0, gradNorm: .nan, samples: 0, learningRate: optimizer.learningRates.first ?? 0)
    for _ in 0..<options.accumulate {
      let batch = try training.batch(sampler.next())
      result.samples += batch.samples
      let loss = try self.loss(try model(batch.inputs), batch.targets)
      result.loss += Double(try loss.item())
      try loss.backward()
    }
    result.loss /= Double(options.accumulate)
    guard result.loss.isFinite else {
      result.failure = "the loss is \(result.loss)"
      return result
    }
    try update(&result, wantsNorm: wantsNorm)
    return result
  }

  /// Clips, and lets the optimizer take its step. Gradients are sums over `accumulate` batches; that they should be
  /// means, and clipped, is one factor that the optimizer multiplies them by.
  private func update(_ result: inout StepResult, wantsNorm: Bool) throws(CheckpointError) {
    var factor = 1 / Double(options.accumulate)
    if let limit = options.clipGradValue { try clipGradValue(parameters, limit / factor) }
    if wantsNorm || options.clipGradNorm != nil { result.gradNorm = gradNorm(parameters) * factor }
    if let limit = options.clipGradNorm {
      guard result.gradNorm.isFinite else {
        result.failure = "the gradient's norm is \(result.gradNorm)"
        return
      }
      factor *= clipFactor(norm: result.gradNorm, maxNorm: limit)
    }
    try optimizer.step(scalingGradientsBy: Float(factor))
    ema?.update()
    step += 1
  }
}
