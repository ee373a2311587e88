/// Finds what somebody may have meant.
enum Suggestion {
  /// The candidate that is nearest to `word`, if one is near.
  static func nearest(to word: String, in candidates: [String]) -> String? {
    let word = plain(word)
    let limit = max(1, word.count / 3)
    var best: (distance: Int, text: String)?
    for candidate in candidates {
      let other = plain(candidate)
      guard abs(other.count - word.count) <= limit else { continue }
      let distance = Self.distance(word, other)
      if distance <= limit, distance < best?.distance ?? .max { best = (distance, candidate) }
    }
    return best?.text
  }

  /// `; did you mean 'x'?`, or what there is to choose from.
  static func hint(for word: String, in candidates: [String]) -> String {
    if let near = nearest(to: word, in: candidates) { return "; did you mean '\(near)'?" }
    guard !candidates.isEmpty, candidates.count <= 24 else { return "" }
    return "; possible are \(candidates.joined(separator: ", "))"
  }

  /// Case, `-` and `_` are what people get wrong first.
  private static func plain(_ text: String) -> [UInt8] {
    text.lowercased().utf8.prefix(64).filter { $0 != 0x5F && $0 != 0x2D && $0 != 0x20 }
  }

  /// How many letters have to be changed, added, left out or swapped with their neighbour.
  static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var least = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, before[j - 1] + 1) }
        row.append(least)
      }
      (before, last) = (last, row)
    }
    return last[b.count]
  }
}
