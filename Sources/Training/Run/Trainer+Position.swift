internal import Checkpoint

/// Where a run is, beside its weights and its optimizer.
struct RunPosition {
  var step: Int
  var sampler: Sampler
  var randomOffset: UInt64
  var metrics: Metrics
  var best: Trainer.Best?
  var notes: [String] = []
}

extension Trainer {
  /// The position that a checkpoint has under `training`, or, for one that no run here has written, the one that its
  /// optimizer's step leads to. Changes nothing.
  ///
  /// - Throws: `damaged` where something is missing or no position; `usage` where it is that of another run.
  func checkPosition(
    _ training: Value?, _ optimizerStep: Int64?, _ options: RestoreOptions
  ) throws(CheckpointError) -> RunPosition {
    guard let training, let fields = try? RunFields(training, at: "training"), fields["rng"] != nil,
      let data = fields["data"]
    else { return try foreignPosition(optimizerStep) }
    let random = try RunFields(fields["rng"], at: "training.rng")
    guard try random.text("algorithm") == Generator.algorithm else {
      throw CheckpointError(
        .unsupported, "random numbers of '\(try random.text("algorithm"))', which is not known here",
        place: "training.rng.algorithm", advice: "A newer version wrote it; update ckpt.")
    }
    guard try random.unsigned("seed") == generator.seed else {
      throw CheckpointError(
        .usage, "the run has the seed \(try random.unsigned("seed")), the config \(generator.seed)",
        advice: "Leave the seed as it was.")
    }
    if !options.allowsOtherTrainable { try checkTrainable(fields["trainable"]) }
    var sampler = self.sampler
    try sampler.restore(data)
    var position = RunPosition(
      step: try fields.int("step"), sampler: sampler, randomOffset: try random.unsigned("offset"),
      metrics: try Metrics(fields["metrics"]))
    if case .dict = fields["best"] {
      let found = try RunFields(fields["best"], at: "training.best")
      position.best = Best(loss: try found.double("value"), step: try found.int("step"))
    }
    return position
  }

  func take(_ position: RunPosition) {
    step = position.step
    sampler = position.sampler
    generator.offset = position.randomOffset
    metrics = position.metrics
    best = position.best
  }

  private func foreignPosition(_ optimizerStep: Int64?) throws(CheckpointError) -> RunPosition {
    let step = Int(optimizerStep ?? 0)
    var sampler = self.sampler
    let (batches, overflow) = step.multipliedReportingOverflow(by: options.accumulate)
    guard step >= 0, !overflow else {
      throw CheckpointError(.damaged, "the optimizer's step, \(step), is none", place: "optimizer.step")
    }
    try sampler.seek(afterBatches: batches)
    let note =
      optimizerStep == nil
      ? "the checkpoint is no run's, and its optimizer counts no steps; counting from 0, with the data's beginning"
      : "the checkpoint is no run's; going on at its optimizer's step, \(step)"
    return RunPosition(
      step: step, sampler: sampler, randomOffset: generator.offset, metrics: Metrics(), notes: [note])
  }

  /// Resuming must not make frozen weights trainable without a word.
  private func checkTrainable(_ stored: Value?) throws(CheckpointError) {
    guard case .dict(let stored)? = stored else { return }
    var changed: [String] = []
    for (name, parameter) in zip(parameterNames, parameters) {
      if case .bool(let flag)? = stored[name], flag != parameter.requiresGrad { changed.append(name) }
    }
    guard !changed.isEmpty else { return }
    throw CheckpointError(
      .usage, "other parameters would be trained than were: \(changed.prefix(8).joined(separator: ", "))",
      advice: "Leave 'freeze' as it was, or change it with --set freeze=….")
  }
}
