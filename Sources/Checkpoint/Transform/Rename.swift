/// One rule for names: what a regular expression finds is replaced by a template, wherever it occurs in the name.
///
/// In the template `$1` or `\1` stands for a group (`$0` for all of it, `${1}` before a digit), `$$` for `$`, `\\` for `\`.
public struct Rename: Sendable {
  public let pattern: String
  public let template: String

  /// From `REGEX=TEMPLATE`, divided at the last `=`.
  ///
  /// - Throws: `usage` when there is no `=` or the expression is none.
  public init(_ text: String) throws(CheckpointError) {
    guard let equals = text.lastIndex(of: "="), equals != text.startIndex else {
      throw CheckpointError(.usage, "'\(text)' is no renaming; expected REGEX=TEMPLATE")
    }
    try self.init(pattern: String(text[..<equals]), template: String(text[text.index(after: equals)...]))
  }

  /// - Throws: `usage` when the expression is none.
  public init(pattern: String, template: String) throws(CheckpointError) {
    self.pattern = pattern
    self.template = template
    _ = try compiled()
  }

  fileprivate func compiled() throws(CheckpointError) -> Regex<AnyRegexOutput> {
    do {
      // By scalars: names are never normalised.
      return try Regex(pattern).matchingSemantics(.unicodeScalar)
    } catch {
      throw CheckpointError(.usage, "'\(pattern)' is no regular expression: \(error)")
    }
  }
}

/// All that changes names, ready for use.
struct Renamer {
  private struct Rule {
    let source: Rename
    let regex: Regex<AnyRegexOutput>
    let parts: [Part]
  }

  private enum Part {
    case text(String)
    case group(Int)
  }

  /// Notes which rules found something; shared by copies.
  private final class Usage {
    var prefixes: Set<Int> = []
    var rules: Set<Int> = []
  }

  private let prefixes: [String]
  private let rules: [Rule]
  private let usage = Usage()

  init(prefixes: [String], rules: [Rename]) throws(CheckpointError) {
    self.prefixes = prefixes
    var compiled: [Rule] = []
    for rule in rules {
      compiled.append(Rule(source: rule, regex: try rule.compiled(), parts: Self.parts(of: rule.template)))
    }
    self.rules = compiled
  }

  var isEmpty: Bool { prefixes.isEmpty && rules.isEmpty }

  /// A warning for each rule that found nothing.
  var unused: [String] {
    prefixes.indices.filter { !usage.prefixes.contains($0) }.map { "--strip-prefix '\(prefixes[$0])': no name has it" }
      + rules.indices.filter { !usage.rules.contains($0) }.map {
        "--rename '\(rules[$0].source.pattern)' matches no name"
      }
  }

  func rename(_ name: String) throws(CheckpointError) -> String {
    var name = stripped(name)
    for (index, rule) in rules.enumerated() {
      guard let renamed = try Self.apply(rule, to: name) else { continue }
      usage.rules.insert(index)
      name = renamed
    }
    return name
  }

  /// The entries under their new names.
  ///
  /// - Throws: `usage` when two get one name.
  func rename(_ entries: [Dict.Entry], in place: String) throws(CheckpointError) -> [Dict.Entry] {
    if isEmpty { return entries }
    var origins: [Key: Key] = [:]
    var result: [Dict.Entry] = []
    result.reserveCapacity(entries.count)
    for entry in entries {
      guard case .string(let name) = entry.key else {
        result.append(entry)
        continue
      }
      let key = Key.string(try rename(name))
      if let other = origins.updateValue(entry.key, forKey: key) {
        throw CheckpointError(
          .usage, "'\(other.text)' and '\(name)' would both be called '\(key.text)'", place: place.isEmpty ? nil : place
        )
      }
      result.append(Dict.Entry(key, entry.value))
    }
    return result
  }

