public import Checkpoint
internal import Kernels

/// The product of two matrices, or of stacks of matrices of the same leading dimensions: `torch.matmul` for
/// `[…, m, k]` and `[k, n]` or `[…, k, n]`.
///
/// - Throws: `usage` when the shapes do not fit.
public func matmul(_ a: Variable, _ b: Variable) throws(CheckpointError) -> Variable {
  try a.checkFloats("matmul")
  try b.checkFloats("matmul")
  let (a, b) = (try a.contiguous(), try b.contiguous())
  let shape = try MatmulShape(a.shape, b.shape)
  let result = Variable(
    shape: a.shape.dropLast() + [shape.n], dtype: .float32,
    storage: try Storage(byteCount: shape.stack * shape.m * shape.n * 4))
  for index in 0..<shape.stack {
    multiply(
      Product(
        m: shape.m, n: shape.n, k: shape.k, a: a.storage.floats + index * shape.m * shape.k, lda: shape.k,
        b: b.storage.floats + index * shape.k * shape.n, ldb: shape.n,
        c: result.storage.floats + index * shape.m * shape.n, ldc: shape.n))
  }
  if records(a, b) { result.computed(by: MatmulNode(a, b, shape)) }
  return result
}

/// The sizes of a product: `stack` products of m x k and k x n. A single right side takes all rows at once.
private struct MatmulShape {
  let stack, m, n, k: Int

  init(_ a: [Int], _ b: [Int]) throws(CheckpointError) {
    guard a.count >= 2, b.count >= 2, let width = a.last, width == b[b.count - 2],
      b.count == 2 || a.dropLast(2) == b.dropLast(2)
    else {
      throw CheckpointError(
        .usage, "matmul: shapes \(a) and \(b) do not go together",
        advice: "The last size of the first must be the last but one of the second, and leading sizes the same.")
    }
    k = width
    n = b[b.count - 1]
    let rows = a.dropLast().reduce(1, *)
    stack = b.count == 2 ? 1 : b.dropLast(2).reduce(1, *)
    m = b.count == 2 ? rows : a[a.count - 2]
  }
}

private final class MatmulNode: Node {
  private let shape: MatmulShape

  init(_ a: Variable, _ b: Variable, _ shape: MatmulShape) {
    self.shape = shape
    super.init(a, b)
  }

  override func backward(_ gradient: inout Storage) throws(CheckpointError) {
    guard let second else { return }
    let (m, n, k) = (shape.m, shape.n, shape.k)
    if first.requiresGrad {
      let target = try first.gradientTarget()
      for index in 0..<shape.stack {
        multiply(
          Product(
            transposeB: true, m: m, n: k, k: n, a: gradient.floats + index * m * n, lda: n,
            b: second.storage.floats + index * k * n, ldb: n, beta: Float(target.accumulates),
            c: target.floats + index * m * k, ldc: k))
      }
    }
    if second.requiresGrad {
      let target = try second.gradientTarget()
      for index in 0..<shape.stack {
        multiply(
          Product(
            transposeA: true, m: k, n: n, k: m, a: first.storage.floats + index * m * k, lda: k,
            b: gradient.floats + index * m * n, ldb: n, beta: Float(target.accumulates),
            c: target.floats + index * k * n, ldc: n))
      }
    }
  }
}
