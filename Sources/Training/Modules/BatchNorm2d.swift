/// Batch norm of images, `[N, C, H, W]`: `torch.nn.BatchNorm2d`.
public final class BatchNorm2d: BatchNorm {
  override var ranks: (range: ClosedRange<Int>, text: String) { (4...4, "[N, C, H, W]") }
}
