/// Where something lies in a checkpoint's tree: the keys and indices from the root.
public struct TreePath: Sendable, Hashable {
  public enum Step: Sendable, Hashable {
    /// An entry of a dictionary.
    case key(Key)
    /// An item of a list, tuple or set.
    case index(Int)
    /// A part of a record.
    case field(String)
    /// A part of a record that stands for the record: it has no text.
    case part(String)
    /// An attribute of a dictionary object, as a state dict's `_metadata`; its text has an `@` before the name.
    case attribute(String)

    public static func == (a: Step, b: Step) -> Bool {
      switch (a, b) {
      case (.key(let x), .key(let y)): x == y
      case (.index(let x), .index(let y)): x == y
      case (.field(let x), .field(let y)), (.part(let x), .part(let y)), (.attribute(let x), .attribute(let y)):
        x.hasSameBytes(as: y)
      default: false
      }
    }

    public func hash(into hasher: inout Hasher) {
      switch self {
      case .key(let key): hasher.combine(key)
      case .index(let index): hasher.combine(index)
      case .field(let name), .part(let name), .attribute(let name): hasher.combine(Key.string(name))
      }
    }
  }

  public var steps: [Step]

  public init(_ steps: [Step] = []) { self.steps = steps }

  /// The path one step further.
  public func appending(_ step: Step) -> TreePath { TreePath(steps + [step]) }

  /// The path as users write it: the steps joined with `.`, keys as their text. Two places may share one text, where
  /// a key holds a `.` itself.
  public var text: String {
    var text = ""
    var isFirst = true
    for step in steps where step.hasText {
      if !isFirst { text += "." }
      text += step.text
      isFirst = false
    }
    return text
  }

  /// The path as Python indexes it, which no other path shares: `['model']['fc.weight'][0]`.
  public var subscripts: String {
    steps.map { step in
      switch step {
      case .key(let key): "[\(key.literal)]"
      case .index(let index): "[\(index)]"
      case .field(let name), .part(let name), .attribute(let name): ".\(name)"
      }
    }.joined()
  }

  /// Whether this path is `other` or lies below it.
  public func isInside(_ other: TreePath) -> Bool { steps.starts(with: other.steps) }
}

extension TreePath.Step {
  /// The step as text: a string key as it is, an index in decimal.
  public var text: String {
    switch self {
    case .key(let key): key.text
    case .index(let index): String(index)
    case .field(let name): name
    case .part: ""
    case .attribute(let name): "@" + name
    }
  }

  /// Whether the step is seen in a path's text.
  public var hasText: Bool { if case .part = self { false } else { true } }
}

extension Record {
  /// The step to a field.
  public func step(to field: String) -> TreePath.Step { isTransparent(field) ? .part(field) : .field(field) }
}

extension Key {
  /// The key in a path: a string as it is, numbers in decimal, tuples and the rest as Python shows them.
  public var text: String {
    switch self {
    case .string(let text): text
    case .surrogateString(let bytes): String(decoding: bytes, as: UTF8.self)
    default: literal
    }
  }

  /// The key as Python writes it in source: `'fc.weight'`, `0`, `(1, 'a')`, `None`.
  public var literal: String {
    switch self {
    case .string(let text): "'\(text)'"
    case .surrogateString(let bytes): "'\(String(decoding: bytes, as: UTF8.self))'"
    case .int(let number): String(number)
    case .bigInt(let number): number.description
    case .bool(let flag): flag ? "True" : "False"
    case .double(let number): number.description
    case .none: "None"
    case .bytes(let bytes): Self.literal(of: bytes)
    case .tuple(let keys):
      keys.count == 1
        ? "(\(keys.map(\.literal).joined()),)" : "(\(keys.map(\.literal).joined(separator: ", ")))"
    case .token(_, let name): name
    }
  }

  private static func literal(of bytes: [UInt8]) -> String {
    var text = "b'"
    for byte in bytes {
      if byte >= 0x20, byte < 0x7F, byte != 0x27, byte != 0x5C {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16)
        text += digits.utf8.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
      }
    }
    return text + "'"
  }
}
