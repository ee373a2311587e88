import Checkpoint
import CommandSupport
import Training

/// What there is to say when a call of `ckpt train` ends.
struct RunSummary {
  let plan: RunPlan
  let ending: Trainer.Ending
  let step: Int
  let target: Int
  let best: Trainer.Best?
  /// The last row that was logged.
  let row: Metrics.Row?
  /// What was last found on the validation set.
  let evaluation: Trainer.Evaluation?
  let seconds: Double

  /// - Returns: the exit code: 1 where the loss is no number any more.
  func tell(quiet: Bool, json: Bool) throws(CheckpointError) -> Int32 {
    if json { try Terminal.write(self.json()) } else if !quiet { try Terminal.write(Array(text.utf8)) }
    guard case .diverged(let step, let reason, let file) = ending else { return Exit.yes }
    Terminal.writeError(
      """
      ckpt: error: \(printable(reason)) at step \(step); the run has stopped
        \(printable(file)) has what was there; a lower lr or clip_grad_norm may help.

      """)
    return Exit.no
  }

  /// For people.
  var text: String {
    switch ending {
    case .finished(let step):
      return "\(printable(file(step))): \(counted(step, "step")), took \(duration(seconds))\(results)\n"
    case .stopped(let step, let file):
      return "stopped at step \(grouped(step)) of \(grouped(target)), saved as \(printable(file))\(results)\n"
        + "  Go on with: ckpt train --resume \(printable(quoted(plan.out)))\n"
    case .diverged: return ""
    }
  }

  private func file(_ step: Int) -> String { RunFolder(plan.out).file(ofStep: step) }

  private var results: String {
    var parts: [String] = []
    if let row { parts.append("loss \(short(row.loss, digits: 5))") }
    if let best { parts.append("best val_loss \(short(best.loss, digits: 5)) at step \(grouped(best.step))") }
    if let accuracy = evaluation?.accuracy { parts.append(ProgressLine.percent(accuracy)) }
    return parts.map { ", \($0)" }.joined()
  }

  /// A path as a shell takes it.
  private func quoted(_ path: String) -> String {
    let isPlain = path.utf8.allSatisfy {
      $0 >= 0x30 && $0 <= 0x39 || $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A || "/._-+,=@".utf8.contains($0)
    }
    return isPlain
      ? path : "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  /// For programs.
  private func json() -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key(plain: "schema")
    json.string("ckpt.train/1")
    json.key(plain: "out")
    json.string(plan.out)
    json.key(plain: "ending")
    switch ending {
    case .finished(let step): end("finished", step, file(step), &json)
    case .stopped(let step, let file): end("stopped", step, file, &json)
    case .diverged(let step, _, let file): end("diverged", step, file, &json)
    }
    json.key(plain: "target_step")
    json.int(target)
    json.key(plain: "loss")
    number(row?.loss, &json)
    json.key(plain: "val_loss")
    number(evaluation?.loss, &json)
    json.key(plain: "val_accuracy")
    number(evaluation?.accuracy, &json)
    json.key(plain: "best")
    if let best {
      json.beginObject()
      json.key(plain: "val_loss")
      json.double(best.loss)
      json.key(plain: "step")
      json.int(best.step)
      json.endObject()
    } else {
      json.null()
    }
    json.key(plain: "seconds")
    json.double(seconds)
    json.endObject()
    return json.bytes + [0x0A]
  }

  private func end(_ word: String, _ step: Int, _ file: String, _ json: inout JSONWriter) {
    json.string(word)
    json.key(plain: "step")
    json.int(step)
    json.key(plain: "checkpoint")
    json.string(file)
  }

  private func number(_ number: Double?, _ json: inout JSONWriter) {
    if let number, number.isFinite { json.double(number) } else { json.null() }
  }
}
