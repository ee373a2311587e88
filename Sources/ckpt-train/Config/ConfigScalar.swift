import Checkpoint

extension Value {
  /// A plain (unquoted) scalar as YAML 1.2 understands it, and what people write besides: `1e-3` and `.5` are numbers,
  /// `1_000` is one too, `yes` and `on` are texts.
  init(plainScalar text: String) {
    switch text {
    case "", "~", "null", "Null", "NULL": self = .none
    case "true", "True", "TRUE": self = .bool(true)
    case "false", "False", "FALSE": self = .bool(false)
    case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": self = .double(.infinity)
    case "-.inf", "-.Inf", "-.INF": self = .double(-.infinity)
    case ".nan", ".NaN", ".NAN": self = .double(.nan)
    default: self = Self.number(text) ?? .string(text)
    }
  }

  private static func number(_ text: String) -> Value? {
    var rest = Array(text.utf8)[...]
    guard rest.count <= 64 else { return nil }
    if rest.first == 0x2B || rest.first == 0x2D { rest.removeFirst() }
    if rest.starts(with: Array("0x".utf8)), rest.count > 2 {
      return Int64(text.filter { $0 != "_" }.replacingHexPrefix, radix: 16).map(Value.int)
    }
    guard isDecimal(rest) else { return nil }
    let digits = String(decoding: text.utf8.filter { $0 != 0x5F }, as: UTF8.self)
    let isWhole = rest.allSatisfy { $0 >= 0x30 && $0 <= 0x39 || $0 == 0x5F }
    if isWhole, let number = Int64(digits) { return .int(number) }
    return Double(digits).map(Value.double)
  }

  /// Digits, perhaps with a point, perhaps with an exponent; `_` between digits.
  private static func isDecimal(_ text: ArraySlice<UInt8>) -> Bool {
    var rest = text
    let whole = takeDigits(&rest)
    var fraction = 0
    if rest.first == 0x2E {
      rest.removeFirst()
      fraction = takeDigits(&rest)
    }
    guard whole + fraction > 0 else { return false }
    if rest.first == 0x65 || rest.first == 0x45 {
      rest.removeFirst()
      if rest.first == 0x2B || rest.first == 0x2D { rest.removeFirst() }
      guard takeDigits(&rest) > 0 else { return false }
    }
    return rest.isEmpty
  }

  private static func takeDigits(_ rest: inout ArraySlice<UInt8>) -> Int {
    var count = 0
    while let byte = rest.first, byte >= 0x30 && byte <= 0x39 || byte == 0x5F && count > 0 {
      rest.removeFirst()
      count += 1
    }
    return count
  }
}

extension String {
  fileprivate var replacingHexPrefix: String {
    guard let x = firstIndex(of: "x") else { return self }
    return (hasPrefix("-") ? "-" : "") + self[index(after: x)...]
  }
}
