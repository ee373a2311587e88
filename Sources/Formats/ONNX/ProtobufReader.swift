import Checkpoint

/// The fields of one protobuf message, in their order.
///
/// ONNX's messages are read by this and not by swift-protobuf: the code generated for `onnx.proto` has some ten
/// thousand lines, and it copies every tensor's bytes into memory, while a checkpoint's tensors are to stay in the
/// mapped file.
/// Nothing is allocated by what a length claims, and fields that nobody asks for are skipped.
struct ProtobufReader {
  struct Field {
    let number: Int
    let content: Content
    /// Where in the file it begins, and where what comes after its number.
    let offset: Int
    let contentOffset: Int
  }

  enum Content {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    /// Text, bytes, a message, or packed numbers: where in the file they lie.
    case bytes(Range<Int>)
  }

  /// The whole file.
  let bytes: UnsafeRawBufferPointer
  private(set) var offset: Int
  private let end: Int

  /// - Parameter range: of the message; it lies in `bytes`, which must outlive the reader.
  init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    self.bytes = bytes
    offset = range.lowerBound
    end = range.upperBound
  }

  /// The next field; nil at the message's end.
  ///
  /// - Throws: `damaged` for what is no protobuf.
  mutating func next() throws(CheckpointError) -> Field? {
    guard offset < end else { return nil }
    let start = offset
    let tag = try varint()
    guard tag <= UInt32.max, case let number = Int(tag >> 3), number > 0 else {
      throw failure("no field has the tag \(tag)", at: start)
    }
    let content = offset
    func field(_ value: Content) -> Field {
      Field(number: number, content: value, offset: start, contentOffset: content)
    }
    switch tag & 7 {
    case 0: return field(.varint(try varint()))
    case 1: return field(.fixed64(try fixed(UInt64.self)))
    case 5: return field(.fixed32(try fixed(UInt32.self)))
    case 2:
      let length = try varint()
      guard length <= UInt64(end - offset) else {
        throw failure("field \(number) claims \(length) bytes, \(end - offset) are left", at: start)
      }
      let range = offset..<(offset + Int(length))
      offset = range.upperBound
      return field(.bytes(range))
    default:
      throw failure("field \(number) has the wire type \(tag & 7), which ONNX does not use", at: start)
    }
  }

  /// Seven bits a byte, the lowest first.
  mutating func varint() throws(CheckpointError) -> UInt64 {
    let start = offset
    var number: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard offset < end else { throw failure("a number ends with the message", at: start) }
      let byte = UInt64(bytes[offset])
      offset += 1
      number |= (byte & 0x7F) << shift
      if byte < 0x80 {
        guard shift < 63 || byte <= 1 else { break }
        return number
      }
    }
    throw failure("a number of more than 64 bits", at: start)
  }

  private mutating func fixed<Number: FixedWidthInteger>(_ type: Number.Type) throws(CheckpointError) -> Number {
    let size = MemoryLayout<Number>.size
    guard size <= end - offset else { throw failure("a number ends with the message", at: offset) }
    defer { offset += size }
    return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
  }

  func failure(_ message: String, at offset: Int) -> CheckpointError {
    CheckpointError(
      .damaged, "\(message)", place: "offset \(offset)",
      advice: "The file may have been cut short; compare its size with the original's.")
  }
}

extension ProtobufReader.Field {
  /// - Throws: `damaged` where the field is of another wire type.
  func range() throws(CheckpointError) -> Range<Int> {
    guard case .bytes(let range) = content else { throw mismatch }
    return range
  }

  func int() throws(CheckpointError) -> Int64 {
    guard case .varint(let number) = content else { throw mismatch }
    return Int64(bitPattern: number)
  }

  func text(in bytes: UnsafeRawBufferPointer) throws(CheckpointError) -> String {
    let slice = UnsafeRawBufferPointer(rebasing: bytes[try range()])
    guard let text = String(validating: slice, as: UTF8.self) else {
      throw CheckpointError(.damaged, "text that is no UTF-8", place: "offset \(offset)")
    }
    return text
  }

  var mismatch: CheckpointError {
    CheckpointError(.damaged, "field \(number) is not what ONNX has there", place: "offset \(offset)")
  }
}

/// Makes sure that a field that a message has once comes once: readers may take either of two.
struct OnceFields {
  private var seen: Set<Int> = []

  mutating func add(_ field: ProtobufReader.Field) throws(CheckpointError) {
    guard seen.insert(field.number).inserted else {
      throw CheckpointError(.damaged, "field \(field.number) comes twice", place: "offset \(field.offset)")
    }
  }
}
