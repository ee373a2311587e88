import Checkpoint

/// Element types that safetensors 0.8 does not have, and as what their bytes are stored.
enum SafetensorsCarry {
  /// Nil for a tensor that the format can hold as it is.
  static func stored(_ tensor: Tensor) throws(CheckpointError) -> Tensor? {
    switch tensor.dtype {
    case .complex128: try viewed(tensor, .float64, tensor.shape + [2])
    case .complex32: try viewed(tensor, .float16, tensor.shape + [2])
    case .qint32: try viewed(tensor, .int32, tensor.shape)
    case .qint8: try viewed(tensor, .int8, tensor.shape)
    case .quint8, .bits8: try viewed(tensor, .uint8, tensor.shape)
    case .bits16: try viewed(tensor, .uint16, tensor.shape)
    // PyTorch counts pairs, the format counts numbers; safetensors' own wrapper doubles the last dimension too.
    case .float4_e2m1fn_x2 where pairs(tensor.shape) != nil:
      try viewed(tensor, .float4_e2m1fn, pairs(tensor.shape) ?? [])
    case let dtype where SafetensorsHeader.types.contains { $0.dtype == dtype }:
      // The format wants whole bytes.
      tensor.count * dtype.bitWidth % 8 == 0 ? nil : try viewed(tensor, .uint8, [tensor.byteCount])
    default: try viewed(tensor, .uint8, [tensor.byteCount])
    }
  }

  private static func viewed(_ tensor: Tensor, _ dtype: DType, _ shape: [Int]) throws(CheckpointError) -> Tensor {
    try Tensor(dtype: dtype, shape: shape, source: tensor.source)
  }

  /// Nil where an empty tensor's last dimension is too long to be doubled.
  private static func pairs(_ shape: [Int]) -> [Int]? {
    guard let last = shape.last else { return [2] }
    let (doubled, overflow) = last.multipliedReportingOverflow(by: 2)
    return overflow ? nil : shape.dropLast() + [doubled]
  }
}
