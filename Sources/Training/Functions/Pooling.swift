public import Checkpoint
internal import Kernels

/// The largest element of each window: `torch.nn.functional.max_pool2d`.
///
/// - Parameter input: `[N, C, H, W]`; the result is `[N, C, outH, outW]`.
/// - Parameter stride: `kernelSize` where nil.
/// - Throws: `usage` when the sizes do not fit.
public func maxPool2d(
  _ input: Variable, kernelSize: Pair, stride: Pair? = nil, padding: Pair = 0
) throws(CheckpointError) -> Variable {
  let window = ConvolutionWindow(kernel: kernelSize, stride: stride ?? kernelSize, padding: padding)
  let shape = try PoolingShape("maxPool2d", input: input.shape, window: window)
  let images = try input.channelsLast()
  let count = try elementCount(shape.output, "maxPool2d")
  let result = try Storage(byteCount: count * 4)
  let maxima = try Storage(byteCount: count * shape.placeBytes)
  try shape.inPieces { first, count in
    let to = first * shape.resultCount
    shape.forward(
      count, images.storage.floats + first * shape.imageCount, result.floats + to, maxima.base + to * shape.placeBytes)
  }
  return Variable.result(of: [images], shape: shape.output, layout: .channelsLast, storage: result) {
    (gradient) throws(CheckpointError) in
    try images.addGradient { (target, accumulates) throws(CheckpointError) in
      try shape.inPieces { first, count in
        let from = first * shape.resultCount
        shape.backward(
          count, gradient.floats + from, maxima.base + from * shape.placeBytes, result: nil,
          target + first * shape.imageCount, accumulates: accumulates)
      }
    }
  }
}

/// The mean of each window: `torch.nn.functional.avg_pool2d`.
///
/// - Parameter input: `[N, C, H, W]`; the result is `[N, C, outH, outW]`.
/// - Parameter stride: `kernelSize` where nil.
/// - Parameter countIncludePad: whether the zeros of the padding count as elements.
/// - Throws: `usage` when the sizes do not fit.
public func avgPool2d(
  _ input: Variable, kernelSize: Pair, stride: Pair? = nil, padding: Pair = 0, countIncludePad: Bool = true
) throws(CheckpointError) -> Variable {
  let window = ConvolutionWindow(kernel: kernelSize, stride: stride ?? kernelSize, padding: padding)
  let shape = try PoolingShape("avgPool2d", input: input.shape, window: window)
  let images = try input.channelsLast()
  let result = try Storage(byteCount: try elementCount(shape.output, "avgPool2d") * 4)
  let counts: Int32 = countIncludePad ? 1 : 0
  try shape.inPieces { first, count in
    var form = shape.kernelForm
    ck_avg_pool(
      &form, count, shape.channels, counts, images.storage.floats + first * shape.imageCount,
      result.floats + first * shape.resultCount)
  }
  return Variable.result(of: [images], shape: shape.output, layout: .channelsLast, storage: result) {
    (gradient) throws(CheckpointError) in
    try images.addGradient { (target, accumulates) throws(CheckpointError) in
      try shape.inPieces { first, count in
        var form = shape.kernelForm
        ck_avg_pool_backward(
          &form, count, shape.channels, counts, gradient.floats + first * shape.resultCount,
          target + first * shape.imageCount, accumulates ? 1 : 0)
      }
    }
  }
}
