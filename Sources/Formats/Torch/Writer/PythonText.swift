import Checkpoint

/// What Python's `str` gives for objects of the standard library that a checkpoint may hold, from how they are pickled.
enum PythonText {
  static func text(of name: String, _ arguments: [Value]) -> String? {
    switch name {
    case "datetime.datetime": return dateTime(arguments)
    case "datetime.date": return bytes(arguments, count: 4).map { date($0) }
    case "datetime.time": return bytes(arguments, count: 6).map { time($0[...]) }
    case "datetime.timedelta": return timeDelta(arguments)
    case _ where name.hasPrefix("pathlib.") && name.hasSuffix("Path"): return path(name, arguments)
    default: return single(arguments)
    }
  }

  /// An enum's value, a Decimal's digits, a UUID's text: whatever has one plain argument.
  private static func single(_ arguments: [Value]) -> String? {
    guard arguments.count == 1 else { return nil }
    switch arguments[0] {
    case .string(let text): return text
    case .int(let number): return "\(number)"
    case .bigInt(let number): return number.description
    case .double(let number): return "\(number)"
    case .bool(let flag): return flag ? "True" : "False"
    default: return nil
    }
  }

  private static func path(_ name: String, _ arguments: [Value]) -> String? {
    var parts: [String] = []
    for argument in arguments {
      guard case .string(let part) = argument else { return nil }
      parts.append(part)
    }
    guard !parts.isEmpty else { return "." }
    let separator = name.contains("Windows") ? "\\" : "/"
    let isRooted = parts[0].hasSuffix(separator)
    return isRooted ? parts[0] + parts.dropFirst().joined(separator: separator) : parts.joined(separator: separator)
  }

  private static func bytes(_ arguments: [Value], count: Int) -> [UInt8]? {
    guard let first = arguments.first, case .bytes(let bytes) = first, bytes.count == count else { return nil }
    return bytes
  }

  private static func padded(_ number: Int, _ digits: Int = 2) -> String {
    let text = "\(number)"
    return String(repeating: "0", count: max(digits - text.utf8.count, 0)) + text
  }

  private static func date(_ bytes: [UInt8]) -> String {
    "\(padded(Int(bytes[0]) << 8 | Int(bytes[1]), 4))-\(padded(Int(bytes[2] & 0x7F)))-\(padded(Int(bytes[3])))"
  }

  private static func time(_ bytes: ArraySlice<UInt8>) -> String {
    let b = Array(bytes)
    let microseconds = Int(b[3]) << 16 | Int(b[4]) << 8 | Int(b[5])
    let clock = "\(padded(Int(b[0] & 0x7F))):\(padded(Int(b[1]))):\(padded(Int(b[2])))"
    return microseconds == 0 ? clock : "\(clock).\(padded(microseconds, 6))"
  }

  private static func dateTime(_ arguments: [Value]) -> String? {
    // A second argument is a time zone, an object of its own; then the parts are kept.
    guard arguments.count == 1, let bytes = bytes(arguments, count: 10) else { return nil }
    return "\(date(bytes)) \(time(bytes[4...]))"
  }

  private static func timeDelta(_ arguments: [Value]) -> String? {
    guard arguments.count == 3, case .int(let days) = arguments[0], case .int(let seconds) = arguments[1],
      case .int(let microseconds) = arguments[2]
    else { return nil }
    let clock = "\(seconds / 3600):\(padded(Int(seconds / 60 % 60))):\(padded(Int(seconds % 60)))"
    let fraction = microseconds == 0 ? "" : ".\(padded(Int(microseconds), 6))"
    let before = days == 0 ? "" : "\(days) day\(days == 1 || days == -1 ? "" : "s"), "
    return before + clock + fraction
  }
}
