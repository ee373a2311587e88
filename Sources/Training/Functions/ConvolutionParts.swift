internal import Checkpoint
internal import Kernels

/// The gradients of weight and bias, of each piece for itself: they are added in order once all are there, so that the
/// sum does not depend on the threads.
struct ConvolutionParts {
  private let shape: ConvolutionShape
  private let pieces: Int
  private let passes: (whole: any ConvolutionPass, last: any ConvolutionPass)?
  private let weights: [Storage]
  private let biases: Storage?

  init(
    _ shape: ConvolutionShape, pieces: Int, weight: (whole: any ConvolutionPass, last: any ConvolutionPass)?,
    bias: Bool
  ) throws(CheckpointError) {
    self.shape = shape
    self.pieces = pieces
    passes = weight
    var weights: [Storage] = []
    if let weight {
      for piece in 0..<pieces {
        weights.append(try Storage(byteCount: (piece == pieces - 1 ? weight.last : weight.whole).filterBytes))
      }
    }
    self.weights = weights
    biases = bias ? try Storage(byteCount: pieces * shape.outChannels * 4) : nil
  }

  var isWanted: Bool { passes != nil || biases != nil }

  /// Computes a piece's part.
  func add(
    _ piece: Int, _ images: Range<Int>, _ input: UnsafeMutablePointer<Float>, _ given: ConvolutionGiven
  ) throws(CheckpointError) {
    if let passes {
      let pass = piece == pieces - 1 ? passes.last : passes.whole
      let scratch = try Storage(byteCount: pass.scratchBytes)
      try pass.run(
        images: input + images.lowerBound * shape.imageCount, filters: weights[piece].floats, bias: nil,
        results: given.floats, scratch: scratch.base)
    }
    if let biases {
      ck_sum_rows(
        biases.floats + piece * shape.outChannels, given.floats,
        images.count * shape.places.height * shape.places.width, shape.outChannels)
    }
  }

  /// Adds the parts up.
  func finish(weight: Variable, bias: Variable?) throws(CheckpointError) {
    if let passes {
      let sum = try sumOfWeights(passes)
      try weight.addGradient(sum)
    }
    if let biases, let bias {
      try bias.addGradient { (target, accumulates) throws(CheckpointError) in
        let channels = shape.outChannels
        guard accumulates else { return ck_sum_rows(target, biases.floats, pieces, channels) }
        let sum = try Storage(byteCount: channels * 4)
        ck_sum_rows(sum.floats, biases.floats, pieces, channels)
        ck_add(target, sum.floats, channels)
      }
    }
  }

  private func sumOfWeights(
    _ passes: (whole: any ConvolutionPass, last: any ConvolutionPass)
  ) throws(CheckpointError) -> Storage {
    let sum = try Storage(byteCount: shape.filterCount * 4)
    // All but the last piece have one order; the last may have another.
    let first = weights[0].floats
    if passes.whole === passes.last || pieces == 1 {
      for part in weights.dropFirst() { ck_add(first, part.floats, passes.whole.filterBytes / 4) }
      try passes.last.reorder(first, sum.floats)
      return sum
    }
    for part in weights.dropFirst().dropLast() { ck_add(first, part.floats, passes.whole.filterBytes / 4) }
    let rest = try Storage(byteCount: shape.filterCount * 4)
    try passes.whole.reorder(first, sum.floats)
    try passes.last.reorder(weights[pieces - 1].floats, rest.floats)
    ck_add(sum.floats, rest.floats, shape.filterCount)
    return sum
  }
}
