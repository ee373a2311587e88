import CommandSupport

/// What is known of a run's progress, as a line of text.
struct ProgressLine {
  var step: Int
  var target: Int
  var epoch: Double
  var loss: Double
  var validationLoss: Double?
  /// Of the validation set's labels, the part that was right.
  var accuracy: Double?
  var learningRate: Double
  var samplesPerSecond: Double
  /// Seconds until the target; nil while that cannot be told.
  var secondsLeft: Double?

  /// The line for a terminal: `step 1,200/5,000  loss 0.2341 ▆▄▂▁  lr 0.001  12,300 samples/s  4 min left`, in fewer
  /// than `width` columns: a line that wraps cannot be drawn over. What matters least gives way first.
  func live(width: Int, curve: Sparkline, blocks: [Character] = Sparkline.blocks) -> String {
    let head = "step \(grouped(step))/\(grouped(target))"
    let loss = "loss \(short(loss))"
    let validation = validationLoss.map { "val_loss \(short($0))" + (accuracy.map { "  \(Self.percent($0))" } ?? "") }
    let rate = "lr \(short(learningRate))"
    let speed = "\(Self.speed(samplesPerSecond)) samples/s"
    let left = secondsLeft.map { "\(duration($0)) left" }
    let choices: [[String?]] = [
      [head, loss, validation, rate, speed, left], [head, loss, validation, speed, left],
      [head, loss, validation, left],
      [head, loss, left], [head, loss], [head],
    ]
    for parts in choices {
      let parts = parts.compactMap(\.self)
      let line = parts.joined(separator: "  ")
      let room = width - 1 - columns(line)
      guard room >= 0 else { continue }
      let curve = parts.count > 2 && room > 8 ? curve.text(width: min(room - 1, 24), blocks: blocks) : ""
      guard !curve.isEmpty else { return line }
      return parts.map { $0 == loss ? "\(loss) \(curve)" : $0 }.joined(separator: "  ")
    }
    return cut(head, to: max(width - 1, 1))
  }

  /// The line for a file.
  var plain: String {
    let width = String(target).utf8.count
    let digits = String(step)
    var parts = [
      "step \(String(repeating: " ", count: max(0, width - digits.utf8.count)))\(digits)/\(target)",
      "epoch \(fixed(epoch, places: 2))", "loss \(short(loss, digits: 5))",
    ]
    if let validationLoss { parts.append("val_loss \(short(validationLoss, digits: 5))") }
    if let accuracy { parts.append(Self.percent(accuracy)) }
    parts += ["lr \(short(learningRate))", "\(Self.speed(samplesPerSecond)) samples/s"]
    return parts.joined(separator: "  ")
  }

  /// `97.5 % right`.
  static func percent(_ part: Double) -> String { "\(fixed(100 * part, places: 1)) % right" }

  /// Three digits are enough.
  private static func speed(_ value: Double) -> String {
    guard value.isFinite, value < 1e15 else { return "?" }
    var (rest, scale) = (value, 1.0)
    while rest >= 1000 { (rest, scale) = (rest / 10, scale * 10) }
    return value < 10 ? short(value, digits: 2) : grouped(Int(rest.rounded() * scale))
  }
}

/// `12 s`, `4 min 10 s`, `1 h 12 min`, `3 d 4 h`.
func duration(_ seconds: Double) -> String {
  guard seconds.isFinite, seconds < 1e9 else { return "?" }
  let whole = Int(max(seconds, 0).rounded())
  let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")]
  for (index, unit) in units.enumerated() where whole >= unit.0 {
    let first = "\(whole / unit.0) \(unit.1)"
    guard index + 1 < units.count else { return first }
    let next = whole % unit.0 / units[index + 1].0
    return next > 0 ? "\(first) \(next) \(units[index + 1].1)" : first
  }
  return "0 s"
}

/// A number with so many places after the point.
func fixed(_ value: Double, places: Int) -> String {
  guard value.isFinite, abs(value) < 1e15 else { return short(value) }
  var scale = 1.0
  for _ in 0..<places { scale *= 10 }
  let rounded = Int((abs(value) * scale).rounded())
  let digits = String(rounded % Int(scale))
  let sign = value < 0 && rounded > 0 ? "-" : ""
  return "\(sign)\(rounded / Int(scale))."
    + String(repeating: "0", count: max(0, places - digits.utf8.count)) + digits
}
