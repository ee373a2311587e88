import Checkpoint

/// Writes a config as YAML that reads back the same.
enum ConfigWriter {
  static func text(_ node: ConfigNode, indent: Int = 0) -> String {
    let space = String(repeating: " ", count: indent)
    switch node.content {
    case .scalar(let value): return space + scalar(value) + "\n"
    case .list(let items) where items.isEmpty: return "\(space)[]\n"
    case .map(let entries) where entries.isEmpty: return "\(space){}\n"
    case .list(let items):
      return items.map { item in
        let inner = text(item, indent: indent + 2)
        return "\(space)- \(inner.dropFirst(indent + 2))"
      }.joined()
    case .map(let entries):
      return entries.map { entry in
        let key = "\(space)\(string(entry.key)):"
        if let line = flat(entry.value) { return "\(key) \(line)\n" }
        return "\(key)\n\(text(entry.value, indent: indent + 2))"
      }.joined()
    }
  }

  /// A value that goes on one line: plain values, lists of them, and what is empty.
  private static func flat(_ node: ConfigNode) -> String? {
    switch node.content {
    case .scalar(let value): return scalar(value)
    case .map(let entries): return entries.isEmpty ? "{}" : nil
    case .list(let items):
      var parts: [String] = []
      for item in items {
        guard case .scalar(let value) = item.content else { return nil }
        parts.append(scalar(value))
      }
      return "[\(parts.joined(separator: ", "))]"
    }
  }

  private static func scalar(_ value: Value) -> String {
    switch value {
    case .bool(let flag): "\(flag)"
    case .int(let number): "\(number)"
    case .double(let number):
      number.isFinite ? "\(number)" : number.isNaN ? ".nan" : number < 0 ? "-.inf" : ".inf"
    case .string(let text): string(text)
    default: "null"
    }
  }

  private static func string(_ text: String) -> String {
    let isPlain =
      (text.utf8.first.map(isLetter) ?? false)
      && text.utf8.allSatisfy { isLetter($0) || $0 >= 0x30 && $0 <= 0x39 || "_./-".utf8.contains($0) }
    if isPlain, case .string = Value(plainScalar: text) { return text }
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case _
      where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.value == 0x2028
        || scalar.value == 0x2029 || scalar.value == 0xFEFF:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  private static func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }
}
