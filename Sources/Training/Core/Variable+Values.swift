public import Checkpoint
internal import Kernels

extension Variable {
  /// Numbers in row-major order. Not trained: `Parameter` is.
  ///
  /// - Throws: `usage` when there are not as many numbers as the shape takes.
  public convenience init(_ values: [Float], shape: [Int]) throws(CheckpointError) {
    try self.init(bytes: values, dtype: .float32, shape: shape)
  }

  /// Tokens or labels, in row-major order.
  ///
  /// - Throws: `usage` when there are not as many as the shape takes.
  public convenience init(_ labels: [Int64], shape: [Int]) throws(CheckpointError) {
    try self.init(bytes: labels, dtype: .int64, shape: shape)
  }

  /// A single number.
  public convenience init(_ value: Float) throws(CheckpointError) {
    let storage = try Storage(byteCount: 4)
    storage.floats.pointee = value
    self.init(shape: [], dtype: .float32, storage: storage)
  }

  private convenience init<Element: BitwiseCopyable>(
    bytes: [Element], dtype: DType, shape: [Int]
  ) throws(CheckpointError) {
    let count = try checkedCount(shape)
    guard bytes.count == count else {
      throw CheckpointError(.usage, "a shape of \(shape) takes \(count) numbers, found \(bytes.count)")
    }
    let size = MemoryLayout<Element>.size
    let storage = try Storage(byteCount: count * size)
    bytes.withUnsafeBytes { if let from = $0.baseAddress { ck_copy(storage.base, from, count * size) } }
    self.init(shape: shape, dtype: dtype, storage: storage)
  }

  /// A value of zeros.
  public static func zeros(_ shape: [Int]) throws(CheckpointError) -> Variable {
    let count = try checkedCount(shape)
    let storage = try Storage(byteCount: count * 4)
    ck_zero(storage.floats, count)
    return Variable(shape: shape, dtype: .float32, storage: storage)
  }

  /// All elements in row-major order, as floats (labels are rounded to floats).
  public final var values: [Float] {
    switch dtype {
    case .float32: Array(UnsafeBufferPointer(start: storage.floats, count: count))
    case .int64: UnsafeBufferPointer(start: storage.integers, count: count).map { Float($0) }
    }
  }

  /// All elements in row-major order, as integers.
  ///
  /// - Throws: `usage` for a value that holds no integers.
  public final func integers() throws(CheckpointError) -> [Int64] {
    guard dtype == .int64 else { throw CheckpointError(.usage, "integers() of a value of floats") }
    return Array(UnsafeBufferPointer(start: storage.integers, count: count))
  }

  /// The only element: `tensor.item()`.
  ///
  /// - Throws: `usage` when there is not exactly one.
  public final func item() throws(CheckpointError) -> Float {
    guard count == 1 else { throw CheckpointError(.usage, "item() of a value of shape \(shape)") }
    return dtype == .float32 ? storage.floats.pointee : Float(storage.integers.pointee)
  }
}
