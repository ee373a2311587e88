internal import Checkpoint
internal import Kernels

/// How the channels of a value lie: `outer` x `channels` x `inner` elements.
struct NormShape {
  let outer: Int
  let channels: Int
  let inner: Int

  /// - Parameter value: `[N, C]`, `[N, C, L]` or `[N, C, H, W]`.
  init(_ value: Variable) {
    let shape = value.shape
    channels = shape[1]
    let pixels = shape[2...].reduce(1, *)
    let areTogether = value.layout == .channelsLast
    outer = areTogether ? shape[0] * pixels : shape[0]
    inner = areTogether ? 1 : pixels
  }

  /// How many elements a channel has.
  var perChannel: Int { outer * inner }

  /// How many of the outer blocks are computed at a time.
  private var piece: Int { max(1, (1 << 16) / max(1, channels * inner), (outer + 63) / 64) }

  /// Calls `body` with the outer blocks of each piece.
  private func run(_ body: (_ first: Int, _ count: Int) -> Void) throws(CheckpointError) {
    try inPieces((outer + piece - 1) / piece) { index in body(index * piece, min(piece, outer - index * piece)) }
  }

  /// The two sums of `ck_norm_sums` for each channel, over all that a channel has. Pieces are added in order.
  func sums(
    _ x: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>?, shift: UnsafePointer<Float>
  ) throws(CheckpointError) -> [Double] {
    var total = [Double](repeating: 0, count: 2 * channels)
    guard inner == 1 else {
      // A channel at a time, whole.
      let sums = try Storage(byteCount: 2 * channels * 8)
      let numbers = sums.base.assumingMemoryBound(to: Double.self)
      let few = max(1, (1 << 16) / max(1, perChannel))
      try inPieces((channels + few - 1) / few) { index in
        let first = index * few
        ck_norm_sums(x, gradient, outer, channels, inner, first, min(first + few, channels), shift, numbers)
      }
      for index in total.indices { total[index] = numbers[index] }
      return total
    }
    let count = (outer + piece - 1) / piece
    let sums = try Storage(byteCount: count * 2 * channels * 8)
    let numbers = sums.base.assumingMemoryBound(to: Double.self)
    try run { first, rows in
      ck_norm_sums(
        x + first * channels, gradient.map { $0 + first * channels }, rows, channels, 1, 0, channels, shift,
        numbers + first / piece * 2 * channels)
    }
    for piece in 0..<count {
      for index in total.indices { total[index] += numbers[piece * 2 * channels + index] }
    }
    return total
  }

  /// y = (x - mean) * scale + offset
  func normalise(
    _ x: UnsafePointer<Float>, mean: UnsafePointer<Float>, scale: UnsafePointer<Float>,
    offset: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
  ) throws(CheckpointError) {
    let size = channels * inner
    try run { first, count in
      ck_norm(x + first * size, count, channels, inner, mean, scale, offset, y + first * size)
    }
  }

  /// target (+)= (gradient - offset - (x - mean) * slope) * scale
  func backward(
    _ x: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>, _ numbers: NormNumbers,
    _ target: UnsafeMutablePointer<Float>, accumulates: Bool
  ) throws(CheckpointError) {
    let size = channels * inner
    let (mean, offset) = (numbers.row(0), numbers.row(1))
    let (slope, scale) = (numbers.row(2), numbers.row(3))
    try run { first, count in
      ck_norm_backward(
        x + first * size, gradient + first * size, count, channels, inner, mean, offset, slope, scale,
        target + first * size, accumulates ? 1 : 0)
    }
  }
}

/// A few numbers for each channel.
struct NormNumbers {
  private let storage: Storage
  private let channels: Int

  init(rows: Int, channels: Int) throws(CheckpointError) {
    storage = try Storage(byteCount: max(1, rows * channels * 4))
    self.channels = channels
  }

  func row(_ index: Int) -> UnsafeMutablePointer<Float> { storage.floats + index * channels }
}

/// What batch norm divides by and takes away: of the batch, or of the run so far.
struct NormStatistics {
  let mean: [Float]
  /// 1 / sqrt(variance + eps).
  let scale: [Double]
  /// Whether they were computed from the batch, so that the gradient flows through them.
  let isOfBatch: Bool
}

/// The normalised value, scaled and moved by weight and bias where there are any.
func batchNorm(
  _ input: Variable, _ shape: NormShape, _ statistics: NormStatistics, weight: Variable?, bias: Variable?
) throws(CheckpointError) -> Variable {
  let channels = shape.channels
  let numbers = try NormNumbers(rows: 3, channels: channels)
  for channel in 0..<channels {
    numbers.row(0)[channel] = statistics.mean[channel]
    let factor = weight.map { Double($0.storage.floats[channel]) } ?? 1
    numbers.row(1)[channel] = Float(statistics.scale[channel] * factor)
    numbers.row(2)[channel] = bias?.storage.floats[channel] ?? 0
  }
  let result = try Storage(byteCount: input.count * 4)
  try shape.normalise(
    input.storage.floats, mean: numbers.row(0), scale: numbers.row(1), offset: numbers.row(2), result.floats)
  let inputs = [input] + [weight, bias].compactMap { $0 }
  return Variable.result(of: inputs, shape: input.shape, layout: input.layout, storage: result) {
    (gradient) throws(CheckpointError) in
    try batchNormBackward(input, shape, statistics, weight: weight, bias: bias, gradient)
  }
}

private func batchNormBackward(
  _ input: Variable, _ shape: NormShape, _ statistics: NormStatistics, weight: Variable?, bias: Variable?,
  _ gradient: Storage
) throws(CheckpointError) {
  let channels = shape.channels
  let numbers = try NormNumbers(rows: 4, channels: channels)
  for channel in 0..<channels { numbers.row(0)[channel] = statistics.mean[channel] }
  let sums = try shape.sums(input.storage.floats, gradient.floats, shift: numbers.row(0))
  if input.requiresGrad {
    for channel in 0..<channels {
      let scale = statistics.scale[channel]
      let share = statistics.isOfBatch ? 1 / Double(shape.perChannel) : 0
      let factor = weight.map { Double($0.storage.floats[channel]) } ?? 1
      numbers.row(1)[channel] = Float(sums[channel] * share)
      numbers.row(2)[channel] = Float(sums[channels + channel] * scale * scale * share)
      numbers.row(3)[channel] = Float(scale * factor)
    }
    try input.addGradient { (target, accumulates) throws(CheckpointError) in
      try shape.backward(input.storage.floats, gradient.floats, numbers, target, accumulates: accumulates)
    }
  }
  try weight?.addNumbers(channels) { sums[channels + $0] * statistics.scale[$0] }
  try bias?.addNumbers(channels) { sums[$0] }
}

extension Variable {
  /// Adds to the gradient, where one is wanted, a number for each element.
  fileprivate func addNumbers(_ count: Int, _ number: (Int) -> Double) throws(CheckpointError) {
    guard requiresGrad else { return }
    try addGradient { (target, accumulates) in
      for index in 0..<count { target[index] = (accumulates ? target[index] : 0) + Float(number(index)) }
    }
  }
}
