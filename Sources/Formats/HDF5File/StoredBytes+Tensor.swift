import Checkpoint
import HDF5

extension StoredBytes {
  /// The data as a tensor, its words in order.
  ///
  /// - Parameter known: the element type, where something tells it that is not the dataset's own.
  /// - Throws: `unsupported` for types of which there are no tensors.
  func tensor(as known: DType? = nil) throws(CheckpointError) -> Tensor {
    let (plain, swapped) = type.inLittleEndian
    guard let dtype = known ?? DType(plain) else {
      throw CheckpointError(.unsupported, "data of the type \(type.description), of which there are no tensors")
    }
    let shape = shape.dimensions
    guard swapped, source.byteCount > 0 else { return try Tensor(dtype: dtype, shape: shape, source: source) }
    var strides = Array(repeating: 1, count: shape.count)
    for index in shape.indices.reversed().dropFirst() { strides[index] = strides[index + 1] * shape[index + 1] }
    let ordered = try StridedSource(
      source, dtype: dtype, offset: 0, shape: shape, strides: strides, fixes: StridedSource.Fixes(swapped: true))
    return try Tensor(dtype: dtype, shape: shape, source: ordered)
  }
}

extension Datatype {
  /// The same type with its words in order, and whether they were not.
  fileprivate var inLittleEndian: (type: Datatype, swapped: Bool) {
    switch self {
    case .integer(let bytes, let signed, bigEndian: true): (.integer(bytes: bytes, signed: signed), bytes > 1)
    case .float(let layout) where layout.bigEndian: (.float(layout.withBigEndian(false)), true)
    case .complex(let layout) where layout.bigEndian: (.complex(layout.withBigEndian(false)), true)
    default: (self, false)
    }
  }
}
