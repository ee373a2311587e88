import Checkpoint
import Training

/// Makes the optimizer that a config describes.
struct OptimizerBuilder {
  let config: OptimizerConfig
  /// Pattern by pattern what is matched; problems go here.
  let problems: ConfigProblems

  /// - Parameter parameters: all of the model's, in its order.
  func optimizer(_ parameters: [NamedParameter]) throws(CheckpointError) -> any Optimizer {
    switch config.kind {
    case .adam(let betas, let eps, let amsgrad):
      return try Adam(groups: groups(parameters) { $0.weightDecay = 0 }, options: adam(betas, eps, amsgrad))
    case .adamw(let betas, let eps, let amsgrad):
      return try AdamW(groups: groups(parameters) { $0.weightDecay = 0 }, options: adam(betas, eps, amsgrad))
    case .sgd(let momentum, let dampening, let nesterov):
      let options = SGDOptions(
        lr: config.lr, momentum: momentum, dampening: dampening, weightDecay: config.weightDecay, nesterov: nesterov,
        maximize: config.maximize)
      return try SGD(groups: groups(parameters) { $0.weightDecay = 0 }, options: options)
    case .rmsprop(let alpha, let eps, let momentum, let centered):
      let options = RMSpropOptions(
        lr: config.lr, alpha: alpha, eps: eps, weightDecay: config.weightDecay, momentum: momentum, centered: centered,
        maximize: config.maximize)
      return try RMSprop(groups: groups(parameters) { $0.weightDecay = 0 }, options: options)
    case .adagrad(let lrDecay, let initial, let eps):
      let options = AdagradOptions(
        lr: config.lr, lrDecay: lrDecay, weightDecay: config.weightDecay, initialAccumulatorValue: initial, eps: eps,
        maximize: config.maximize)
      return try Adagrad(groups: groups(parameters) { $0.weightDecay = 0 }, options: options)
    }
  }

  private func adam(_ betas: OptimizerConfig.Betas, _ eps: Double, _ amsgrad: Bool) -> AdamOptions {
    AdamOptions(
      lr: config.lr, betas: (betas.first, betas.second), eps: eps, weightDecay: config.weightDecay, amsgrad: amsgrad,
      maximize: config.maximize)
  }

  /// One group, or two: those that decay and those that `no_decay` names.
  private func groups<Options>(
    _ parameters: [NamedParameter], _ change: @escaping (inout Options) -> Void
  ) -> [ParameterGroup<Options>] {
    let globs = ParameterPatterns(config.noDecay, parameters.map(\.name), problems).globs
    let spared = parameters.filter { globs.matches($0.name) }
    let others = parameters.filter { !globs.matches($0.name) }
    if spared.isEmpty { return [ParameterGroup(others)] }
    let group = ParameterGroup(spared, change)
    return others.isEmpty ? [group] : [ParameterGroup(others), group]
  }
}

/// Patterns of parameters' names. One that fits none is a mistake.
struct ParameterPatterns {
  let globs: [Glob]

  init(_ patterns: [Located<String>], _ names: [String], _ problems: ConfigProblems) {
    globs = patterns.map { Glob($0.value) }
    for (pattern, glob) in zip(patterns, globs) where !names.contains(where: glob.matches) {
      let some = names.prefix(4).joined(separator: ", ")
      problems.add(
        pattern.place, pattern.path,
        "expected a pattern of parameters, found '\(pattern.value)', which none fits; "
          + "there are \(some)\(names.count > 4 ? ", …" : "")")
    }
  }
}
