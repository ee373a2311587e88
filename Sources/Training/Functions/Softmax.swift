public import Checkpoint
internal import Kernels

/// e^x over its sum along a dimension: `torch.softmax`. Negative dimensions count from the end.
public func softmax(_ input: Variable, dim: Int = -1) throws(CheckpointError) -> Variable {
  try softmax(input, dim, logarithm: false)
}

/// The logarithm of `softmax`, computed without its loss of digits.
public func logSoftmax(_ input: Variable, dim: Int = -1) throws(CheckpointError) -> Variable {
  try softmax(input, dim, logarithm: true)
}

private func softmax(_ input: Variable, _ dim: Int, logarithm: Bool) throws(CheckpointError) -> Variable {
  try input.checkFloats("softmax")
  let input = try input.contiguous()
  let axis = dim < 0 ? dim + input.shape.count : dim
  guard input.shape.indices.contains(axis) else {
    throw CheckpointError(.usage, "softmax over dimension \(dim) of a value of shape \(input.shape)")
  }
  let line = Line(
    outer: input.shape[..<axis].reduce(1, *), count: input.shape[axis],
    inner: input.shape[(axis + 1)...].reduce(1, *), logarithm: logarithm)
  let result = Variable(shape: input.shape, dtype: .float32, storage: try Storage(byteCount: input.count * 4))
  ck_softmax(
    result.storage.floats, input.storage.floats, line.outer, line.count, line.inner, logarithm ? 1 : 0)
  if records(input) { result.computed(by: SoftmaxNode(input, result.storage, line)) }
  return result
}

private struct Line {
  let outer, count, inner: Int
  let logarithm: Bool
}

private final class SoftmaxNode: Node {
  private let result: Storage
  private let line: Line

  init(_ input: Variable, _ result: Storage, _ line: Line) {
    self.result = result
    self.line = line
    super.init(input)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    let target = try first.gradientTarget()
    ck_softmax_back(
      target.floats, gradient.floats, result.floats, line.outer, line.count, line.inner, line.logarithm ? 1 : 0,
      target.accumulates)
  }
}
