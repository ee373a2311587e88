import Checkpoint
import CommandSupport
import Training

/// Makes everything that a run needs from its plan, and checks it all before anything is written.
struct RunBuilder {
  let plan: RunPlan
  let arguments: TrainArguments

  private var config: RunConfig { plan.config }

  /// - Throws: `ConfigErrors` with all that does not fit; `CheckpointError` for a file that cannot be used.
  func trainer() throws -> Trainer {
    let problems = ConfigProblems()
    let data = try DataBuilder(config: config, configName: plan.configName, folder: plan.folder).open()
    let checks = DataChecks(config: config, problems: problems)
    try checks.check(data)
    let sampler = try data.train.sampler(
      batch: config.data.batch, shuffle: config.data.shuffle, seed: UInt64(config.seed))
    let steps = steps(sampler)
    PartChecks.schedule(config.schedule, steps: steps, problems)
    try stop(problems)

    let generator = Generator(seed: UInt64(config.seed))
    let model = try ModelBuilder(generator: generator).model(config.model)
    let parameters = model.namedParameters()
    freeze(parameters, problems)
    let optimizer = try OptimizerBuilder(config: config.optimizer, problems: problems).optimizer(parameters)
    try stop(problems)
    return try Trainer(
      model: model, loss: config.loss.loss, optimizer: optimizer, schedule: config.schedule.schedule(total: steps),
      training: data.train, validation: data.validation, sampler: sampler, generator: generator,
      options: options(steps, sampler, hasValidation: data.validation != nil))
  }

  private func stop(_ problems: ConfigProblems) throws(ConfigErrors) {
    guard !problems.isEmpty else { return }
    throw ConfigErrors(file: plan.configName, problems: problems.sorted())
  }

  /// The run's length; a piece of a step is a step.
  private func steps(_ sampler: Sampler) -> Int {
    switch config.length {
    case .steps(let steps): return steps
    case .epochs(let epochs):
      let steps = (epochs * stepsPerEpoch(sampler)).rounded(.up)
      return max(1, Int(exactly: min(steps, Double(Limit.maxCount))) ?? 1)
    }
  }

  private func stepsPerEpoch(_ sampler: Sampler) -> Double {
    Double(sampler.batchesPerEpoch) / Double(config.accumulate)
  }

  private func freeze(_ parameters: [NamedParameter], _ problems: ConfigProblems) {
    guard !config.freeze.isEmpty else { return }
    let globs = ParameterPatterns(config.freeze, parameters.map(\.name), problems).globs
    for entry in parameters where globs.matches(entry.name) { entry.parameter.requiresGrad = false }
    if parameters.allSatisfy({ !$0.parameter.requiresGrad }), let first = config.freeze.first {
      problems.add(first.place, "freeze", "expected patterns that leave something to train, found all parameters")
    }
  }

  private func options(_ steps: Int, _ sampler: Sampler, hasValidation: Bool) -> RunOptions {
    let target = plan.target ?? steps
    var options = RunOptions(steps: target, folder: RunFolder(plan.out))
    // A first run stops early; one that goes on may go on for longer than was planned.
    if let stop = arguments.steps, plan.checkpoint != nil, stop > target {
      options.steps = stop
    } else {
      options.stopAt = arguments.steps
    }
    options.accumulate = config.accumulate
    options.clipGradNorm = config.clipGradNorm
    options.clipGradValue = config.clipGradValue
    options.emaDecay = config.ema
    // Where nothing is said, once an epoch.
    let epoch = max(1, Int(stepsPerEpoch(sampler).rounded(.up)))
    options.evaluateEvery = hasValidation ? config.evaluateEvery ?? epoch : nil
    options.logEvery = config.logEvery
    options.checkpoint = CheckpointPolicy(
      every: config.checkpoint.every, minutes: config.checkpoint.minutes, keep: config.checkpoint.keep,
      keepEvery: config.checkpoint.keepEvery, keepBest: config.checkpoint.keepsBest,
      inBackground: config.checkpoint.isAsync)
    options.config = plan.node.value
    return options
  }
}
