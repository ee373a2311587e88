import Checkpoint
import CommandSupport
import Training

/// One call of `ckpt train`, from the command line to the last word.
struct TrainSession {
  let arguments: TrainArguments

  /// - Returns: the exit code.
  /// - Throws: `ConfigErrors`, `CheckpointError`.
  func run() throws -> Int32 {
    let plan = try RunPlan(arguments)
    warn(plan.warnings)
    if !arguments.quiet { for note in plan.notes { Terminal.writeError("ckpt: \(printable(note))\n") } }
    if let threads = plan.config.threads { Threads.count = threads }
    let trainer = try RunBuilder(plan: plan, arguments: arguments).trainer()
    try start(trainer, plan)
    if trainer.step >= trainer.targetStep, !arguments.quiet {
      Terminal.writeError("ckpt: the run is complete; --steps N goes on beyond step \(trainer.targetStep)\n")
    }
    // From here on there is something to lose: a signal ends the run in order even before its first step.
    let stop = StopRequest.onSignals()
    try plan.prepareFolder(overwrite: arguments.overwrite)
    let metrics = try MetricsFile(
      Paths.join(plan.out, "metrics.csv"), step: trainer.step, rows: trainer.metrics.rows)
    var options = RunView.Options()
    options.isQuiet = arguments.quiet
    if arguments.json { options.printsLines = false }
    let view = RunView(options, metrics: metrics)
    let start = ContinuousClock.now
    defer { view.end() }
    let ending = try trainer.run(observer: view, stop: stop)
    view.end()
    let summary = RunSummary(
      plan: plan, ending: ending, step: trainer.step, target: trainer.targetStep, best: trainer.best,
      row: view.lastRow, evaluation: view.evaluation, seconds: start.secondsUntilNow)
    return try summary.tell(quiet: arguments.quiet, json: arguments.json)
  }

  /// Gives a trainer its first weights, or everything that a checkpoint has.
  private func start(_ trainer: Trainer, _ plan: RunPlan) throws(CheckpointError) {
    guard plan.checkpoint == nil else { return try resume(trainer, plan) }
    let missing = arguments.allowMissing.map { Glob($0) }
    let unexpected = arguments.allowUnexpected.map { Glob($0) }
    guard let initial = plan.config.initial else { return }
    let report = try StartWeights.load(
      Paths.join(plan.folder, initial.value), into: trainer.model, allowMissing: missing, allowUnexpected: unexpected)
    tell(report)
  }

  private func tell(_ report: StateLoadReport) {
    var lines: [String] = []
    if !report.missing.isEmpty { lines.append("not in the checkpoint, so left as made: \(list(report.missing))") }
    if !report.unexpected.isEmpty { lines.append("in the checkpoint only, so left out: \(list(report.unexpected))") }
    warn(lines)
  }

  private func list(_ names: [String]) -> String {
    names.prefix(8).joined(separator: ", ") + (names.count > 8 ? " and \(names.count - 8) more" : "")
  }

  private func resume(_ trainer: Trainer, _ plan: RunPlan) throws(CheckpointError) {
    guard let checkpoint = plan.checkpoint else { return }
    var options = RestoreOptions()
    options.keepsHyperparameters = arguments.hyperparameters == .config
    options.changes = HyperparameterChanges.entries(arguments.set, plan.config.optimizer)
    options.allowsOtherTrainable = arguments.config != nil || arguments.set.contains { $0.hasPrefix("freeze") }
    let missing = GlobsBySection(arguments.allowMissing)
    options.allowMissing = missing.model
    options.allowMissingState = missing.optimizer
    options.allowUnexpected = GlobsBySection(arguments.allowUnexpected).model
    do throws(CheckpointError) {
      let report = try trainer.restore(checkpoint.root, options)
      tell(report.weights)
      if !arguments.quiet { for note in report.notes { Terminal.writeError("ckpt: \(printable(note))\n") } }
    } catch {
      throw error.inFile(checkpoint.path)
    }
  }
}

/// Patterns of names: the model's, and, behind `optimizer.`, those of parameters whose optimizer state is meant.
private struct GlobsBySection {
  var model: [Glob] = []
  var optimizer: [Glob] = []

  init(_ patterns: [String]) {
    let prefix = "optimizer."
    for pattern in patterns {
      if pattern.hasPrefix(prefix) {
        optimizer.append(Glob(String(pattern.dropFirst(prefix.count))))
      } else {
        model.append(Glob(pattern))
      }
    }
  }
}

extension ContinuousClock.Instant {
  /// Seconds from this moment until now.
  var secondsUntilNow: Double {
    let (seconds, attoseconds) = (ContinuousClock.now - self).components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}
