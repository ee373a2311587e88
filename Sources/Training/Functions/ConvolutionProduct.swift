internal import Checkpoint

/// C = op(A) op(B), or with `adds` C += op(A) op(B), row-major, on this thread alone.
func product(
  _ transposeA: Bool, _ transposeB: Bool, _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ lda: Int,
  _ b: UnsafePointer<Float>, _ ldb: Int, _ c: UnsafeMutablePointer<Float>, _ ldc: Int, adds: Bool
) {
  ActiveBackend.sgemm(
    Product(
      transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb,
      beta: adds ? 1 : 0, c: c, ldc: ldc))
}
