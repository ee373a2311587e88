internal import Kernels

/// Plain loops, where no library is there: built without any of the package's traits.
enum PlainBackend: Backend {
  /// How many terms are summed up one after the other. Longer sums are sums of such sums, which keeps errors small.
  private static let length = 512

  static func sgemm(_ p: Product) {
    if p.beta == 0 {
      for row in 0..<p.m { (p.c + row * p.ldc).update(repeating: 0, count: p.n) }
    } else if p.beta != 1 {
      for row in 0..<p.m { for column in 0..<p.n { p.c[row * p.ldc + column] *= p.beta } }
    }
    for first in stride(from: 0, to: p.k, by: length) { add(p.piece(first, min(length, p.k - first))) }
  }

  /// C += alpha op(A) op(B).
  private static func add(_ p: Product) {
    if p.alpha == 1 { return add(p, to: p.c, accumulates: true) }
    let row = UnsafeMutablePointer<Float>.allocate(capacity: p.n)
    defer { row.deallocate() }
    for i in 0..<p.m {
      add(p.tile(i, 1, 0, p.n), to: row, accumulates: false)
      for column in 0..<p.n { p.c[i * p.ldc + column] += p.alpha * row[column] }
    }
  }

  private static func add(_ p: Product, to c: UnsafeMutablePointer<Float>, accumulates: Bool) {
    ck_small_gemm(
      p.transposeA ? 1 : 0, p.transposeB ? 1 : 0, p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, accumulates ? 1 : 0, c, p.ldc)
  }
}
