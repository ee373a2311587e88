import Checkpoint
import CommandSupport

/// One thing that is wrong with a config.
struct ConfigProblem: Sendable {
  var place: ConfigPlace
  /// The keys that lead there, joined with `.`; empty for the whole.
  var path: String
  /// What was expected and found.
  var message: String
}

/// Everything that is wrong with a config, said at once.
struct ConfigErrors: Error, Sendable {
  /// The config, as the user named it, or the checkpoint that holds it.
  var file: String
  var problems: [ConfigProblem]

  /// A line for each problem, which editors can jump to, and what to do.
  var report: String {
    var lines = problems.prefix(Self.shown).map { "ckpt: error: \(line($0))" }
    if problems.count > Self.shown { lines.append("ckpt: error: and \(problems.count - Self.shown) more") }
    lines.append("  \(counted(problems.count, "problem")); nothing was run. \(advice)")
    return lines.joined(separator: "\n") + "\n"
  }

  private static let shown = 50

  func line(_ problem: ConfigProblem) -> String {
    var parts: [String] = []
    switch problem.place {
    case .mark(let line, let column): parts.append("\(file):\(line):\(column)")
    case .option(let text): parts.append("--set \(text)")
    case .stored: parts.append("the config in \(file)")
    }
    if !problem.path.isEmpty { parts.append(problem.path) }
    parts.append(problem.message)
    return printable(parts.joined(separator: ": "))
  }

  private var advice: String {
    if exitCode == Exit.usage { return "See ckpt train --help." }
    return "README.md, 'A run's config', has all keys and their defaults."
  }

  /// 64 where only the command line is wrong, else 65.
  var exitCode: Int32 {
    let isCommandLine = problems.allSatisfy { if case .option = $0.place { true } else { false } }
    return isCommandLine && !problems.isEmpty ? Exit.usage : Exit.badInput
  }
}

/// Collects problems while a config is read.
final class ConfigProblems {
  private(set) var all: [ConfigProblem] = []

  func add(_ place: ConfigPlace, _ path: String, _ message: String) {
    all.append(ConfigProblem(place: place, path: path, message: message))
  }

  func add(_ node: ConfigNode, _ path: String, expected: String) {
    add(node.place, path, "expected \(expected), found \(node.description)")
  }

  var isEmpty: Bool { all.isEmpty }

  /// In the file's order, those of the command line last.
  func sorted() -> [ConfigProblem] {
    func rank(_ place: ConfigPlace) -> (Int, Int) {
      if case .mark(let line, let column) = place { (line, column) } else { (.max, 0) }
    }
    return all.enumerated().sorted { a, b in
      let (x, y) = (rank(a.element.place), rank(b.element.place))
      return x == y ? a.offset < b.offset : x < y
    }.map(\.element)
  }
}
