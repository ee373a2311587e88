import Checkpoint

/// A tensor-free value as typed JSON: plain where JSON has the type, a one-member object `{"%type": …}` where not.
///
/// `null`, `true`, `12`, `0.5`, `"text"`, lists and plain dictionaries with string keys stand as they are. A number
/// with `.`, an exponent or `%double` is a float, any other an integer.
enum PackedJSON {
  /// - Precondition of use: `value` holds no tensor (`holdsTensor` says so).
  static func text(_ value: Value) -> String {
    String(decoding: bytes(value), as: UTF8.self)
  }

  static func bytes(_ value: Value) -> [UInt8] {
    var writer = JSONWriter()
    write(value, to: &writer)
    return writer.bytes
  }

  /// Attributes of a dictionary object, as a dict of them.
  static func text(attributes: [Record.Field]) -> String {
    text(.dict(Dict(attributes.map { Dict.Entry(.string($0.name), $0.value) })))
  }

  /// How many arrays and objects lie inside each other.
  static func nesting(of json: some Collection<UInt8>) -> Int {
    var (depth, deepest) = (0, 0)
    var (inText, escaped) = (false, false)
    for byte in json {
      if inText {
        if escaped { escaped = false } else if byte == 0x5C { escaped = true } else if byte == 0x22 { inText = false }
        continue
      }
      switch byte {
      case 0x22: inText = true
      case 0x5B, 0x7B:
        depth += 1
        deepest = max(deepest, depth)
      case 0x5D, 0x7D: depth -= 1
      default: break
      }
    }
    return deepest
  }

  /// The type of the records that stand for tensors, in texts that have any: `{"%tensor": …}` has their one field.
  static let tensor = "%tensor"

  /// - Parameter nesting: how many arrays and objects may lie inside each other.
  /// - Throws: `damaged` with the offset.
  static func value(
    _ bytes: [UInt8], nesting: Int = Vocabulary.maximumNesting + 1
  ) throws(CheckpointError) -> Value {
    var failure: CheckpointError?
    let value = bytes.withUnsafeBytes { buffer -> Value? in
      do throws(CheckpointError) {
        var scanner = JSONScanner(buffer)
        let value = try read(&scanner, depth: nesting)
        try scanner.end()
        return value
      } catch {
        failure = error
        return nil
      }
    }
    if let failure { throw failure }
    return value ?? .none
  }
}

// MARK: - Writing

extension PackedJSON {
  private static func write(_ value: Value, to writer: inout JSONWriter) {
    switch value {
    case .none: writer.null()
    case .bool(let x): writer.bool(x)
    case .int(let x): writer.int(Int(x))
    case .bigInt(let x): tagged("%int", &writer) { $0.string(x.description) }
    case .double(let x): write(x, to: &writer)
    case .complex(let re, let im):
      tagged("%complex", &writer) { array([.double(re), .double(im)], &$0) }
    case .string(let x): writer.string(x)
    case .surrogateString(let x): tagged("%surrogates", &writer) { $0.string(hex(x)) }
    case .bytes(let x): tagged("%bytes", &writer) { $0.string(hex(x)) }
    case .byteArray(let x): tagged("%bytearray", &writer) { $0.string(hex(x)) }
    case .sequence(.list, let items): array(items, &writer)
    case .sequence(let kind, let items): tagged("%\(kind.rawValue)", &writer) { array(items, &$0) }
    case .dict(let dict): write(dict, to: &writer)
    case .tensor: writer.null()  // never: the callers ask `holdsTensor` first
    case .size(let sizes): tagged("%size", &writer) { array(sizes.map(Value.int), &$0) }
    case .token(let kind, let text):
      tagged("%token", &writer) { array([.string(kind.rawValue), .string(text)], &$0) }
    case .record(let record) where record.type == tensor && record.fields.count == 1:
      tagged(tensor, &writer) { write(record.fields[0].value, to: &$0) }
    case .record(let record):
      tagged("%record", &writer) { writer in
        writer.beginArray()
        writer.string(record.type)
        fields(record.fields, &writer)
        writer.endArray()
      }
    }
  }

  private static func write(_ value: Double, to writer: inout JSONWriter) {
    guard value.isFinite else {
      return tagged("%double", &writer) { $0.string(String(value.bitPattern, radix: 16)) }
    }
    writer.double(value)
  }

  private static func write(_ dict: Dict, to writer: inout JSONWriter) {
    if let names = plainNames(dict) {
      writer.beginObject()
      for (name, entry) in zip(names, dict.entries) {
        writer.key(name)
        write(entry.value, to: &writer)
      }
      return writer.endObject()
    }
    tagged("%dict", &writer) { writer in
      writer.beginArray()
      writer.string(kindText(dict.kind))
      writer.string(factory(of: dict.kind))
      writer.beginArray()
      for entry in dict.entries { array([entry.key.value, entry.value], &writer) }
      writer.endArray()
      fields(dict.attributes, &writer)
      writer.endArray()
    }
  }

