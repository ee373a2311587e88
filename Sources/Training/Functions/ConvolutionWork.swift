internal import Checkpoint
internal import Kernels

/// A convolution, what is fused with it, and its way back. All is computed piece by piece, each of some images, so that
/// a piece stays in the cache from the convolution to the pooling, and threads take pieces.
final class ConvolutionWork {
  private let shape: ConvolutionShape
  private let after: ConvolutionAfter
  private let passes: ConvolutionPasses
  private let input: Variable
  private let weight: Variable
  private let bias: Variable?
  /// How many images a piece has.
  private let size: Int
  /// What came out, after ReLU and pooling: the way back looks at it to see what ReLU let through.
  private var result: Storage?
  /// Where in its window each maximum was.
  private var maxima: Storage?

  init(
    _ shape: ConvolutionShape, _ after: ConvolutionAfter, _ passes: ConvolutionPasses, input: Variable,
    weight: Variable, bias: Variable?
  ) {
    self.shape = shape
    self.after = after
    self.passes = passes
    self.input = input
    self.weight = weight
    self.bias = bias
    size = shape.piece(worth: passes.worth)
  }

  private var pieces: Int { (shape.batch + size - 1) / size }

  /// The images of a piece.
  private func images(of piece: Int) -> Range<Int> {
    let first = piece * size
    return first..<min(first + size, shape.batch)
  }

  /// The pass for whole pieces, and for a last one that has fewer images.
  private func passes(_ kind: ConvolutionKind) -> (whole: any ConvolutionPass, last: any ConvolutionPass) {
    let whole = passes.pass(kind, shape.with(batch: min(size, shape.batch)))
    let rest = shape.batch % size
    return (whole, rest == 0 ? whole : passes.pass(kind, shape.with(batch: rest)))
  }

  /// Filters in the order of a pass.
  private func filters(for pass: any ConvolutionPass) throws(CheckpointError) -> Storage {
    let ordered = try Storage(byteCount: pass.filterBytes)
    try pass.reorder(weight.storage.floats, ordered.floats)
    return ordered
  }
}

// MARK: Forward

extension ConvolutionWork {
  /// The result, N, H, W, C.
  func forward() throws(CheckpointError) -> Storage {
    let count = try elementCount(after.output(of: shape), "conv2d")
    let result = try Storage(byteCount: count * 4)
    self.result = after.relu || after.pool != nil ? result : nil
    if let pool = after.pool { maxima = try Storage(byteCount: count * pool.placeBytes) }
    guard shape.batch > 0 else { return result }
    let (whole, last) = passes(.forward)
    let filters = (whole: try filters(for: whole), last: try filters(for: last))
    try inPieces(pieces) { (piece) throws(CheckpointError) in
      let isLast = piece == pieces - 1
      try forward(piece, isLast ? last : whole, isLast ? filters.last : filters.whole, result)
    }
    return result
  }

  private func forward(
    _ piece: Int, _ pass: any ConvolutionPass, _ filters: Storage, _ result: Storage
  ) throws(CheckpointError) {
    let images = images(of: piece)
    let scratch = try Storage(byteCount: pass.scratchBytes)
    let from = input.storage.floats + images.lowerBound * shape.imageCount
    let count = images.count * shape.resultCount
    guard let pool = after.pool else {
      let to = result.floats + images.lowerBound * shape.resultCount
      try pass.run(
        images: from, filters: filters.floats, bias: bias?.storage.floats, results: to, scratch: scratch.base)
      if after.relu { ck_relu_in_place(to, count) }
      return
    }
    let convolved = try Storage(byteCount: count * 4)
    try pass.run(
      images: from, filters: filters.floats, bias: bias?.storage.floats, results: convolved.floats,
      scratch: scratch.base)
    let offset = images.lowerBound * pool.resultCount
    let to = result.floats + offset
    guard let maxima else { return }
    pool.forward(images.count, convolved.floats, to, maxima.base + offset * pool.placeBytes)
    // The largest, then ReLU: the same as the other way round, over fewer elements.
    if after.relu { ck_relu_in_place(to, images.count * pool.resultCount) }
  }
}

