import Checkpoint

/// JSON parsed into something that tests can ask.
indirect enum JSONTree: Equatable {
  case object([(String, JSONTree)])
  case array([JSONTree])
  case string(String)
  case number(String)
  case bool(Bool)
  case null

  init(_ text: String) throws {
    let bytes = Array(text.utf8)
    self = try bytes.withUnsafeBytes { buffer in
      var scanner = JSONScanner(buffer)
      let value = try JSONTree(&scanner)
      try scanner.end()
      return value
    }
  }

  private init(_ scanner: inout JSONScanner) throws {
    var first = true
    switch try scanner.peek() {
    case .object:
      var members: [(String, JSONTree)] = []
      try scanner.beginObject()
      while let key = try scanner.nextKey(first: &first) { members.append((key, try JSONTree(&scanner))) }
      self = .object(members)
    case .array:
      var items: [JSONTree] = []
      try scanner.beginArray()
      while try scanner.nextElement(first: &first) { items.append(try JSONTree(&scanner)) }
      self = .array(items)
    case .string: self = .string(try scanner.string())
    case .number: self = .number(try scanner.numberText())
    case .bool: self = .bool(try scanner.bool())
    case .null:
      try scanner.null()
      self = .null
    }
  }

  subscript(key: String) -> JSONTree? {
    if case .object(let members) = self { members.first { $0.0 == key }?.1 } else { nil }
  }

  var items: [JSONTree] { if case .array(let items) = self { items } else { [] } }
  var keys: [String] { if case .object(let members) = self { members.map(\.0) } else { [] } }
  var text: String? { if case .string(let text) = self { text } else { nil } }

  static func == (a: JSONTree, b: JSONTree) -> Bool {
    switch (a, b) {
    case (.object(let x), .object(let y)): x.count == y.count && zip(x, y).allSatisfy { $0.0 == $1.0 && $0.1 == $1.1 }
    case (.array(let x), .array(let y)): x == y
    case (.string(let x), .string(let y)), (.number(let x), .number(let y)): x == y
    case (.bool(let x), .bool(let y)): x == y
    case (.null, .null): true
    default: false
    }
  }
}
