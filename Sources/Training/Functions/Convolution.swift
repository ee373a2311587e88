public import Checkpoint

/// What is computed with a convolution while its results are in the cache.
struct ConvolutionAfter {
  var relu = false
  var pool: PoolingShape?

  /// The whole's shape.
  func output(of shape: ConvolutionShape) -> [Int] { pool?.output ?? shape.output }
}

/// A convolution of images: `torch.nn.functional.conv2d`.
///
/// - Parameters:
///   - input: `[N, in, H, W]`.
///   - weight: `[out, in / groups, kH, kW]`.
///   - bias: `[out]`.
/// - Returns: `[N, out, outH, outW]`.
/// - Throws: `usage` when the sizes do not fit; the message names them.
public func conv2d(
  _ input: Variable, _ weight: Variable, _ bias: Variable? = nil, stride: Pair = 1, padding: Pair = 0,
  dilation: Pair = 1, groups: Int = 1
) throws(CheckpointError) -> Variable {
  let shape = try ConvolutionShape(
    input: input.shape, weight: weight.shape, bias: bias?.shape, stride: stride, padding: padding,
    dilation: dilation, groups: groups)
  return try convolution(input, weight, bias, shape, ConvolutionAfter(), ConvolutionPasses())
}

/// A convolution with what comes after it.
func convolution(
  _ input: Variable, _ weight: Variable, _ bias: Variable?, _ shape: ConvolutionShape, _ after: ConvolutionAfter,
  _ passes: ConvolutionPasses
) throws(CheckpointError) -> Variable {
  let images = try input.channelsLast()
  let filters = try weight.contiguous()
  let work = ConvolutionWork(shape, after, passes, input: images, weight: filters, bias: bias)
  let result = try work.forward()
  return Variable.result(
    of: [images, filters] + (bias.map { [$0] } ?? []), shape: after.output(of: shape), layout: .channelsLast,
    storage: result
  ) { (gradient) throws(CheckpointError) in try work.backward(gradient) }
}