  /// `_metadata` has the names of modules: they change as the names of the tensors in them do.
  func rename(metadata field: Record.Field) -> Record.Field {
    guard !isEmpty, field.name.hasSameBytes(as: "_metadata"), case .dict(var dict) = field.value else { return field }
    var places: [Key: Int] = [:]
    var kept: [Dict.Entry] = []
    for entry in dict.entries {
      let key = renamed(module: entry.key)
      // A wrapper's own entry gives way to that of the module it wrapped.
      if let place = places[key] {
        if key != entry.key { kept[place].value = entry.value }
        continue
      }
      places[key] = kept.count
      kept.append(Dict.Entry(key, entry.value))
    }
    dict.entries = kept
    return Record.Field(field.name, .dict(dict))
  }

  private func renamed(module key: Key) -> Key {
    guard case .string(let name) = key, !name.isEmpty else { return key }
    // A template that asks for a group that is not there was reported for the tensors' names already.
    guard var text = try? rename(name + ".") else { return key }
    if text.utf8.last == 0x2E { text.unicodeScalars.removeLast() }
    if text.hasSameBytes(as: name), let whole = try? rename(name) { text = whole }
    return .string(text)
  }

  /// Takes each prefix off once, as long as one is there.
  private func stripped(_ name: String) -> String {
    var bytes = name.utf8[...]
    var left = Array(prefixes.indices)
    while let at = left.firstIndex(where: { !prefixes[$0].isEmpty && bytes.starts(with: prefixes[$0].utf8) }) {
      usage.prefixes.insert(left[at])
      bytes = bytes.dropFirst(prefixes[left[at]].utf8.count)
      // A prefix given without its dot.
      if bytes.first == 0x2E { bytes = bytes.dropFirst() }
      left.remove(at: at)
    }
    return withoutInner(String(bytes) ?? name)
  }

  /// Some wrappers stand in the middle of names too.
  private func withoutInner(_ name: String) -> String {
    var name = name
    for index in prefixes.indices {
      let prefix = prefixes[index].utf8.last == 0x2E ? prefixes[index] : prefixes[index] + "."
      guard WrapperPrefix.inner.contains(prefix), let shorter = WrapperPrefix.removed(prefix, from: name[...].utf8)
      else { continue }
      usage.prefixes.insert(index)
      name = shorter
    }
    return name
  }
}

extension Renamer {
  /// The name after the rule, or nil where it finds nothing.
  private static func apply(_ rule: Rule, to name: String) throws(CheckpointError) -> String? {
    let found = name.matches(of: rule.regex)
    if found.isEmpty { return nil }
    var result = String.UnicodeScalarView()
    var at = name.startIndex
    for match in found {
      result.append(contentsOf: name.unicodeScalars[at..<match.range.lowerBound])
      for part in rule.parts {
        switch part {
        case .text(let text): result.append(contentsOf: text.unicodeScalars)
        case .group(let number):
          guard number < match.output.count else {
            throw CheckpointError(
              .usage,
              "the template '\(rule.source.template)' asks for group \(number), and '\(rule.source.pattern)' has "
                + "\(match.output.count - 1)")
          }
          if let text = match.output[number].substring { result.append(contentsOf: text.unicodeScalars) }
        }
      }
      at = match.range.upperBound
    }
    result.append(contentsOf: name.unicodeScalars[at...])
    return String(result)
  }

  private static func parts(of template: String) -> [Part] {
    var parts: [Part] = []
    var text = String.UnicodeScalarView()
    var rest = template.unicodeScalars[...]
    while let mark = rest.popFirst() {
      guard mark == "$" || mark == "\\" else {
        text.append(mark)
        continue
      }
      if rest.first == mark {
        text.append(mark)
        rest.removeFirst()
        continue
      }
      let braced = mark == "$" && rest.first == "{"
      let digits = (braced ? rest.dropFirst() : rest).prefix { ("0"..."9").contains($0) }
      let taken = braced ? digits : digits.prefix(1)
      let after = rest[taken.endIndex...]
      guard let number = Int(String(taken)), !braced || after.first == "}" else {
        text.append(mark)
        continue
      }
      if !text.isEmpty { parts.append(.text(String(text))) }
      text = String.UnicodeScalarView()
      parts.append(.group(number))
      rest = braced ? after.dropFirst() : after
    }
    if !text.isEmpty { parts.append(.text(String(text))) }
    return parts
  }
}
