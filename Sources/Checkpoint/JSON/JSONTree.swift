/// JSON text as a tree: objects become dicts, arrays lists. `NaN`, `Infinity` and `-Infinity`, which Python writes though
/// JSON has no such words, are numbers.
public enum JSONTree {
  /// - Parameters:
  ///   - bytes: the whole text, in UTF-8.
  ///   - depth: how deep arrays and objects may lie in each other.
  /// - Throws: `damaged` for what is no JSON, lies too deep, or has a key twice.
  public static func value(_ bytes: UnsafeRawBufferPointer, depth: Int = 64) throws(CheckpointError) -> Value {
    var scanner = JSONScanner(bytes)
    let value = try value(&scanner, depth)
    try scanner.end()
    return value
  }

  private static func value(_ scanner: inout JSONScanner, _ depth: Int) throws(CheckpointError) -> Value {
    if let number = scanner.takeConstant() { return .double(number) }
    switch try scanner.peek() {
    case .object: return .dict(try object(&scanner, try below(depth)))
    case .array: return .sequence(.list, try array(&scanner, try below(depth)))
    case .string: return .string(try scanner.string())
    case .number: return try number(try scanner.numberText())
    case .bool: return .bool(try scanner.bool())
    case .null:
      try scanner.null()
      return .none
    }
  }

  private static func below(_ depth: Int) throws(CheckpointError) -> Int {
    guard depth > 0 else { throw CheckpointError(.damaged, "JSON that is nested too deep") }
    return depth - 1
  }

  private static func object(_ scanner: inout JSONScanner, _ depth: Int) throws(CheckpointError) -> Dict {
    var entries: [Dict.Entry] = []
    var known: Set<Key> = []
    try scanner.beginObject()
    var first = true
    while let name = try scanner.nextKey(first: &first) {
      guard known.insert(.string(name)).inserted else {
        throw CheckpointError(.damaged, "the key '\(name)' comes twice")
      }
      entries.append(Dict.Entry(.string(name), try value(&scanner, depth)))
    }
    return Dict(entries)
  }

  private static func array(_ scanner: inout JSONScanner, _ depth: Int) throws(CheckpointError) -> [Value] {
    var items: [Value] = []
    try scanner.beginArray()
    var first = true
    while try scanner.nextElement(first: &first) { items.append(try value(&scanner, depth)) }
    return items
  }

  private static func number(_ text: String) throws(CheckpointError) -> Value {
    if let number = Int64(text) { return .int(number) }
    if text.utf8.count <= 1000, let number = BigInt(decimal: text) { return .bigInt(number) }
    guard let number = Double(text) else { throw CheckpointError(.damaged, "'\(text.prefix(40))' is no number") }
    return .double(number)
  }
}
