import Checkpoint
import CommandSupport

extension Value {
  /// The value as Python would show it, printable, in at most about `limit` characters.
  func text(limit: Int = .max) -> String {
    var writer = ValueWriter(limit: limit)
    writer.write(self)
    return writer.text
  }
}

/// Writes values as Python's `repr` does, and stops where there is no room left.
private struct ValueWriter {
  let limit: Int
  private(set) var text = ""
  private var isFull = false

  init(limit: Int) { self.limit = limit }

  mutating func write(_ value: Value) {
    switch value {
    case .none: put("None")
    case .bool(let flag): put(flag ? "True" : "False")
    case .int(let number): put(String(number))
    case .bigInt(let number): put(number.description)
    case .double(let number): put(python(number))
    case .complex(let re, let im): put("(\(python(re))\(im.sign == .minus ? "" : "+")\(python(im))j)")
    case .string(let text): put("'\(shortText(text))'")
    case .surrogateString(let bytes): put("'\(shortText(String(decoding: bytes, as: UTF8.self)))'")
    case .bytes(let bytes): put("bytes of length \(bytes.count)")
    case .byteArray(let bytes): put("bytearray of length \(bytes.count)")
    case .tensor(let tensor): write(tensor)
    case .size(let sizes): put("torch.Size(\(sizes))")
    case .token(let kind, let name): put(kind == .dtype ? "torch.\(printable(name))" : printable(name))
    case .sequence(let kind, let items): write(kind, items)
    case .dict(let dict): write(dict)
    case .record(let record): write(record)
    }
  }

  private mutating func write(_ kind: Value.Sequence, _ items: [Value]) {
    let brackets =
      switch kind {
      case .list: ("[", "]")
      case .tuple: ("(", items.count == 1 ? ",)" : ")")
      case .set: items.isEmpty ? ("set(", ")") : ("{", "}")
      case .frozenset: ("frozenset({", "})")
      }
    put(brackets.0)
    separated(items.count) { $0.write(items[$1]) }
    put(brackets.1)
  }

  private mutating func write(_ dict: Dict) {
    put("{")
    separated(dict.count) { writer, index in
      writer.put("\(printable(dict.entries[index].key.literal)): ")
      writer.write(dict.entries[index].value)
    }
    put("}")
  }

  private mutating func write(_ record: Record) {
    var name = record.type
    if case .string(let text)? = record["class"] { name = text }
    put("\(printable(name))(")
    let fields = record.fields.filter { !$0.name.hasSameBytes(as: "class") }
    separated(fields.count) { writer, index in
      writer.put("\(printable(fields[index].name))=")
      writer.write(fields[index].value)
    }
    put(")")
  }

  /// A scalar as its number, anything larger as what it is.
  private mutating func write(_ tensor: Tensor) {
    if tensor.shape.isEmpty, let text = Elements.texts(of: tensor, count: 1).first {
      put("tensor(\(text))")
    } else {
      put("\(tensor.dtype.rawValue) \(shape(tensor.shape))")
    }
  }

  private mutating func separated(_ count: Int, _ body: (inout ValueWriter, Int) -> Void) {
    for index in 0..<count {
      if isFull { return }
      if index > 0 { put(", ") }
      if text.utf8.count > limit { return stop() }
      body(&self, index)
    }
  }

  private mutating func put(_ part: String) { if !isFull { text += part } }

  private mutating func stop() {
    text += "…"
    isFull = true
  }

  private func shortText(_ text: String) -> String {
    let text = printable(text)
    return limit == .max ? text : shortened(text, to: max(limit, 16))
  }
}

/// A number as Python shows it, which is as Swift does but for the words.
func python(_ number: Double) -> String {
  number.isFinite ? number.description : number.isNaN ? "nan" : number < 0 ? "-inf" : "inf"
}

/// `[2304, 768]`
func shape(_ sizes: [Int]) -> String { "[\(sizes.map(String.init).joined(separator: ", "))]" }
