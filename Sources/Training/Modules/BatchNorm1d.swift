/// Batch norm of `[N, C]` or `[N, C, L]`: `torch.nn.BatchNorm1d`.
public final class BatchNorm1d: BatchNorm {
  override var ranks: (range: ClosedRange<Int>, text: String) { (2...3, "[N, C] or [N, C, L]") }
}
