import Checkpoint
import CheckpointFormats
import Synchronization

/// Writes a run's checkpoints, one after the other, beside the training or in its stead.
final class CheckpointWriter {
  /// A checkpoint to be written: a tree that nothing changes any more.
  struct Job: Sendable {
    var root: Value
    var step: Int
    /// Whether it goes under its step's name.
    var isPeriodic: Bool
    /// Whether it is the best so far.
    var isBest: Bool
  }

  /// What came of a job.
  enum Outcome: Sendable {
    case saved(path: String, step: Int, seconds: Double)
    /// The run goes on; the next checkpoint tries again.
    case failed(path: String, step: Int, CheckpointError)
  }

  private let folder: RunFolder
  private let policy: CheckpointPolicy
  private let background = Background()
  private let results = Results()

  init(folder: RunFolder, policy: CheckpointPolicy) {
    self.folder = folder
    self.policy = policy
  }

  /// Writes a checkpoint: at once, or, where the policy says so, when the one before is written.
  func write(_ job: Job) {
    let (folder, policy, results) = (folder, policy, results)
    let work: @Sendable () -> Void = { results.add(Self.carryOut(job, folder, policy)) }
    guard policy.inBackground else { return work() }
    background.start(work)
  }

  /// What has been done since the last time somebody asked.
  func takeOutcomes() -> [Outcome] { results.take() }

  /// Waits until everything is written.
  func wait() { background.wait() }

  /// The best comes first: a run that is killed between the two goes on from an older step, and writes both anew. Had
  /// it the step's file already, that would call a best its own which is nowhere.
  private static func carryOut(_ job: Job, _ folder: RunFolder, _ policy: CheckpointPolicy) -> [Outcome] {
    var outcomes: [Outcome] = []
    if job.isBest {
      outcomes.append(outcome(job, folder.best) { () throws(CheckpointError) in try save(job.root, to: folder.best) })
    }
    if job.isPeriodic {
      let path = folder.file(ofStep: job.step)
      outcomes.append(
        outcome(job, path) { () throws(CheckpointError) in
          try save(job.root, to: path)
          // Only now that the new file is known to be sound may an old one go.
          try folder.retire(by: policy, newest: job.step)
        })
    }
    return outcomes
  }

  private static func outcome(_ job: Job, _ path: String, _ work: () throws(CheckpointError) -> Void) -> Outcome {
    let start = ContinuousClock.now
    do throws(CheckpointError) {
      try work()
      return .saved(path: path, step: job.step, seconds: start.secondsSince)
    } catch {
      return .failed(path: path, step: job.step, error)
    }
  }

  /// Writes a tree and reads it back.
  static func save(_ root: Value, to path: String) throws(CheckpointError) {
    var options = NativeFormat.WriteOptions()
    options.replaces = true
    options.threads = 1
    options.producer = "ckpt train"
    try NativeFormat.write(root, to: path, options: options)
    let report = try NativeFormat.verify(path, threads: 1)
    guard let problem = report.problems.first else { return }
    throw CheckpointError(
      .inputOutput, "what was written reads back differently: \(problem.what)", file: path, place: problem.place,
      advice: "Check the disk and the memory of this machine.")
  }
}

/// What jobs that ended have to say; the one thing that the two threads share.
private final class Results: Sendable {
  private let outcomes = Mutex<[CheckpointWriter.Outcome]>([])
  private let hasSome = Atomic<Bool>(false)

  func add(_ new: [CheckpointWriter.Outcome]) {
    outcomes.withLock { $0 += new }
    hasSome.store(true, ordering: .releasing)
  }

  func take() -> [CheckpointWriter.Outcome] {
    guard hasSome.load(ordering: .acquiring) else { return [] }
    return outcomes.withLock { outcomes in
      hasSome.store(false, ordering: .relaxed)
      defer { outcomes = [] }
      return outcomes
    }
  }
}

extension ContinuousClock.Instant {
  /// Seconds from this moment until now.
  var secondsSince: Double {
    let (seconds, attoseconds) = (ContinuousClock.now - self).components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}
