public import Checkpoint

/// Makes the dimensions from `startDim` to `endDim` one: `torch.nn.Flatten`.
public final class Flatten: Module {
  public let startDim: Int
  public let endDim: Int

  public init(startDim: Int = 1, endDim: Int = -1) {
    self.startDim = startDim
    self.endDim = endDim
    super.init()
  }

  public override func forward(_ input: Variable) throws(CheckpointError) -> Variable {
    try flatten(input, startDim: startDim, endDim: endDim)
  }
}
