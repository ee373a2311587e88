import Checkpoint
import Training

/// A map of a config while it is read: every key is asked for once, and what nobody asked for is unknown.
///
/// What does not fit is noted and the caller goes on with nothing, so that all problems come up at once.
struct ConfigFields {
  let entries: [ConfigNode.Entry]
  let place: ConfigPlace
  let path: String
  let problems: ConfigProblems
  private var asked: [String] = []

  /// - Parameter node: nothing (`relu:`) counts as an empty map; nil where the key is missing.
  init?(_ node: ConfigNode, _ path: String, _ problems: ConfigProblems) {
    place = node.place
    self.path = path
    self.problems = problems
    switch node.content {
    case .map(let entries): self.entries = entries
    case .scalar(.none): entries = []
    default:
      problems.add(node, path, expected: "a map")
      return nil
    }
  }

  func path(_ key: String) -> String { ConfigPath.join(path, key) }

  /// What is under a key; nil where there is nothing.
  mutating func node(_ key: String) -> ConfigNode? {
    asked.append(key)
    guard let entry = entries.first(where: { $0.key.hasSameBytes(as: key) }) else { return nil }
    if case .scalar(.none) = entry.value.content { return nil }
    return entry.value
  }

  /// Whether the key is there, without asking for it.
  func has(_ key: String) -> Bool { entries.contains { $0.key.hasSameBytes(as: key) } }

  /// Under a key that has to be there.
  mutating func required(_ key: String, _ what: String) -> ConfigNode? {
    if let node = node(key) { return node }
    let place = entries.first { $0.key.hasSameBytes(as: key) }?.place ?? self.place
    problems.add(place, path, "expected the key '\(key)', \(what); found \(found)")
    return nil
  }

  private var found: String {
    let names = entries.map { "'\($0.key)'" }.prefix(12)
    return names.isEmpty ? "nothing" : names.joined(separator: ", ")
  }

  /// Notes the keys that nobody asked for.
  func end() {
    for entry in entries where !asked.contains(where: { $0.hasSameBytes(as: entry.key) }) {
      let there = Set(entries.map(\.key))
      let left = asked.filter { !there.contains($0) }
      let hint = Suggestion.nearest(to: entry.key, in: left).map { "; did you mean '\($0)'?" }
      problems.add(
        entry.place, path,
        "there is no key '\(entry.key)' here" + (hint ?? Suggestion.hint(for: entry.key, in: asked)))
    }
    for (index, entry) in entries.enumerated()
    where entries[..<index].contains(where: { $0.key.hasSameBytes(as: entry.key) }) {
      problems.add(entry.place, path, "expected the key '\(entry.key)' once, found it twice")
    }
  }

  // MARK: - Values

  mutating func bool(_ key: String) -> Bool? {
    guard let node = node(key) else { return nil }
    if case .scalar(.bool(let flag)) = node.content { return flag }
    problems.add(node, path(key), expected: "true or false")
    return nil
  }

  mutating func text(_ key: String) -> String? {
    guard let node = node(key) else { return nil }
    return text(node, path(key), "a text")
  }

  func text(_ node: ConfigNode, _ path: String, _ what: String) -> String? {
    if case .scalar(.string(let text)) = node.content, !text.isEmpty { return text }
    problems.add(node, path, expected: what)
    return nil
  }

  /// One of these words.
  mutating func choice(_ key: String, _ words: [String]) -> String? {
    guard let node = node(key) else { return nil }
    if case .scalar(.string(let text)) = node.content {
      if words.contains(text) { return text }
      problems.add(
        node.place, path(key),
        "expected \(Self.alternatives(words)), found '\(text)'"
          + (Suggestion.nearest(to: text, in: words).map { "; did you mean '\($0)'?" } ?? ""))
      return nil
    }
    problems.add(node, path(key), expected: Self.alternatives(words))
    return nil
  }

  mutating func number(_ key: String, _ limit: Limit) -> Double? {
    guard let node = node(key) else { return nil }
    return number(node, path(key), limit)
  }

  func number(_ node: ConfigNode, _ path: String, _ limit: Limit) -> Double? {
    if let number = node.number, limit.accepts(number) { return number }
    problems.add(node, path, expected: limit.text)
    return nil
  }

  mutating func count(_ key: String, atLeast least: Int = 1, atMost most: Int = Limit.maxCount) -> Int? {
    guard let node = node(key) else { return nil }
    return count(node, path(key), atLeast: least, atMost: most)
  }

