extension Value {
  /// All places whose path has this text, containers included. More than one only where a key holds a `.` itself.
  /// The empty text is the root.
  public func candidates(for text: String) -> [TreePath] {
    if text.isEmpty { return [TreePath()] }
    var found: [TreePath] = []
    var open: [(value: Value, path: TreePath, rest: Substring.UTF8View)] = [(self, TreePath(), text.utf8[...])]
    while let (value, path, rest) = open.popLast() {
      guard let children = Children(value, attributes: true) else { continue }
      var below: [(Value, TreePath, Substring.UTF8View)] = []
      for index in 0..<children.count {
        let (step, child) = children[index]
        guard step.hasText else {
          below.append((child, path.appending(step), rest))
          continue
        }
        let name = step.text.utf8
        guard rest.starts(with: name) else { continue }
        let after = rest.dropFirst(name.count)
        if after.isEmpty {
          found.append(path.appending(step))
        } else if after.first == 0x2E {
          below.append((child, path.appending(step), after.dropFirst()))
        }
      }
      open.append(contentsOf: below.reversed().map { ($0.0, $0.1, $0.2) })
    }
    return found
  }

  /// The one place whose path has this text.
  ///
  /// - Throws: `usage` when there is none (naming what is spelled nearly so) or several (listing them).
  public func find(_ text: String) throws(CheckpointError) -> TreePath {
    let found = candidates(for: text)
    if found.count == 1, let only = found.first { return only }
    guard found.isEmpty else {
      throw CheckpointError(
        .usage, "the path '\(text)' is ambiguous: \(found.map(\.subscripts).joined(separator: ", "))",
        advice: "Take a path further up that only one of them has.")
    }
    let near = nearMisses(for: text)
    throw CheckpointError(
      .usage, "there is nothing at the path '\(text)'",
      advice: near.isEmpty
        ? "ckpt inspect lists the paths of a file."
        : "Did you mean \(near.map { "'\($0)'" }.joined(separator: " or "))?")
  }

  /// Up to three paths that are spelled nearly like `text`, the nearest first.
  public func nearMisses(for text: String) -> [String] {
    let wanted = Array(text.utf8)
    let limit = max(wanted.count / 3, 2)
    var best: [(distance: Int, text: String)] = []
    forEachPath { candidate in
      guard abs(candidate.utf8.count - wanted.count) <= limit else { return }
      let distance = editDistance(wanted, Array(candidate.utf8), limit: limit)
      guard distance <= limit, distance < best.last?.distance ?? .max || best.count < 3 else { return }
      best.insert((distance, candidate), at: best.firstIndex { $0.distance > distance } ?? best.count)
      if best.count > 3 { best.removeLast() }
    }
    return best.map(\.text)
  }

  /// Calls `body` with the text of each path, containers included.
  private func forEachPath(_ body: (String) -> Void) {
    var open: [(value: Value, text: String)] = [(self, "")]
    while let (value, text) = open.popLast() {
      guard let children = Children(value, attributes: false) else { continue }
      for index in 0..<children.count {
        let (step, child) = children[index]
        let below = !step.hasText ? text : text.isEmpty ? step.text : "\(text).\(step.text)"
        if step.hasText { body(below) }
        open.append((child, below))
      }
    }
  }
}
