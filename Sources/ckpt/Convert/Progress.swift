import Checkpoint
import CommandSupport
import Synchronization

/// A bar on standard error, drawn only on a terminal and only once the work has taken half a second.
final class Progress: Sendable {
  private let total: Int
  private let start = ContinuousClock.now
  private let isOn: Bool
  private let done = Atomic<Int>(0)
  /// When the bar was drawn last, in milliseconds; nil before the first time.
  private let drawn = Mutex<Int?>(nil)

  init(total: Int, isOn: Bool) {
    self.total = total
    self.isOn = isOn && total > 0
  }

  /// More bytes are done. Called from several threads.
  func advance(_ bytes: Int) {
    let now = done.add(bytes, ordering: .relaxed).newValue
    guard isOn else { return }
    let elapsed = milliseconds
    guard elapsed > 500 else { return }
    let line = drawn.withLock { last -> String? in
      if let last, elapsed - last < 100 { return nil }
      last = elapsed
      return Self.line(done: now, total: total, milliseconds: elapsed, width: Terminal.errorWidth)
    }
    if let line { Terminal.writeError("\r\(line)\u{1B}[K") }
  }

  /// Takes the bar away.
  func end() {
    if drawn.withLock({ $0 != nil }) { Terminal.writeError("\r\u{1B}[K") }
  }

  private var milliseconds: Int {
    let (seconds, attoseconds) = (ContinuousClock.now - start).components
    return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
  }

  /// `[#####.....]  50 %  1.2 GB of 2.4 GB, 800 MB/s`, in fewer than `width` columns: a line that wraps cannot be
  /// drawn over.
  static func line(done: Int, total: Int, milliseconds: Int, width: Int) -> String {
    let part = min(Double(done) / Double(max(total, 1)), 1)
    let rate = Double(done) / Double(max(milliseconds, 1)) * 1000
    let words = "\(Int(part * 100)) %  \(size(done)) of \(size(total)), \(size(Int(rate)))/s"
    let room = min(30, width - columns(words) - 4)
    guard room >= 4 else { return cut(words, to: max(width - 1, 1)) }
    let filled = Int(part * Double(room))
    return "[\(String(repeating: "#", count: filled) + String(repeating: ".", count: room - filled))] \(words)"
  }
}
