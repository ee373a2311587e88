import Checkpoint
import HDF5

/// How an element type lies in an HDF5 file of Keras.
struct KerasStorage {
  let type: Datatype
  /// What the dataset's attribute `dtype` says, where HDF5 has no such type.
  let name: String?

  /// Nil for types whose elements are no whole bytes, or that NumPy does not have.
  init?(_ dtype: DType) {
    switch dtype {
    // NumPy's own types beyond its core reach HDF5 as opaque bytes.
    case .bfloat16, .float8_e4m3fn, .float8_e5m2, .float8_e4m3fnuz, .float8_e5m2fnuz, .float8_e8m0fnu:
      (type, name) = (.opaque(bytes: dtype == .bfloat16 ? 2 : 1, tag: ""), dtype.rawValue)
    case .float64, .float32, .float16, .int64, .int32, .int16, .int8, .uint64, .uint32, .uint16, .uint8, .bool,
      .complex128, .complex64:
      (type, name) = (StorageType.of(dtype).type, nil)
    default: return nil
    }
  }
}
