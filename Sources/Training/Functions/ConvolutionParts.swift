internal import Checkpoint
internal import Kernels

/// The gradients of weight and bias, of each piece for itself: they are added in order once all are there, so that the
/// sum does not depend on the threads.
struct ConvolutionParts {
  private let shape: ConvolutionShape
  private let pieces: Int
  /// What computes a unit of images; nil when no gradient of the weight is wanted.
  private let unit: (any ConvolutionPass)?
  /// What computes the images that are left after whole units.
  private let rest: (any ConvolutionPass)?
  private let weights: [Storage]
  /// The part of the images left: its order may be another.
  private let weightOfRest: Storage?
  private let biases: Storage?

  init(
    _ shape: ConvolutionShape, pieces: Int, _ passes: ConvolutionPasses, weight: Bool, bias: Bool
  ) throws(CheckpointError) {
    self.shape = shape
    self.pieces = pieces
    let left = shape.batch % shape.unit
    let unit = weight ? passes.pass(.backwardWeights, shape.with(batch: shape.unit)) : nil
    let rest = weight && left > 0 ? passes.pass(.backwardWeights, shape.with(batch: left)) : nil
    var weights: [Storage] = []
    if let unit { for _ in 0..<pieces { weights.append(try Storage(byteCount: unit.filterBytes)) } }
    self.unit = unit
    self.rest = rest
    self.weights = weights
    weightOfRest = if let rest { try Storage(byteCount: rest.filterBytes) } else { nil }
    biases = bias ? try Storage(byteCount: pieces * shape.outChannels * 4) : nil
  }

  var isWanted: Bool { unit != nil || biases != nil }

  /// Computes a piece's part.
  func add(
    _ piece: Int, _ images: Range<Int>, _ input: UnsafeMutablePointer<Float>, _ given: ConvolutionGiven
  ) throws(CheckpointError) {
    let from = input + images.lowerBound * shape.imageCount
    if let unit { try addWeights(unit, weights[piece], images.count, from, given.floats) }
    if let biases {
      ck_sum_rows(
        biases.floats + piece * shape.outChannels, given.floats,
        images.count * shape.places.height * shape.places.width, shape.outChannels)
    }
  }

  /// Sums over the units of a piece.
  private func addWeights(
    _ unit: any ConvolutionPass, _ sum: Storage, _ count: Int, _ input: UnsafeMutablePointer<Float>,
    _ given: UnsafeMutablePointer<Float>
  ) throws(CheckpointError) {
    let scratch = try Storage(byteCount: max(unit.scratchBytes, rest?.scratchBytes ?? 0))
    let part = try Storage(byteCount: unit.filterBytes)
    let units = count / shape.unit
    // A last piece that is less than a unit.
    if units == 0 { sum.floats.update(repeating: 0, count: unit.filterBytes / 4) }
    for index in 0..<units {
      let first = index * shape.unit
      try unit.run(
        images: input + first * shape.imageCount, filters: index == 0 ? sum.floats : part.floats, bias: nil,
        results: given + first * shape.resultCount, scratch: scratch.base)
      if index > 0 { ck_accumulate(sum.floats, part.floats, unit.filterBytes / 4) }
    }
    guard count % shape.unit > 0, let rest, let weightOfRest else { return }
    let first = units * shape.unit
    try rest.run(
      images: input + first * shape.imageCount, filters: weightOfRest.floats, bias: nil,
      results: given + first * shape.resultCount, scratch: scratch.base)
  }

  /// Adds the parts up.
  func finish(weight: Variable, bias: Variable?) throws(CheckpointError) {
    if let unit { try weight.addGradient(try sumOfWeights(unit)) }
    if let biases, let bias {
      try bias.addGradient { (target, accumulates) throws(CheckpointError) in
        let channels = shape.outChannels
        guard accumulates else { return ck_sum_rows(target, biases.floats, pieces, channels) }
        let sum = try Storage(byteCount: channels * 4)
        ck_sum_rows(sum.floats, biases.floats, pieces, channels)
        ck_accumulate(target, sum.floats, channels)
      }
    }
  }

  private func sumOfWeights(_ unit: any ConvolutionPass) throws(CheckpointError) -> Storage {
    let sum = try Storage(byteCount: shape.filterCount * 4)
    for part in weights.dropFirst() { ck_accumulate(weights[0].floats, part.floats, unit.filterBytes / 4) }
    try unit.reorder(weights[0].floats, sum.floats)
    guard let rest, let weightOfRest else { return sum }
    let other = try Storage(byteCount: shape.filterCount * 4)
    try rest.reorder(weightOfRest.floats, other.floats)
    ck_accumulate(sum.floats, other.floats, shape.filterCount)
    return sum
  }
}
