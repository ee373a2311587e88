import Checkpoint

/// A dictionary that a run has written, read with an eye on what it should hold.
struct RunFields {
  let dict: Dict
  let place: String

  /// - Throws: `damaged` when the value is no dictionary.
  init(_ value: Value?, at place: String) throws(CheckpointError) {
    guard case .dict(let dict)? = value else {
      throw CheckpointError(
        .damaged, "expected a dictionary, found \(value == nil ? "nothing" : "something else")", place: place)
    }
    self.dict = dict
    self.place = place
  }

  subscript(name: String) -> Value? { dict[name] }

  func int(_ name: String) throws(CheckpointError) -> Int {
    if case .int(let number)? = dict[name], let number = Int(exactly: number) { return number }
    throw missing(name, "a whole number")
  }

  /// An unsigned number of 64 bits: an int, or a big one.
  func unsigned(_ name: String) throws(CheckpointError) -> UInt64 {
    switch dict[name] {
    case .int(let number)? where number >= 0: return UInt64(number)
    case .bigInt(let number)?:
      if let number = UInt64(number.description) { return number }
    default: break
    }
    throw missing(name, "a whole number from 0 to 2^64 - 1")
  }

  func double(_ name: String) throws(CheckpointError) -> Double {
    switch dict[name] {
    case .double(let number)?: return number
    case .int(let number)?: return Double(number)
    default: throw missing(name, "a number")
    }
  }

  func text(_ name: String) throws(CheckpointError) -> String {
    if case .string(let text)? = dict[name] { return text }
    throw missing(name, "a text")
  }

  func column<Element: BitwiseCopyable>(
    _ name: String, _ dtype: DType, as type: Element.Type
  ) throws(CheckpointError) -> [Element] {
    guard case .tensor(let tensor)? = dict[name], tensor.dtype == dtype, tensor.shape.count == 1 else {
      throw missing(name, "a column of \(dtype.rawValue)")
    }
    return try tensor.elements(as: type)
  }

  func missing(_ name: String, _ what: String) -> CheckpointError {
    CheckpointError(
      .damaged, "expected \(what), found \(dict[name] == nil ? "nothing" : "something else")", place: "\(place).\(name)"
    )
  }
}
