import Checkpoint
import CommandSupport
import Training

/// Shows a run while it goes on, and writes its `metrics.csv`.
///
/// On a terminal one line is drawn over and over on standard error; where standard output is a file, lines go there.
/// Both are throttled: a step may take a microsecond.
final class RunView: RunObserver {
  struct Options {
    var drawsLine = Terminal.errorsAreSeen
    var printsLines = Terminal.output.width == nil
    var blocks = Terminal.showsUnicode ? Sparkline.blocks : Sparkline.plainBlocks
    var isQuiet = false

    init() {}
  }

  private let options: Options
  private let metrics: MetricsFile?
  private var target = 0
  private var start: (step: Int, time: ContinuousClock.Instant) = (0, .now)
  private var curve = Sparkline()
  private var isDrawn = false
  private var lastDrawn: ContinuousClock.Instant?
  private var lastPrinted: ContinuousClock.Instant?
  private var cannotWriteMetrics = false

  /// The last row, and what was last found on the validation set.
  private(set) var lastRow: Metrics.Row?
  private(set) var evaluation: Trainer.Evaluation?

  init(_ options: Options, metrics: MetricsFile?) {
    self.options = options
    self.metrics = metrics
  }

  func started(step: Int, target: Int) {
    self.target = target
    start = (step, .now)
  }

  func evaluated(_ evaluation: Trainer.Evaluation, step: Int) { self.evaluation = evaluation }

  func logged(_ row: Metrics.Row, samplesPerSecond: Double) {
    lastRow = row
    curve.add(row.loss)
    write(row, samplesPerSecond)
    guard !options.isQuiet else { return }
    if options.drawsLine, isDue(&lastDrawn, seconds: 0.1) { draw(row, samplesPerSecond) }
    if options.printsLines {
      let isEnd = row.step == target || lastPrinted == nil
      if isDue(&lastPrinted, seconds: row.validationLoss.isNaN ? 1 : 0.1) || isEnd { printLine(row, samplesPerSecond) }
    }
  }

  func saved(path: String, step: Int, seconds: Double) { flush() }

  func warning(_ text: String) {
    clear()
    warn([text])
  }

  /// Takes the line away and brings `metrics.csv` up to date.
  func end() {
    clear()
    flush()
  }

  // MARK: - Lines

  private func line(
    _ row: Metrics.Row, _ speed: Double, _ evaluation: Trainer.Evaluation?
  ) -> ProgressLine {
    let elapsed = seconds(since: start.time)
    let done = row.step - start.step
    let left = done > 0 && elapsed > 1 ? elapsed / Double(done) * Double(max(target - row.step, 0)) : nil
    return ProgressLine(
      step: row.step, target: target, epoch: row.epoch, loss: row.loss, validationLoss: evaluation?.loss,
      accuracy: evaluation?.accuracy, learningRate: row.learningRate, samplesPerSecond: speed, secondsLeft: left)
  }

  private func draw(_ row: Metrics.Row, _ speed: Double) {
    let text = line(row, speed, evaluation)
      .live(width: Terminal.errorWidth, curve: curve, blocks: options.blocks)
    Terminal.writeError("\r\(text)\u{1B}[K")
    isDrawn = true
  }

  private func printLine(_ row: Metrics.Row, _ speed: Double) {
    let text = line(row, speed, row.validationLoss.isNaN ? nil : evaluation).plain
    // A full disk under the log does not end the run.
    try? Terminal.write(Array((text + "\n").utf8))
  }

  private func clear() {
    if isDrawn { Terminal.writeError("\r\u{1B}[K") }
    isDrawn = false
  }

  private func isDue(_ last: inout ContinuousClock.Instant?, seconds least: Double) -> Bool {
    if let last, seconds(since: last) < least { return false }
    last = .now
    return true
  }

  private func seconds(since instant: ContinuousClock.Instant) -> Double {
    let (seconds, attoseconds) = (ContinuousClock.now - instant).components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }

  // MARK: - metrics.csv

  private func write(_ row: Metrics.Row, _ speed: Double) {
    do throws(CheckpointError) {
      try metrics?.append(row, samplesPerSecond: speed)
      cannotWriteMetrics = false
    } catch {
      complain(error)
    }
  }

  private func flush() {
    do throws(CheckpointError) { try metrics?.flush() } catch { complain(error) }
  }

  /// Once, until it works again.
  private func complain(_ error: CheckpointError) {
    guard !cannotWriteMetrics else { return }
    cannotWriteMetrics = true
    warning("\(error.file ?? "metrics.csv"): \(error.message); the run goes on")
  }
}
