public import Checkpoint

/// The largest element of each window, `[N, C, H, W]` to `[N, C, outH, outW]`: `torch.nn.MaxPool2d`.
public final class MaxPool2d: Module {
  public let kernelSize: Pair
  public let stride: Pair
  public let padding: Pair

  /// - Parameter stride: `kernelSize` where nil.
  public init(_ kernelSize: Pair, stride: Pair? = nil, padding: Pair = 0) {
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.padding = padding
    super.init()
  }

  var window: ConvolutionWindow { ConvolutionWindow(kernel: kernelSize, stride: stride, padding: padding) }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try maxPool2d(input, kernelSize: kernelSize, stride: stride, padding: padding)
  }
}