  func count(_ node: ConfigNode, _ path: String, atLeast least: Int, atMost most: Int = Limit.maxCount) -> Int? {
    if let number = node.whole, number >= least, number <= most { return number }
    let limit = node.whole.map { $0 > most } ?? false ? "from \(least) to \(most)" : "of \(least) or more"
    problems.add(node, path, expected: "a whole number \(limit)")
    return nil
  }

  /// One number, or a list of them.
  mutating func counts(_ key: String, atLeast least: Int = 1) -> [Int]? {
    guard let node = node(key) else { return nil }
    guard case .list(let items) = node.content else { return count(node, path(key), atLeast: least).map { [$0] } }
    guard !items.isEmpty else {
      problems.add(node.place, path(key), "expected whole numbers, found an empty list")
      return nil
    }
    let numbers = items.enumerated().map {
      count($0.element, ConfigPath.join(path(key), "\($0.offset)"), atLeast: least)
    }
    return numbers.contains(nil) ? nil : numbers.compactMap(\.self)
  }

  /// One number for both, or two: height and width.
  mutating func pair(_ key: String, atLeast least: Int = 1) -> Pair? {
    guard let node = node(key) else { return nil }
    guard let numbers = window(node, key, least) else { return nil }
    if numbers.count == 1 { return Pair(numbers[0], numbers[0]) }
    if numbers.count == 2 { return Pair(numbers[0], numbers[1]) }
    problems.add(node.place, path(key), "expected one whole number or two, found \(numbers.count)")
    return nil
  }

  private func window(_ node: ConfigNode, _ key: String, _ least: Int) -> [Int]? {
    guard case .list(let items) = node.content else {
      return count(node, path(key), atLeast: least, atMost: Limit.maxWindow).map { [$0] }
    }
    var numbers: [Int] = []
    for (index, item) in items.enumerated() {
      let place = ConfigPath.join(path(key), "\(index)")
      guard let number = count(item, place, atLeast: least, atMost: Limit.maxWindow) else { return nil }
      numbers.append(number)
    }
    return numbers
  }

  /// One text, or a list of them.
  mutating func texts(_ key: String, _ what: String) -> [Located<String>]? {
    guard let node = node(key) else { return nil }
    return texts(node, path(key), what)
  }

  func texts(_ node: ConfigNode, _ path: String, _ what: String) -> [Located<String>]? {
    guard case .list(let items) = node.content else {
      return text(node, path, what).map { [Located($0, node.place, path)] }
    }
    var texts: [Located<String>] = []
    for (index, item) in items.enumerated() {
      let itemPath = ConfigPath.join(path, "\(index)")
      guard let text = text(item, itemPath, "a text") else { continue }
      texts.append(Located(text, item.place, itemPath))
    }
    return texts
  }

  static func alternatives(_ words: [String]) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " or " + last
  }
}

/// A value, and where it was written.
struct Located<Wrapped: Sendable>: Sendable {
  var value: Wrapped
  var place: ConfigPlace
  var path: String

  init(_ value: Wrapped, _ place: ConfigPlace, _ path: String) {
    self.value = value
    self.place = place
    self.path = path
  }
}

/// Which numbers a key takes.
struct Limit: Sendable {
  var text: String
  var accepts: @Sendable (Double) -> Bool

  static let positive = Limit(text: "a number greater than 0") { $0 > 0 && $0.isFinite }
  static let notNegative = Limit(text: "a number of 0 or more") { $0 >= 0 && $0.isFinite }
  static let fraction = Limit(text: "a number from 0 to 1") { $0 >= 0 && $0 <= 1 }
  static let belowOne = Limit(text: "a number from 0 to below 1") { $0 >= 0 && $0 < 1 }
  static let finite = Limit(text: "a number") { $0.isFinite }

  static let maxCount = 1 << 40
  static let maxSize = 1 << 30
  static let maxWindow = 1 << 16
}

extension ConfigNode {
  var number: Double? {
    switch content {
    case .scalar(.double(let number)): number
    case .scalar(.int(let number)): Double(number)
    default: nil
    }
  }

  /// A whole number, however it is written: `1000`, `1e3`.
  var whole: Int? {
    switch content {
    case .scalar(.int(let number)): Int(exactly: number)
    case .scalar(.double(let number)): Int(exactly: number)
    default: nil
    }
  }
}
