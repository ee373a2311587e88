/// A shell pattern over text: `*` is any run (dots included), `?` one character, `[a-z]` one of a set, `[!a-z]` one
/// outside it, and `\` makes the next character plain. A `[` that is never closed is plain too.
///
/// It works on Unicode scalars and normalises nothing: a letter and its decomposed form are two names.
public struct Glob: Sendable, CustomStringConvertible {
  /// The pattern as it was written.
  public let pattern: String
  private let parts: [Part]

  fileprivate enum Part {
    case run
    case any
    case plain(UInt32)
    case set([ClosedRange<UInt32>], negated: Bool)
  }

  public init(_ pattern: String) {
    self.pattern = pattern
    var parts: [Part] = []
    let scalars = pattern.unicodeScalars.map(\.value)
    var at = 0
    while at < scalars.count {
      switch scalars[at] {
      case Self.star: if !parts.endsWithRun { parts.append(.run) }
      case Self.question: parts.append(.any)
      case Self.backslash where at + 1 < scalars.count:
        at += 1
        parts.append(.plain(scalars[at]))
      case Self.open:
        if let (set, end) = Self.set(in: scalars, from: at + 1) {
          parts.append(set)
          at = end
        } else {
          parts.append(.plain(scalars[at]))
        }
      default: parts.append(.plain(scalars[at]))
      }
      at += 1
    }
    self.parts = parts
  }

  public var description: String { pattern }

  /// Whether the pattern has no wildcard and so names one thing.
  public var isLiteral: Bool {
    parts.allSatisfy { if case .plain = $0 { true } else { false } }
  }

  /// The text before the first wildcard.
  public var literalPrefix: String {
    var prefix = String.UnicodeScalarView()
    for part in parts {
      guard case .plain(let code) = part, let scalar = Unicode.Scalar(code) else { break }
      prefix.append(scalar)
    }
    return String(prefix)
  }

  /// Whether the whole of `text` fits the pattern.
  public func matches(_ text: String) -> Bool {
    var rest = text.unicodeScalars[...]
    var part = 0
    var retry: (part: Int, rest: Substring.UnicodeScalarView)?
    while true {
      if part < parts.count {
        if case .run = parts[part] {
          part += 1
          if part == parts.count { return true }
          retry = (part, rest)
          continue
        }
        if let scalar = rest.first, parts[part].accepts(scalar.value) {
          rest.removeFirst()
          part += 1
          continue
        }
      } else if rest.isEmpty {
        return true
      }
      // No fit here: the latest run takes one scalar more.
      guard let last = retry, !last.rest.isEmpty else { return false }
      rest = last.rest.dropFirst()
      part = last.part
      retry = (part, rest)
    }
  }

  private static let star: UInt32 = 0x2A
  private static let question: UInt32 = 0x3F
  private static let backslash: UInt32 = 0x5C
  private static let open: UInt32 = 0x5B
  private static let close: UInt32 = 0x5D
  private static let dash: UInt32 = 0x2D

  /// The set whose first character is at `start`, and where its `]` is. A `]` that comes first is a member.
  private static func set(in scalars: [UInt32], from start: Int) -> (Part, Int)? {
    var at = start
    let negated = at < scalars.count && (scalars[at] == 0x21 || scalars[at] == 0x5E)
    if negated { at += 1 }
    let first = at
    var ranges: [ClosedRange<UInt32>] = []
    while at < scalars.count, scalars[at] != close || at == first {
      let low = scalars[at]
      if at + 2 < scalars.count, scalars[at + 1] == dash, scalars[at + 2] != close {
        if low <= scalars[at + 2] { ranges.append(low...scalars[at + 2]) }
        at += 3
      } else {
        ranges.append(low...low)
        at += 1
      }
    }
    return at < scalars.count ? (.set(ranges, negated: negated), at) : nil
  }
}

extension Glob.Part {
  fileprivate func accepts(_ code: UInt32) -> Bool {
    switch self {
    case .run: false
    case .any: true
    case .plain(let expected): code == expected
    case .set(let ranges, let negated): ranges.contains { $0.contains(code) } != negated
    }
  }
}

extension [Glob.Part] {
  fileprivate var endsWithRun: Bool {
    if case .run? = last { true } else { false }
  }
}

extension [Glob] {
  /// Whether any of the patterns fits `text`.
  public func matches(_ text: String) -> Bool { contains { $0.matches(text) } }
}
