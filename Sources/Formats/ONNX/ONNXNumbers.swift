import Checkpoint

/// A tensor whose elements lie in the file as protobuf's numbers (`float_data`, `int32_data`, …), decoded when its
/// bytes are asked for.
final class ONNXNumbers: ByteSource {
  let byteCount: Int
  private let file: MappedFile
  private let chunks: [Range<Int>]
  private let type: ONNXType

  /// - Parameters:
  ///   - chunks: where the numbers lie: packed, or each by itself. They are counted here, so that no tensor is made of
  ///     a shape that the file has no numbers for.
  ///   - count: how many elements the tensor has.
  ///   - byteCount: how many bytes they take.
  /// - Throws: `damaged` where there are more or fewer.
  init(
    _ file: MappedFile, _ chunks: [Range<Int>], _ type: ONNXType, count: Int, byteCount: Int
  ) throws(CheckpointError) {
    (self.file, self.chunks, self.type, self.byteCount) = (file, chunks, type, byteCount)
    let wanted = type.numbers(count: count, byteCount: byteCount)
    let found = try Self.count(chunks, type.field, file.bytes)
    guard found == wanted else {
      throw CheckpointError(
        .damaged, "\(found) numbers in field \(type.field.rawValue) of a tensor that takes \(wanted)")
    }
  }

  private static func count(
    _ chunks: [Range<Int>], _ field: ONNXType.Field, _ bytes: UnsafeRawBufferPointer
  ) throws(CheckpointError) -> Int {
    var count = 0
    for chunk in chunks {
      if let size = field.fixedSize {
        guard chunk.count % size == 0 else {
          throw CheckpointError(
            .damaged, "\(chunk.count) bytes of numbers of \(size) bytes", place: "offset \(chunk.lowerBound)")
        }
        count += chunk.count / size
      } else {
        count += bytes[chunk].reduce(0) { $0 + ($1 < 0x80 ? 1 : 0) }
        guard chunk.isEmpty || bytes[chunk.upperBound - 1] < 0x80 else {
          throw CheckpointError(.damaged, "a number ends with the field", place: "offset \(chunk.lowerBound)")
        }
      }
    }
    return count
  }

  func withBytes(_ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void) throws(CheckpointError) {
    defer { withExtendedLifetime(file) {} }
    var out: [UInt8] = []
    out.reserveCapacity(byteCount)
    for chunk in chunks {
      if type.field.fixedSize != nil {
        out += file.bytes[chunk]
      } else {
        try decode(chunk, into: &out)
      }
    }
    try BufferSource(type.isSixBits ? Self.packed(out) : out).withBytes(body)
  }

  private func decode(_ chunk: Range<Int>, into out: inout [UInt8]) throws(CheckpointError) {
    var reader = ProtobufReader(file.bytes, chunk)
    let width = type.bytesPerNumber
    while reader.offset < chunk.upperBound {
      let start = reader.offset
      let number = try reader.varint()
      guard type.holds(number) else {
        throw CheckpointError(
          .damaged, "\(Int64(bitPattern: number)) among elements of \(type.dtype.rawValue)", file: file.path,
          place: "offset \(start)")
      }
      for shift in 0..<width { out.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * shift))) }
    }
  }

  /// Elements of six bits without gaps, the first in the lowest.
  private static func packed(_ elements: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    var bits: UInt32 = 0
    var held: UInt32 = 0
    for element in elements {
      bits |= UInt32(element & 0x3F) << held
      held += 6
      while held >= 8 {
        out.append(UInt8(truncatingIfNeeded: bits))
        bits >>= 8
        held -= 8
      }
    }
    if held > 0 { out.append(UInt8(truncatingIfNeeded: bits)) }
    return out
  }
}

extension ONNXType {
  /// Whether a number of the field is an element: signed ones are sign-extended to 64 bits, all others are not. Bytes
  /// that hold several elements may be either.
  fileprivate func holds(_ number: UInt64) -> Bool {
    let signed = Int64(bitPattern: number)
    switch dtype {
    case .int64, .uint64: return true
    case .int32, .uint32: return Int32(exactly: signed) != nil || UInt32(exactly: number) != nil
    case .int16, .uint16, .float16, .bfloat16: return Int16(exactly: signed) != nil || UInt16(exactly: number) != nil
    case .bool: return number <= 1
    case .float6_e2m3fn, .float6_e3m2fn: return number < 64
    default: return Int8(exactly: signed) != nil || UInt8(exactly: number) != nil
    }
  }
}
