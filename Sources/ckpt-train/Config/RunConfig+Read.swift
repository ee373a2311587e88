import Checkpoint

extension RunConfig {
  /// Reads a config whole.
  ///
  /// - Throws: everything that is wrong with it, as far as it can be told without the data.
  init(_ root: ConfigNode, file: String) throws(ConfigErrors) {
    let problems = ConfigProblems()
    guard let config = Self.read(root, problems), problems.isEmpty else {
      throw ConfigErrors(file: file, problems: problems.sorted())
    }
    self = config
  }

  private static func read(_ root: ConfigNode, _ problems: ConfigProblems) -> RunConfig? {
    guard var fields = ConfigFields(root, "", problems) else { return nil }
    let model = fields.required("model", "sequential or gpt").flatMap { ModelReader.read($0, "model", problems) }
    let isModelSound = problems.isEmpty
    let data = fields.required("data", "what to train on").flatMap { DataReader.read($0, "data", problems) }
    let loss = fields.required("loss", "\(ConfigFields.alternatives(LossReader.names))")
      .flatMap { LossReader.read($0, "loss", problems) }
    let optimizer = fields.required("optimizer", "\(ConfigFields.alternatives(OptimizerReader.names))")
      .flatMap { OptimizerReader.read($0, "optimizer", problems) }
    let schedule = ScheduleReader.read(fields.node("schedule"), lr: optimizer?.lr, "schedule", problems)
    let length = length(&fields)
    let checkpoint = checkpoint(&fields)
    var rest = Rest()
    rest.read(&fields)
    fields.end()
    if let model {
      // Sizes that could not be read would only give misleading messages.
      if isModelSound { PartChecks.shapes(model, problems) }
      if let data { PartChecks.tokens(model, data, problems) }
      if let loss { PartChecks.loss(model, loss, problems) }
    }
    if case .steps(let steps)? = length { PartChecks.schedule(schedule, steps: steps, problems) }
    guard let model, let data, let loss, let optimizer, let length else { return nil }
    return RunConfig(
      seed: rest.seed, threads: rest.threads, model: model, initial: rest.initial, data: data, loss: loss,
      optimizer: optimizer, schedule: schedule, length: length, clipGradNorm: rest.clipGradNorm,
      clipGradValue: rest.clipGradValue, accumulate: rest.accumulate, ema: rest.ema, evaluateEvery: rest.evaluateEvery,
      logEvery: rest.logEvery, out: rest.out, checkpoint: checkpoint, freeze: rest.freeze)
  }

  private static func length(_ fields: inout ConfigFields) -> Length? {
    let (steps, epochs) = (fields.node("steps"), fields.node("epochs"))
    switch (steps, epochs) {
    case (_?, let epochs?):
      fields.problems.add(epochs.place, "epochs", "expected steps or epochs, found both")
      return nil
    case (_?, nil): return fields.count("steps").map { .steps($0) }
    case (nil, _?): return fields.number("epochs", .positive).map { .epochs($0) }
    case (nil, nil):
      fields.problems.add(fields.place, "", "expected the key 'steps' or 'epochs', how long to train; found neither")
      return nil
    }
  }

  private static func checkpoint(_ fields: inout ConfigFields) -> CheckpointConfig {
    var result = CheckpointConfig()
    guard let node = fields.node("checkpoint"),
      var inner = ConfigFields(node, "checkpoint", fields.problems)
    else {
      result.minutes = 10
      return result
    }
    result.every = inner.count("every")
    result.minutes = inner.number("minutes", .positive)
    result.keep = inner.count("keep")
    result.keepEvery = inner.count("keep_every")
    result.keepsBest = inner.choice("keep_best", ["val_loss"]) != nil
    result.isAsync = inner.bool("async") ?? true
    inner.end()
    if result.every == nil, result.minutes == nil { result.minutes = 10 }
    if result.keepsBest, !fields.hasInside("data", "validation") {
      fields.problems.add(
        node.place, "checkpoint.keep_best", "expected data.validation, which val_loss needs; found none")
    }
    return result
  }

  /// The keys that stand alone.
  private struct Rest {
    var seed = 0
    var threads: Int?
    var initial: Located<String>?
    var clipGradNorm: Double?
    var clipGradValue: Double?
    var accumulate = 1
    var ema: Double?
    var evaluateEvery: Int?
    var logEvery = 10
    var out: String?
    var freeze: [Located<String>] = []

    mutating func read(_ fields: inout ConfigFields) {
      seed = fields.count("seed", atLeast: 0, atMost: .max) ?? 0
      threads = fields.count("threads", atMost: 1024)
      if let node = fields.node("init"), let path = fields.text("init") {
        initial = Located(path, node.place, "init")
      }
      clipGradNorm = fields.number("clip_grad_norm", .positive)
      clipGradValue = fields.number("clip_grad_value", .positive)
      accumulate = fields.count("accumulate", atMost: Limit.maxSize) ?? 1
      ema = fields.number("ema", .belowOne)
      logEvery = fields.count("log_every") ?? 10
      out = fields.text("out")
      freeze = fields.texts("freeze", "a list of patterns, as ['0.*']") ?? []
      evaluate(&fields)
    }

    private mutating func evaluate(_ fields: inout ConfigFields) {
      guard let node = fields.node("evaluate"), var inner = ConfigFields(node, "evaluate", fields.problems) else {
        return
      }
      if inner.required("every", "after how many steps") != nil { evaluateEvery = inner.count("every") }
      inner.end()
      if !fields.hasInside("data", "validation") {
        fields.problems.add(node.place, "evaluate", "expected data.validation to evaluate on, found none")
      }
    }
  }
}

extension ConfigFields {
  /// Whether the map under `key` has a key `inner` with something in it.
  fileprivate func hasInside(_ key: String, _ inner: String) -> Bool {
    guard let entry = entries.first(where: { $0.key == key }), case .map(let inside) = entry.value.content,
      let found = inside.first(where: { $0.key == inner })
    else { return false }
    if case .scalar(.none) = found.value.content { return false }
    return true
  }
}