  /// The keys where the dictionary can stand as a JSON object: plain, string keys, none that looks like a type.
  private static func plainNames(_ dict: Dict) -> [String]? {
    guard dict.kind == .plain, dict.attributes.isEmpty else { return nil }
    var names: [String] = []
    for entry in dict.entries {
      guard case .string(let name) = entry.key, name.utf8.first != 0x25 else { return nil }
      names.append(name)
    }
    return names
  }

  private static func tagged(_ name: String, _ writer: inout JSONWriter, _ body: (inout JSONWriter) -> Void) {
    writer.beginObject()
    writer.key(name)
    body(&writer)
    writer.endObject()
  }

  private static func array(_ items: [Value], _ writer: inout JSONWriter) {
    writer.beginArray()
    for item in items { write(item, to: &writer) }
    writer.endArray()
  }

  /// `[[name, value], …]`: an object would merge fields of one name.
  private static func fields(_ fields: [Record.Field], _ writer: inout JSONWriter) {
    writer.beginArray()
    for field in fields { array([.string(field.name), field.value], &writer) }
    writer.endArray()
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The name of a dictionary's kind, as the `kind` attribute and packed JSON have it.
  static func kindText(_ kind: Dict.Kind) -> String {
    switch kind {
    case .plain: "dict"
    case .ordered: "OrderedDict"
    case .counter: "Counter"
    case .defaultDict: "defaultdict"
    }
  }

  static func factory(of kind: Dict.Kind) -> String {
    if case .defaultDict(let factory) = kind { factory } else { "" }
  }

  static func dictKind(_ text: String, factory: String) throws(CheckpointError) -> Dict.Kind {
    switch text {
    case "dict": return .plain
    case "OrderedDict": return .ordered
    case "Counter": return .counter
    case "defaultdict": return .defaultDict(factory: factory)
    default: throw CheckpointError(.damaged, "\"\(text)\" is no kind of dictionary")
    }
  }
}

// MARK: - Reading

extension PackedJSON {
  private static func read(_ scanner: inout JSONScanner, depth: Int) throws(CheckpointError) -> Value {
    guard depth > 0 else { throw scanner.failure("less nesting") }
    switch try scanner.peek() {
    case .null:
      try scanner.null()
      return .none
    case .bool: return .bool(try scanner.bool())
    case .string: return .string(try scanner.string())
    case .number: return try number(&scanner)
    case .array: return .sequence(.list, try items(&scanner, depth: depth))
    case .object: return try object(&scanner, depth: depth)
    }
  }

  private static func number(_ scanner: inout JSONScanner) throws(CheckpointError) -> Value {
    let text = try scanner.numberText()
    if let value = Int64(text) { return .int(value) }
    guard let value = Double(text), value.isFinite else { throw scanner.failure("a number") }
    return .double(value)
  }

  private static func items(_ scanner: inout JSONScanner, depth: Int) throws(CheckpointError) -> [Value] {
    var items: [Value] = []
    var first = true
    try scanner.beginArray()
    while try scanner.nextElement(first: &first) { items.append(try read(&scanner, depth: depth - 1)) }
    return items
  }

  private static func object(_ scanner: inout JSONScanner, depth: Int) throws(CheckpointError) -> Value {
    var entries: [Dict.Entry] = []
    var first = true
    try scanner.beginObject()
    while let name = try scanner.nextKey(first: &first) {
      if name.utf8.first == 0x25 {
        guard entries.isEmpty else { throw scanner.failure("no type among the members of a dictionary") }
        let value = try tagged(name, &scanner, depth: depth)
        guard try scanner.nextKey(first: &first) == nil else { throw scanner.failure("}") }
        return value
      }
      entries.append(Dict.Entry(.string(name), try read(&scanner, depth: depth - 1)))
    }
    return .dict(Dict(entries))
  }

