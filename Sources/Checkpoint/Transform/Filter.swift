/// `--include` and `--exclude`, and which of their patterns found something.
struct Filter {
  private let include: [Glob]
  private let exclude: [Glob]
  private var usedIncludes: Set<Int> = []
  private var usedExcludes: Set<Int> = []

  init(include: [Glob], exclude: [Glob]) {
    self.include = include
    self.exclude = exclude
  }

  var isEmpty: Bool { include.isEmpty && exclude.isEmpty }
  var hasIncludes: Bool { !include.isEmpty }

  /// Whether a thing with any of these texts is wanted; it is where nothing particular is asked for.
  mutating func includes(_ texts: String...) -> Bool {
    include.isEmpty || Self.matches(include, texts, &usedIncludes)
  }

  mutating func excludes(_ texts: String...) -> Bool { Self.matches(exclude, texts, &usedExcludes) }

  /// Tries all patterns, so that each that fits counts as used.
  private static func matches(_ globs: [Glob], _ texts: [String], _ used: inout Set<Int>) -> Bool {
    var some = false
    for (index, glob) in globs.enumerated() where texts.contains(where: glob.matches) {
      used.insert(index)
      some = true
    }
    return some
  }

  /// A warning for each pattern that found nothing.
  var unused: [String] {
    include.indices.filter { !usedIncludes.contains($0) }.map { "--include '\(include[$0])' matches nothing" }
      + exclude.indices.filter { !usedExcludes.contains($0) }.map { "--exclude '\(exclude[$0])' matches nothing" }
  }
}
