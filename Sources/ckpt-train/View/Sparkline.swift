/// A curve in one line of text: `█▆▄▃▂▂▁`.
struct Sparkline {
  /// Means of equally many values each, oldest first.
  private(set) var points: [Double] = []
  /// How many values the last point, and each before it, is the mean of.
  private var span = 1
  private var open: (sum: Double, count: Int) = (0, 0)

  /// So many points are kept; when they are full, neighbours are joined, so that the curve shows the whole run.
  static let capacity = 64

  mutating func add(_ value: Double) {
    guard value.isFinite else { return }
    open = (open.sum + value, open.count + 1)
    guard open.count == span else { return }
    points.append(open.sum / Double(span))
    open = (0, 0)
    guard points.count == Self.capacity else { return }
    points = stride(from: 0, to: points.count, by: 2).map { (points[$0] + points[$0 + 1]) / 2 }
    span *= 2
  }

  /// The curve in at most `width` columns.
  func text(width: Int, blocks: [Character] = Self.blocks) -> String {
    let shown = sampled(width)
    guard let least = shown.min(), let most = shown.max(), shown.count > 1, !blocks.isEmpty else { return "" }
    return String(
      shown.map { value in
        let part = most > least ? (value - least) / (most - least) : 0
        return blocks[min(Int(part * Double(blocks.count)), blocks.count - 1)]
      })
  }

  /// The curve with fewer points where there is no room for all.
  private func sampled(_ width: Int) -> [Double] {
    let all = open.count > 0 ? points + [open.sum / Double(open.count)] : points
    guard width > 0 else { return [] }
    guard all.count > width else { return all }
    return (0..<width).map { column in
      let piece = all[(column * all.count / width)..<((column + 1) * all.count / width)]
      return piece.reduce(0, +) / Double(max(piece.count, 1))
    }
  }

  static let blocks: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
  /// For terminals without Unicode.
  static let plainBlocks: [Character] = ["_", ".", "-", "=", "^"]
}
