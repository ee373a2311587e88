import Checkpoint

/// PyTorch's storage classes and which dtypes are saved through an untyped storage (PyTorch 2.13, `torch/storage.py`).
enum TorchTypes {
  /// A storage as a persistent id names it.
  struct Storage: Sendable, Hashable {
    var dtype: DType
    /// `UntypedStorage`: counted in bytes, its tensors say their dtype.
    var isUntyped = false

    /// Bytes of one element of the storage. Packed quantised types are counted in bytes.
    var itemSize: Int { dtype.itemSize ?? 1 }
  }

  /// The dtypes that have a storage class, hence `_rebuild_tensor_v2`; all others are written by `_rebuild_tensor_v3`.
  static let storageNames: [(name: String, dtype: DType)] = [
    ("DoubleStorage", .float64), ("FloatStorage", .float32), ("HalfStorage", .float16), ("BFloat16Storage", .bfloat16),
    ("LongStorage", .int64), ("IntStorage", .int32), ("ShortStorage", .int16), ("CharStorage", .int8),
    ("ByteStorage", .uint8), ("BoolStorage", .bool), ("ComplexFloatStorage", .complex64),
    ("ComplexDoubleStorage", .complex128), ("QInt8Storage", .qint8), ("QUInt8Storage", .quint8),
    ("QInt32Storage", .qint32), ("QUInt4x2Storage", .quint4x2), ("QUInt2x4Storage", .quint2x4),
  ]

  static func storage(module: String, name: String) -> Storage? {
    guard module == "torch" || module == "torch.storage" || module == "torch.cuda" else { return nil }
    if name == "UntypedStorage" || name == "_UntypedStorage" { return Storage(dtype: .uint8, isUntyped: true) }
    return storageNames.first { $0.name == name }.map { Storage(dtype: $0.dtype) }
  }

  static func storageName(_ dtype: DType) -> String? { storageNames.first { $0.dtype == dtype }?.name }

  /// `torch.FloatTensor` and the like, from before 0.4.
  static func legacyTensor(_ name: String) -> DType? {
    guard name.hasSuffix("Tensor") else { return nil }
    return storageNames.first { $0.name == name.dropLast(6) + "Storage" }?.dtype
  }

  /// Whether PyTorch has tensors of this type at all; the others are safetensors' packed types.
  static func exists(_ dtype: DType) -> Bool {
    switch dtype {
    case .float4_e2m1fn, .float6_e2m3fn, .float6_e3m2fn: false
    default: true
    }
  }

  /// Whether PyTorch keeps elements of this type in storages: the sub-byte integers are names without tensors.
  static func hasStorage(_ dtype: DType) -> Bool { exists(dtype) && dtype.itemSize != nil }

  static func isQuantized(_ dtype: DType) -> Bool {
    switch dtype {
    case .qint8, .quint8, .qint32, .quint4x2, .quint2x4: true
    default: false
    }
  }

  static let qschemes: Set<String> = [
    "per_tensor_affine", "per_channel_affine", "per_tensor_symmetric", "per_channel_symmetric",
    "per_channel_affine_float_qparams",
  ]
}
