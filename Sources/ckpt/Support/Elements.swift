import Checkpoint
import CheckpointFormats

/// A tensor's numbers as text.
enum Elements {
  /// The first `count` elements in row-major order; none where the bytes cannot be read.
  static func texts(of tensor: Tensor, count: Int) -> [String] {
    texts(of: tensor, 0..<min(count, tensor.count))
  }

  /// The elements at these positions in row-major order; none where the bytes cannot be read.
  static func texts(of tensor: Tensor, _ positions: Range<Int>) -> [String] {
    guard !positions.isEmpty, positions.upperBound <= tensor.count else { return [] }
    do throws(CheckpointError) {
      return try read(tensor, positions)
    } catch {
      return []
    }
  }

  private static func read(_ tensor: Tensor, _ positions: Range<Int>) throws(CheckpointError) -> [String] {
    guard let size = tensor.dtype.itemSize else { return [] }
    let part = try SliceSource(tensor.source, range: (positions.lowerBound * size)..<(positions.upperBound * size))
    let slice = try Tensor(dtype: tensor.dtype, shape: [positions.count], source: part)
    switch tensor.dtype {
    case .bool: return try slice.elements(as: UInt8.self).map { $0 == 0 ? "False" : "True" }
    case .int64: return try slice.elements(as: Int64.self).map { String($0) }
    case .int32, .qint32: return try slice.elements(as: Int32.self).map { String($0) }
    case .int16: return try slice.elements(as: Int16.self).map { String($0) }
    case .int8, .qint8: return try slice.elements(as: Int8.self).map { String($0) }
    case .uint64: return try slice.elements(as: UInt64.self).map { String($0) }
    case .uint32: return try slice.elements(as: UInt32.self).map { String($0) }
    case .uint16: return try slice.elements(as: UInt16.self).map { String($0) }
    case .uint8, .quint8: return try slice.elements(as: UInt8.self).map { String($0) }
    case .float64: return try slice.elements(as: Double.self).map(python)
    case .complex32, .complex64, .complex128: return try complex(slice)
    case let dtype where dtype.isFloatingPoint: return try floats(slice)
    default: return try hex(slice, size)
    }
  }

  /// The shortest text that says which float32 it is: all narrower floats are exact in it.
  private static func floats(_ slice: Tensor) throws(CheckpointError) -> [String] {
    guard slice.dtype != .float4_e2m1fn_x2 else { return try hex(slice, 1) }
    var narrow = slice
    if slice.dtype != .float32 {
      let source = try CastSource(slice.source, from: slice.dtype, to: .float32)
      narrow = try Tensor(dtype: .float32, shape: slice.shape, source: source)
    }
    return try narrow.elements(as: Float.self).map {
      $0.isFinite ? $0.description : $0.isNaN ? "nan" : $0 < 0 ? "-inf" : "inf"
    }
  }

  private static func complex(_ slice: Tensor) throws(CheckpointError) -> [String] {
    let source = try CastSource(slice.source, from: slice.dtype, to: .complex128)
    let parts = try Tensor(dtype: .float64, shape: [slice.count * 2], source: source).elements(as: Double.self)
    return (0..<slice.count).map { index in
      let (re, im) = (parts[2 * index], parts[2 * index + 1])
      return "\(python(re))\(im.sign == .minus ? "" : "+")\(python(im))j"
    }
  }

  private static func hex(_ slice: Tensor, _ size: Int) throws(CheckpointError) -> [String] {
    var texts: [String] = []
    try slice.source.withBytes { (bytes) throws(CheckpointError) in
      for start in stride(from: 0, to: bytes.count, by: size) {
        let digits = bytes[start..<(start + size)].reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        texts.append("0x\(digits.joined())")
      }
    }
    return texts
  }
}
