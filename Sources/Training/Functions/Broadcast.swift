import Checkpoint
internal import Kernels

/// The shape that two shapes broadcast to.
func broadcastShape(_ a: [Int], _ b: [Int]) throws(CheckpointError) -> [Int] {
  let rank = max(a.count, b.count)
  var shape: [Int] = []
  for axis in 0..<rank {
    let (x, y) = (size(a, axis, rank), size(b, axis, rank))
    guard x == y || x == 1 || y == 1 else {
      throw CheckpointError(
        .usage, "shapes \(a) and \(b) do not go together",
        advice: "From the last dimension on, sizes must be the same, or one of them 1.")
    }
    shape.append(x == 1 ? y : x)
  }
  return shape
}

/// The size of a right-aligned axis.
private func size(_ shape: [Int], _ axis: Int, _ rank: Int) -> Int {
  let own = axis - (rank - shape.count)
  return own < 0 ? 1 : shape[own]
}

/// A tensor that fills a larger shape by being repeated: its memory again and again, every `period` elements.
struct Repetition {
  let storage: Storage
  let period: Int

  /// Tensors that repeat in their middle are written out.
  init(_ storage: Storage, _ shape: [Int], to whole: [Int], _ count: Int) throws(CheckpointError) {
    let own = Array(shape.drop { $0 == 1 })
    if own.isEmpty || (own.count <= whole.count && Array(whole.suffix(own.count)) == own) {
      self.storage = storage
      period = own.reduce(1, *)
    } else {
      self.storage = try Self.expanded(storage, shape, to: whole, count)
      period = count
    }
  }

  static func expanded(
    _ storage: Storage, _ shape: [Int], to whole: [Int], _ count: Int
  ) throws(CheckpointError) -> Storage {
    let out = try Storage(byteCount: count * 4)
    let sizes = whole.map { Int64($0) }
    ck_gather(out.base, storage.base, whole.count, sizes, repeatingStrides(shape, whole), 4, 0, UInt64(count))
    return out
  }
}

/// Strides of a row-major tensor seen as a larger shape: 0 where it repeats.
private func repeatingStrides(_ shape: [Int], _ whole: [Int]) -> [Int64] {
  var strides = [Int64](repeating: 0, count: whole.count)
  var stride = 1
  for axis in whole.indices.reversed() {
    let own = size(shape, axis, whole.count)
    if own > 1 { strides[axis] = Int64(stride) }
    stride *= own
  }
  return strides
}

extension Variable {
  /// Adds a gradient of a shape that this value was broadcast to: summed up over what repeated.
  final func addReduced(_ gradient: Storage, from whole: [Int]) throws(CheckpointError) {
    if shape == whole { return try addGradient(gradient) }
    let total = whole.reduce(1, *)
    let own = Array(shape.drop { $0 == 1 })
    if own.isEmpty || Array(whole.suffix(own.count)) == own {
      let target = try gradientTarget()
      let columns = own.reduce(1, *)
      ck_column_sums(target.floats, gradient.floats, columns == 0 ? 0 : total / columns, columns, target.accumulates)
      return
    }
    let sum = try Storage(byteCount: count * 4)
    ck_zero(sum.floats, count)
    if total > 0 {
      ck_reduce(sum.floats, repeatingStrides(shape, whole), gradient.floats, whole.map { Int64($0) }, whole.count)
    }
    try addGradient(sum)
  }
}
