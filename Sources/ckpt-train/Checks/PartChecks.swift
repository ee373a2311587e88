import Checkpoint

/// What can be told about a config's parts together before the data are opened.
enum PartChecks {
  /// Layers against one another.
  static func shapes(_ model: ModelConfig, _ problems: ConfigProblems) {
    guard case .sequential(let layers) = model else { return }
    var shapes = LayerShapes(problems)
    _ = shapes.flow(.unknown, through: layers)
  }

  /// A model against the kind of its data.
  static func tokens(_ model: ModelConfig, _ data: DataConfig, _ problems: ConfigProblems) {
    let train = data.train
    switch model {
    case .gpt(let gpt):
      if !train.isTokens {
        problems.add(train.place, train.path, "expected text or tokens, which a gpt reads, found arrays")
      }
      if let context = data.context, context.value > gpt.context {
        problems.add(
          context.place, context.path, "expected at most the model's context, \(gpt.context), found \(context.value)")
      }
    case .sequential:
      if train.isTokens, data.context == nil {
        problems.add(
          train.place, "data", "expected the key 'context', how many tokens a window has, as a sequential has none")
      }
      if !train.isTokens, let context = data.context {
        problems.add(context.place, context.path, "expected text or tokens, of which windows are made")
      }
    }
  }

  /// A loss against a model that predicts tokens.
  static func loss(_ model: ModelConfig, _ loss: LossConfig, _ problems: ConfigProblems) {
    guard case .gpt = model else { return }
    if case .crossEntropy = loss.kind { return }
    problems.add(loss.place, loss.path, "expected cross_entropy, which a gpt needs, found \(loss.name)")
  }

  /// A schedule against the run's length.
  static func schedule(_ schedule: ScheduleConfig, steps: Int, _ problems: ConfigProblems) {
    guard schedule.name == "cosine", case .int(let warmup)? = schedule["warmup"] else { return }
    var total = Int64(steps)
    if case .int(let own)? = schedule["total"] { total = own }
    guard warmup >= total else { return }
    problems.add(schedule.place, schedule.path, "expected a warmup below the total, \(total), found \(warmup)")
  }
}
