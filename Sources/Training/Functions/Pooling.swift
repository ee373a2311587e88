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
  let pieces = PoolingPieces(shape, input.layout)
  let count = try elementCount(shape.output, "maxPool2d")
  let result = try Storage(byteCount: count * 4)
  let maxima = try Storage(byteCount: count * shape.placeBytes)
  let wide = Int32(shape.placeBytes)
  let from = input.storage
  try pieces.run { first, planes in
    var form = shape.kernelForm
    ck_max_pool(
      &form, planes, pieces.channels, from.floats + first * pieces.imageCount,
      result.floats + first * pieces.resultCount, maxima.base + first * pieces.resultCount * shape.placeBytes, wide)
  }
  return Variable.result(of: [input], shape: shape.output, layout: input.layout, storage: result) {
    (gradient) throws(CheckpointError) in
    try input.addGradient { (target, accumulates) throws(CheckpointError) in
      try pieces.run { first, planes in
        var form = shape.kernelForm
        ck_max_pool_backward(
          &form, planes, pieces.channels, gradient.floats + first * pieces.resultCount,
          maxima.base + first * pieces.resultCount * shape.placeBytes, wide, nil,
          target + first * pieces.imageCount, accumulates ? 1 : 0)
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
  let pieces = PoolingPieces(shape, input.layout)
  let result = try Storage(byteCount: try elementCount(shape.output, "avgPool2d") * 4)
  let counts: Int32 = countIncludePad ? 1 : 0
  let from = input.storage
  try pieces.run { first, planes in
    var form = shape.kernelForm
    ck_avg_pool(
      &form, planes, pieces.channels, counts, from.floats + first * pieces.imageCount,
      result.floats + first * pieces.resultCount)
  }
  return Variable.result(of: [input], shape: shape.output, layout: input.layout, storage: result) {
    (gradient) throws(CheckpointError) in
    try input.addGradient { (target, accumulates) throws(CheckpointError) in
      try pieces.run { first, planes in
        var form = shape.kernelForm
        ck_avg_pool_backward(
          &form, planes, pieces.channels, counts, gradient.floats + first * pieces.resultCount,
          target + first * pieces.imageCount, accumulates ? 1 : 0)
      }
    }
  }
}
