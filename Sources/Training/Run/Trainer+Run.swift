public import Checkpoint

extension Trainer {
  /// How a call of `run` ended.
  public enum Ending: Sendable {
    /// The run is complete.
    case finished(step: Int)
    /// Somebody asked for a stop, or the call's own limit is reached; `file` continues the run.
    case stopped(step: Int, file: String)
    /// A loss that is no number; `file` is for inspection.
    case diverged(step: Int, reason: String, file: String)
  }

  /// Trains until the target step, the call's limit, or a request to stop, and saves.
  ///
  /// - Throws: what data and model throw; `inputOutput` when the last checkpoint could not be written.
  @discardableResult
  public func run(
    observer: any RunObserver = SilentObserver(), stop: StopRequest = StopRequest()
  ) throws(CheckpointError) -> Ending {
    try options.folder.create()
    let writer = CheckpointWriter(folder: options.folder, policy: options.checkpoint)
    var loop = RunLoop(trainer: self, writer: writer, observer: observer)
    model.train()
    let last = min(targetStep, max(options.stopAt ?? targetStep, step))
    observer.started(step: step, target: targetStep)
    do throws(CheckpointError) {
      while step < last, !stop.isRequested {
        if let ending = try loop.step() { return ending }
      }
      return try loop.end()
    } catch {
      // What was being written is finished before anybody hears of the failure.
      writer.wait()
      loop.report()
      throw error
    }
  }
}

/// One call of `run`: what it knows beside the trainer's state. Nothing here enters a checkpoint.
struct RunLoop {
  let trainer: Trainer
  let writer: CheckpointWriter
  let observer: any RunObserver
  private var options: RunOptions { trainer.options }
  private var lastSaved: Int?
  private var lastSaveTime = ContinuousClock.now
  private var logTime = ContinuousClock.now
  private var samplesSinceLog = 0
  /// What failed last and has not worked since: of best.h5 (true), of the others (false).
  private var failures: [Bool: CheckpointError] = [:]

  init(trainer: Trainer, writer: CheckpointWriter, observer: any RunObserver) {
    self.trainer = trainer
    self.writer = writer
    self.observer = observer
    lastSaved = trainer.step > 0 && trainer.options.folder.has(step: trainer.step) ? trainer.step : nil
  }

  /// One step and what belongs to it. Gives the ending when the run cannot go on.
  mutating func step() throws(CheckpointError) -> Trainer.Ending? {
    let number = trainer.step + 1
    let isEvaluated = trainer.validation != nil && options.evaluateEvery.map { number % $0 == 0 } ?? false
    let isLogged = number == 1 || number % options.logEvery == 0 || number == trainer.targetStep || isEvaluated
    let result = try trainer.takeStep(wantsNorm: isLogged)
    if let reason = result.failure { return try diverged(at: number, reason) }
    samplesSinceLog += result.samples
    var isBest = false
    var validationLoss = Double.nan
    if isEvaluated, let validation = trainer.validation {
      let evaluation = try trainer.evaluate(validation)
      validationLoss = evaluation.loss
      isBest = trainer.noteValidation(validationLoss)
      observer.evaluated(evaluation, step: trainer.step)
    }
    if isLogged { log(result, validationLoss) }
    let ending = try saveIfDue(isBest: isBest && options.checkpoint.keepBest)
    report()
    return ending
  }

  private mutating func log(_ result: Trainer.StepResult, _ validationLoss: Double) {
    let row = Metrics.Row(
      step: trainer.step, epoch: trainer.epoch, loss: result.loss, learningRate: result.learningRate,
      gradNorm: result.gradNorm, validationLoss: validationLoss)
    trainer.metrics.append(row)
    let seconds = logTime.secondsSince
    observer.logged(row, samplesPerSecond: seconds > 0 ? Double(samplesSinceLog) / seconds : 0)
    logTime = ContinuousClock.now
    samplesSinceLog = 0
  }

  private mutating func saveIfDue(isBest: Bool) throws(CheckpointError) -> Trainer.Ending? {
    let policy = options.checkpoint
    let isDue =
      policy.every.map { trainer.step % $0 == 0 } ?? false
      || policy.minutes.map { lastSaveTime.secondsSince >= $0 * 60 } ?? false
    guard isDue || isBest else { return nil }
    // The loss will tell, but a step late: resuming must not find this one the newest.
    guard trainer.hasFiniteWeights else { return try diverged(at: trainer.step, Self.lostWeights) }
    try save(isPeriodic: isDue, isBest: isBest)
    return nil
  }

  private static let lostWeights = "there are weights that are no numbers"

  private mutating func save(isPeriodic: Bool, isBest: Bool) throws(CheckpointError) {
    // Memory stays bounded: one copy at a time.
    writer.wait()
    writer.write(
      CheckpointWriter.Job(
        root: try trainer.snapshot(), step: trainer.step, isPeriodic: isPeriodic, isBest: isBest))
    guard isPeriodic else { return }
    lastSaved = trainer.step
    lastSaveTime = ContinuousClock.now
  }

  /// Tells the observer what the writer has done.
  mutating func report() {
    for outcome in writer.takeOutcomes() {
      switch outcome {
      case .saved(let path, let step, let seconds):
        failures[path == options.folder.best] = nil
        observer.saved(path: path, step: step, seconds: seconds)
      case .failed(let path, let step, let error):
        let isBest = path == options.folder.best
        if !isBest, lastSaved == step { lastSaved = nil }
        failures[isBest] = error
        let what = isBest ? "best.h5, of step \(step)," : "the checkpoint of step \(step)"
        observer.warning("\(what) was not written: \(error); the next one will be tried")
      }
    }
  }

  /// The last checkpoint, and what there is to say at the end.
  mutating func end() throws(CheckpointError) -> Trainer.Ending {
    writer.wait()
    report()
    if lastSaved != trainer.step {
      guard trainer.hasFiniteWeights else { return try diverged(at: trainer.step, Self.lostWeights) }
      try save(isPeriodic: true, isBest: false)
      writer.wait()
      report()
    } else {
      // A run that was killed after its last checkpoint may have left older ones.
      try options.folder.retire(by: options.checkpoint, newest: trainer.step)
    }
    if let failure = failures[false] ?? failures[true] { throw failure }
    if trainer.step >= trainer.targetStep { return .finished(step: trainer.step) }
    return .stopped(step: trainer.step, file: options.folder.file(ofStep: trainer.step))
  }

  private mutating func diverged(at number: Int, _ reason: String) throws(CheckpointError) -> Trainer.Ending {
    writer.wait()
    report()
    let file = options.folder.failureFile(ofStep: number)
    try CheckpointWriter.save(try trainer.snapshot(), to: file)
    return .diverged(step: number, reason: reason, file: file)
  }
}
