import Checkpoint

extension JSONWriter {
  /// A value of the tree. What JSON has no number for (NaN, infinities, integers beyond 2^53, complex numbers) is a
  /// string, and so are bytes: in hexadecimal.
  mutating func value(_ value: Value) {
    switch value {
    case .none: null()
    case .bool(let flag): bool(flag)
    case .int(let number): integer(number)
    case .bigInt(let number): string(number.description)
    case .double(let double): number(double)
    case .string(let text): string(text)
    case .surrogateString(let bytes): string(String(decoding: bytes, as: UTF8.self))
    case .bytes(let bytes), .byteArray(let bytes): string(hexadecimal(bytes))
    case .sequence(_, let items):
      beginArray()
      for item in items { self.value(item) }
      endArray()
    case .size(let sizes):
      beginArray()
      for size in sizes { integer(size) }
      endArray()
    case .token(_, let text): string(text)
    case .dict(let dict):
      beginObject()
      for entry in dict.entries {
        key(entry.key.text)
        self.value(entry.value)
      }
      endObject()
    case .tensor(let tensor):
      if tensor.shape.isEmpty, let number = tensor.scalar { self.value(number) } else { string(value.text()) }
    case .complex, .record: string(value.text())
    }
  }

  /// A number, or its name where JSON has none.
  mutating func number(_ number: Double) {
    if number.isFinite { double(number) } else { string(python(number)) }
  }

  mutating func number(_ number: Double?) {
    if let number { self.number(number) } else { null() }
  }

  mutating func integer(_ number: Int64) {
    if number.magnitude <= 1 << 53 { int(Int(number)) } else { string(String(number)) }
  }

  mutating func string(_ text: String?) {
    if let text { string(text) } else { null() }
  }

  mutating func strings(_ texts: [String]) {
    beginArray()
    for text in texts { string(text) }
    endArray()
  }

  mutating func ints(_ numbers: [Int]) {
    beginArray()
    for number in numbers { int(number) }
    endArray()
  }

  private func hexadecimal(_ bytes: [UInt8]) -> String {
    var digits: [UInt8] = []
    digits.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      for half in [byte >> 4, byte & 15] { digits.append(half < 10 ? 0x30 + half : 0x57 + half) }
    }
    return String(decoding: digits, as: UTF8.self)
  }
}

extension Tensor {
  /// The one element of a tensor of a type that is a plain number.
  var scalar: Value? {
    guard count == 1, let text = Elements.texts(of: self, count: 1).first else { return nil }
    if dtype == .bool { return .bool(text == "True") }
    if dtype.isFloatingPoint { return Double(text).map(Value.double) }
    return Int64(text).map(Value.int)
  }
}
