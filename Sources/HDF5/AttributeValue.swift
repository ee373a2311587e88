/// The value of an attribute, in the forms that a checkpoint needs; anything else is `raw`.
public enum AttributeValue: Equatable, Sendable {
  /// A null dataspace: a type without a value.
  case empty
  case bool(Bool)
  /// An integer of any width and byte order.
  case int(Int64)
  /// Only for a value above `Int64.max`.
  case uint(UInt64)
  /// A floating-point number of any width. Narrower ones are widened exactly.
  case double(Double)
  /// Text, without padding. Neither empty nor with NUL when it is written.
  case string(String)
  case bools([Bool])
  case ints([Int64])
  case doubles([Double])
  /// Text without NUL; elements may be empty.
  case strings([String])
  /// Bytes as stored, in row-major order: more dimensions, other types, text that is not UTF-8, integers beyond
  /// `Int64` in an array.
  case raw(type: Datatype, shape: Shape, bytes: [UInt8])
}
