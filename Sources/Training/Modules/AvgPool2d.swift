public import Checkpoint

/// The mean of each window, `[N, C, H, W]` to `[N, C, outH, outW]`: `torch.nn.AvgPool2d`.
public final class AvgPool2d: Module {
  public let kernelSize: Pair
  public let stride: Pair
  public let padding: Pair
  public let countIncludePad: Bool

  /// - Parameter stride: `kernelSize` where nil.
  public init(_ kernelSize: Pair, stride: Pair? = nil, padding: Pair = 0, countIncludePad: Bool = true) {
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.padding = padding
    self.countIncludePad = countIncludePad
    super.init()
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try avgPool2d(
      input, kernelSize: kernelSize, stride: stride, padding: padding, countIncludePad: countIncludePad)
  }
}
