public import Checkpoint
internal import Kernels

/// The mean of -log softmax(input)[label]: `torch.nn.functional.cross_entropy`.
///
/// - Parameters:
///   - input: logits, `[N, classes]` or `[N, T, classes]`: classes come last. (torch wants them second where there are
///     three dimensions.)
///   - target: labels, integers, the input's shape without its last dimension.
///   - ignoreIndex: rows with this label do not count. NaN when all have it.
/// - Throws: `usage` when the shapes do not fit, and for a label that is no class; the message names it and its row.
public func crossEntropy(
  _ input: Variable, _ target: Variable, ignoreIndex: Int = -100
) throws(CheckpointError) -> Variable {
  guard let classes = input.shape.last, input.shape.count >= 2, input.shape.dropLast().elementsEqual(target.shape),
    input.dtype == .float32, target.dtype == .int64
  else { throw misfit(input, target) }
  let input = try input.contiguous()
  let (labels, rows) = (target.storage.integers, target.count)
  let invalid = ck_find_invalid(labels, rows, Int64(classes), Int64(ignoreIndex))
  guard invalid == rows else {
    throw CheckpointError(
      .usage, "cross entropy: label \(labels[invalid]) in row \(invalid) of \(rows) is outside 0 to \(classes - 1)",
      advice: "There are \(classes) classes; labels are counted from 0.")
  }
  let recorded = records(input)
  let gradient = recorded ? try Storage(byteCount: input.count * 4) : nil
  var counted = 0
  let sum = ck_cross_entropy(
    input.storage.floats, labels, Int64(ignoreIndex), gradient?.floats, rows, classes, &counted)
  let result = try Variable(Float(sum / Double(counted)))
  if let gradient { result.computed(by: CrossEntropyNode(input, gradient, 1 / Float(counted))) }
  return result
}

private func misfit(_ input: Variable, _ target: Variable) -> CheckpointError {
  if target.dtype != .int64 {
    return CheckpointError(
      .usage, "cross entropy: the target, of shape \(target.shape), holds floats, where labels (integers) are due")
  }
  return CheckpointError(
    .usage, "cross entropy: logits of shape \(input.shape) beside labels of shape \(target.shape)",
    advice: "Logits are [N, classes] or [N, T, classes], labels [N] or [N, T].")
}

private final class CrossEntropyNode: Node {
  /// Softmax minus one-hot, computed on the way forth; used once.
  private var saved: Storage
  private let factor: Float

  init(_ input: Variable, _ saved: Storage, _ factor: Float) {
    self.saved = saved
    self.factor = factor
    super.init(input)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    let scale = gradient.floats.pointee * factor
    if first.gradient == nil {
      ck_scale(saved.floats, saved.floats, scale, 0, first.count)
      try first.addGradient(saved)
    } else {
      let target = try first.gradientTarget()
      ck_scale(target.floats, saved.floats, scale, 1, first.count)
    }
  }
}
