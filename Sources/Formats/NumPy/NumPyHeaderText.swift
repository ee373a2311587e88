import Checkpoint

/// The Python dictionary of an `.npy` header. A grammar of what NumPy writes, and nothing is evaluated:
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
struct NumPyHeaderText {
  /// What an array's elements are said to be.
  enum Descr {
    /// `'<f4'`
    case plain(String)
    /// A structured type of one field, `[('bfloat16', '<u2')]`: how types that NumPy does not have are kept.
    case field(name: String, type: String)
    /// Any other structured type: a table of columns.
    case structured
  }

  private(set) var descr: Descr?
  private(set) var fortran: Bool?
  private(set) var shape: [Int]?
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  /// - Parameter bytes: the text, which must outlive the reader.
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func read() throws(CheckpointError) {
    try expect("{")
    while !take("}") {
      let key = try string()
      try expect(":")
      try value(key)
      guard take(",") else {
        try expect("}")
        break
      }
    }
    skipSpace()
    guard position == bytes.count else { throw failure("the end") }
  }

  private mutating func value(_ key: String) throws(CheckpointError) {
    switch key {
    case "descr" where descr == nil: descr = try type()
    case "fortran_order" where fortran == nil: fortran = try bool()
    case "shape" where shape == nil: shape = try tuple()
    default:
      throw CheckpointError(.damaged, "the key '\(key)' where 'descr', 'fortran_order' and 'shape' are due, once each")
    }
  }

  private mutating func type() throws(CheckpointError) -> Descr {
    skipSpace()
    guard position < bytes.count, bytes[position] == UInt8(ascii: "[") else { return .plain(try string()) }
    let start = position
    do throws(CheckpointError) { return try field() } catch { position = start }
    try skipList()
    return .structured
  }

  private mutating func field() throws(CheckpointError) -> Descr {
    try expect("[")
    try expect("(")
    let name = try string()
    try expect(",")
    let type = try string()
    try expect(")")
    try expect("]")
    return .field(name: name, type: type)
  }

  /// A literal of lists, tuples and texts, whose brackets are counted.
  private mutating func skipList() throws(CheckpointError) {
    var depth = 0
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "["), UInt8(ascii: "("): depth += 1
      case UInt8(ascii: "]"), UInt8(ascii: ")"): depth -= 1
      case 0x22, 0x27: try skipText(byte)
      default: break
      }
      if depth == 0 { return }
    }
    throw failure("the end of a list")
  }

  private mutating func skipText(_ quote: UInt8) throws(CheckpointError) {
    while position < bytes.count {
      let byte = bytes[position]
      position += byte == UInt8(ascii: "\\") ? 2 : 1
      if byte == quote { return }
    }
    position = min(position, bytes.count)
    throw failure("the end of a string")
  }

  private mutating func string() throws(CheckpointError) -> String {
    skipSpace()
    guard position < bytes.count, case let quote = bytes[position], quote == 0x22 || quote == 0x27 else {
      throw failure("a string")
    }
    let start = position + 1
    var end = start
    while end < bytes.count, bytes[end] != quote {
      guard bytes[end] != UInt8(ascii: "\\"), bytes[end] >= 0x20 else { throw failure("a string without escapes") }
      end += 1
    }
    guard end < bytes.count else { throw failure("the end of a string") }
    position = end + 1
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  private mutating func bool() throws(CheckpointError) -> Bool {
    if take("True") { return true }
    if take("False") { return false }
    throw failure("True or False")
  }

  private mutating func tuple() throws(CheckpointError) -> [Int] {
    try expect("(")
    var sizes: [Int] = []
    while !take(")") {
      sizes.append(try int())
      guard sizes.count <= 1024 else { throw failure("fewer dimensions") }
      if take(",") { continue }
      // `(3)` is a number in parentheses to Python.
      guard sizes.count > 1 else { throw failure("a comma, as in (3,)") }
      try expect(")")
      break
    }
    return sizes
  }

  private mutating func int() throws(CheckpointError) -> Int {
    skipSpace()
    let start = position
    var number = 0
    while position < bytes.count, case let digit = bytes[position], digit >= 0x30, digit <= 0x39 {
      let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
      let (next, carried) = tens.addingReportingOverflow(Int(digit - 0x30))
      guard !overflow, !carried else { throw failure("a size that 63 bits hold") }
      number = next
      position += 1
    }
    guard position > start else { throw failure("a size") }
    // Python 2 wrote long integers so.
    if position < bytes.count, bytes[position] == UInt8(ascii: "L") { position += 1 }
    return number
  }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) { position += 1 }
  }

  private mutating func take(_ text: StaticString) -> Bool {
    skipSpace()
    let count = text.utf8CodeUnitCount
    guard bytes.count - position >= count else { return false }
    let found = text.withUTF8Buffer { bytes[position..<(position + count)].elementsEqual($0) }
    if found { position += count }
    return found
  }

  private mutating func expect(_ text: StaticString) throws(CheckpointError) {
    guard take(text) else { throw failure("'\(text)'") }
  }

  private func failure(_ expected: String) -> CheckpointError {
    let found = position < bytes.count ? "byte \(bytes[position])" : "the end"
    return CheckpointError(.damaged, "expected \(expected), found \(found)", place: "character \(position)")
  }
}