// MARK: Backward

extension ConvolutionWork {
  /// The gradient's way back to input, weight and bias.
  func backward(_ gradient: Storage) throws(CheckpointError) {
    guard shape.batch > 0 else { return try noImages() }
    let parts = try ConvolutionParts(
      shape, pieces: pieces, passes, weight: weight.requiresGrad, bias: bias?.requiresGrad ?? false)
    if input.requiresGrad {
      let (whole, last) = passes(.backwardData)
      let filters = (whole: try filters(for: whole), last: try filters(for: last))
      try input.addGradient { (target, accumulates) throws(CheckpointError) in
        try inPieces(pieces) { (piece) throws(CheckpointError) in
          let isLast = piece == pieces - 1
          let given = try convolved(piece, gradient)
          try parts.add(piece, images(of: piece), input.storage.floats, given)
          try backward(
            piece, isLast ? last : whole, isLast ? filters.last : filters.whole, given, target, accumulates)
        }
      }
    } else if parts.isWanted {
      try inPieces(pieces) { (piece) throws(CheckpointError) in
        try parts.add(piece, images(of: piece), input.storage.floats, try convolved(piece, gradient))
      }
    }
    try parts.finish(weight: weight, bias: bias)
  }

  /// The gradient of the convolution itself for a piece: before pooling and ReLU.
  private func convolved(_ piece: Int, _ gradient: Storage) throws(CheckpointError) -> ConvolutionGiven {
    let images = images(of: piece)
    let offset = images.lowerBound * shape.resultCount
    guard let result else { return ConvolutionGiven(gradient, gradient.floats + offset) }
    let own = try Storage(byteCount: images.count * shape.resultCount * 4)
    if let pool = after.pool, let maxima {
      let offset = images.lowerBound * pool.resultCount
      pool.backward(
        images.count, gradient.floats + offset, maxima.base + offset * pool.placeBytes,
        result: after.relu ? result.floats + offset : nil, own.floats, accumulates: false)
    } else {
      ck_relu_mask(own.floats, gradient.floats + offset, result.floats + offset, images.count * shape.resultCount)
    }
    return ConvolutionGiven(own, own.floats)
  }

  private func backward(
    _ piece: Int, _ pass: any ConvolutionPass, _ filters: Storage, _ given: ConvolutionGiven,
    _ target: UnsafeMutablePointer<Float>, _ accumulates: Bool
  ) throws(CheckpointError) {
    let images = images(of: piece)
    let scratch = try Storage(byteCount: pass.scratchBytes)
    let to = target + images.lowerBound * shape.imageCount
    let count = images.count * shape.imageCount
    guard accumulates else {
      return try pass.run(
        images: to, filters: filters.floats, bias: nil, results: given.floats, scratch: scratch.base)
    }
    let own = try Storage(byteCount: count * 4)
    try pass.run(
      images: own.floats, filters: filters.floats, bias: nil, results: given.floats, scratch: scratch.base)
    ck_accumulate(to, own.floats, count)
  }

  /// Zeros, as PyTorch gives them for a batch without images.
  private func noImages() throws(CheckpointError) {
    for value in [input, weight] + (bias.map { [$0] } ?? []) where value.requiresGrad {
      try value.addGradient { (target, accumulates) throws(CheckpointError) in
        if !accumulates { target.update(repeating: 0, count: value.count) }
      }
    }
  }
}

/// The gradient of a piece, in memory that it keeps alive.
struct ConvolutionGiven {
  private let storage: Storage
  let floats: UnsafeMutablePointer<Float>

  init(_ storage: Storage, _ floats: UnsafeMutablePointer<Float>) {
    self.storage = storage
    self.floats = floats
  }
}
