public import Checkpoint

/// A convolution of images, `[N, in, H, W]` to `[N, out, outH, outW]`: `torch.nn.Conv2d`.
public final class Conv2d: Module {
  public let inChannels: Int
  public let outChannels: Int
  public let kernelSize: Pair
  public let stride: Pair
  public let padding: Pair
  public let dilation: Pair
  public let groups: Int
  /// `[out, in / groups, kH, kW]`.
  public let weight: Parameter
  /// `[out]`.
  public let bias: Parameter?
  private let passes = ConvolutionPasses()

  /// Weight and bias are from U(-b, b), b = 1 / sqrt(in / groups * kH * kW), as PyTorch's default (Kaiming's with
  /// a = sqrt 5).
  ///
  /// - Throws: `usage` when the numbers make no sense together.
  public init(
    _ inChannels: Int, _ outChannels: Int, kernelSize: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1,
    groups: Int = 1, bias: Bool = true, generator: Generator? = nil
  ) throws(CheckpointError) {
    let window = ConvolutionWindow(kernel: kernelSize, stride: stride, padding: padding, dilation: dilation)
    try window.check("Conv2d")
    guard inChannels > 0, outChannels > 0, groups > 0, inChannels % groups == 0, outChannels % groups == 0 else {
      throw CheckpointError(
        .usage, "Conv2d: \(inChannels) input and \(outChannels) output channels in \(groups) groups",
        advice: "Both numbers of channels must be positive and divisible by groups.")
    }
    self.inChannels = inChannels
    self.outChannels = outChannels
    self.kernelSize = kernelSize
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
    let shape = [outChannels, inChannels / groups, kernelSize.height, kernelSize.width]
    _ = try elementCount(shape, "Conv2d")
    weight = try Parameter(shape: shape)
    self.bias = bias ? try Parameter(shape: [outChannels]) : nil
    super.init()
    let bound = 1 / Double(shape[1] * shape[2] * shape[3]).squareRoot()
    weight.fillUniform(-bound, bound, generator)
    self.bias?.fillUniform(-bound, bound, generator)
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try forward(input, relu: false, pool: nil)
  }

  /// The convolution, then ReLU and the pooling where asked for: computed together, which saves their results' way
  /// through memory. The values are those of the modules one by one.
  func forward(_ input: Variable, relu: Bool, pool: MaxPool2d?) throws(CheckpointError) -> Variable {
    let shape = try ConvolutionShape(
      input: input.shape, weight: weight.shape, bias: bias?.shape, stride: stride, padding: padding,
      dilation: dilation, groups: groups)
    var after = ConvolutionAfter(relu: relu)
    if let pool { after.pool = try PoolingShape("MaxPool2d", input: shape.output, window: pool.window) }
    return try convolution(input, weight, bias, shape, after, passes)
  }
}