  private static func tagged(
    _ name: String, _ scanner: inout JSONScanner, depth: Int
  ) throws(CheckpointError) -> Value {
    let body = try read(&scanner, depth: depth - 1)
    switch (name, body) {
    case ("%int", .string(let text)):
      if let value = BigInt(decimal: text) { return .bigInt(value) }
    case ("%double", .string(let text)):
      if let bits = UInt64(text, radix: 16) { return .double(Double(bitPattern: bits)) }
    case ("%complex", .sequence(.list, let items)):
      if items.count == 2, case .double(let re) = items[0], case .double(let im) = items[1] { return .complex(re, im) }
    case ("%surrogates", .string(let text)):
      if let bytes = [UInt8](hex: text.utf8), Surrogates.areAllThatIsWrong(with: bytes) {
        return .surrogateString(bytes)
      }
    case ("%bytes", .string(let text)):
      if let bytes = [UInt8](hex: text.utf8) { return .bytes(bytes) }
    case ("%bytearray", .string(let text)):
      if let bytes = [UInt8](hex: text.utf8) { return .byteArray(bytes) }
    case ("%tuple", .sequence(.list, let items)): return .sequence(.tuple, items)
    case ("%set", .sequence(.list, let items)): return .sequence(.set, items)
    case ("%frozenset", .sequence(.list, let items)): return .sequence(.frozenset, items)
    case ("%size", .sequence(.list, let items)): if let sizes = integers(items) { return .size(sizes) }
    case ("%token", .sequence(.list, let items)):
      if items.count == 2, case .string(let kind) = items[0], case .string(let text) = items[1],
        let token = Value.Token(rawValue: kind)
      {
        return .token(token, text)
      }
    case ("%record", .sequence(.list, let items)):
      if items.count == 2, case .string(let type) = items[0], let fields = fields(items[1]) {
        return .record(Record(type, fields))
      }
    case (tensor, let body): return .record(Record(tensor, [Record.Field("value", body)]))
    case ("%dict", .sequence(.list, let items)): if let dict = try dict(items) { return .dict(dict) }
    default: break
    }
    throw scanner.failure("a value of the type \"\(name)\"")
  }

  private static func integers(_ items: [Value]) -> [Int64]? {
    var result: [Int64] = []
    for item in items {
      guard case .int(let value) = item else { return nil }
      result.append(value)
    }
    return result
  }

  private static func fields(_ value: Value) -> [Record.Field]? {
    guard case .sequence(.list, let pairs) = value else { return nil }
    var fields: [Record.Field] = []
    for pair in pairs {
      guard case .sequence(.list, let parts) = pair, parts.count == 2, case .string(let name) = parts[0] else {
        return nil
      }
      fields.append(Record.Field(name, parts[1]))
    }
    return fields
  }

  private static func dict(_ items: [Value]) throws(CheckpointError) -> Dict? {
    guard items.count == 4, case .string(let kind) = items[0], case .string(let factory) = items[1],
      case .sequence(.list, let pairs) = items[2], let attributes = fields(items[3])
    else { return nil }
    var entries: [Dict.Entry] = []
    for pair in pairs {
      guard case .sequence(.list, let parts) = pair, parts.count == 2, let key = Key(parts[0]) else { return nil }
      entries.append(Dict.Entry(key, parts[1]))
    }
    return Dict(entries, kind: try dictKind(kind, factory: factory), attributes: attributes)
  }
}

extension Dict {
  /// Whether the attributes are more bytes of packed JSON than `limit`.
  func attributesExceed(_ limit: Int) -> Bool {
    !attributes.isEmpty && PackedJSON.text(attributes: attributes).utf8.count > limit
  }
}

extension Value {
  /// Whether a tensor is among or below the attributes of this dictionary object.
  var attributesHoldTensor: Bool {
    guard case .dict(let dict) = self else { return false }
    return dict.attributes.contains(where: \.value.holdsTensor)
  }

  /// Whether there is an integer with more digits than a reader takes.
  var holdsOversizedInteger: Bool {
    switch self {
    // 4300 digits take 1786 bytes, and turning far more into text would take long.
    case .bigInt(let number):
      number.bytes.count > 1785
        && (number.bytes.count > 1800 || number.description.utf8.count { $0 != 0x2D } > BigInt.maximumDigits)
    case .sequence(_, let items): items.contains(where: \.holdsOversizedInteger)
    case .dict(let dict):
      dict.entries.contains { $0.key.value.holdsOversizedInteger || $0.value.holdsOversizedInteger }
        || dict.attributes.contains(where: \.value.holdsOversizedInteger)
    case .record(let record): record.fields.contains(where: \.value.holdsOversizedInteger)
    default: false
    }
  }

  /// Whether a tensor is anywhere below. The recursion is as deep as the tree.
  var holdsTensor: Bool {
    switch self {
    case .tensor: true
    case .sequence(_, let items): items.contains(where: \.holdsTensor)
    case .dict(let dict):
      dict.entries.contains(where: \.value.holdsTensor) || dict.attributes.contains(where: \.value.holdsTensor)
    case .record(let record): record.fields.contains(where: \.value.holdsTensor)
    default: false
    }
  }
}
