public import Checkpoint
internal import Kernels

extension Variable {
  /// Numbers in row-major order. Not trained: `Parameter` is.
  ///
  /// - Throws: `usage` when there are not as many numbers as the shape takes.
  public convenience init(_ values: [Float], shape: [Int]) throws(CheckpointError) {
    try self.init(bytes: values, dtype: .float32, shape: shape)
  }

  /// Tokens or labels, in row-major order. Literals are numbers, not labels.
  ///
  /// - Throws: `usage` when there are not as many as the shape takes.
  @_disfavoredOverload
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
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      guard let out = buffer.baseAddress, count > 0 else { return }
      forEachElement { place, index in
        out[index] = dtype == .float32 ? storage.floats[place] : Float(storage.integers[place])
      }
      initialized = count
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

  /// The gradient that `backward()` left here, as a value of its own; nil when there is none.
  public final var grad: Variable? {
    gradient.map { Variable(shape: shape, dtype: .float32, layout: layout, storage: $0) }
  }

  /// The same elements as a value that nothing computed: `tensor.detach()`. Memory is shared.
  public final func detach() -> Variable { Variable(shape: shape, dtype: dtype, layout: layout, storage: storage) }

  /// Calls `body` with each element's place in memory and its index in row-major order.
  private func forEachElement(_ body: (_ place: Int, _ index: Int) -> Void) {
    guard layout == .channelsLast, shape.count == 4 else {
      for index in 0..<count { body(index, index) }
      return
    }
    let (channels, area) = (shape[1], shape[2] * shape[3])
    for index in 0..<count {
      let (image, inner) = index.quotientAndRemainder(dividingBy: channels * area)
      let (channel, pixel) = inner.quotientAndRemainder(dividingBy: area)
      body((image * area + pixel) * channels + channel, index)
    }
  }
}
