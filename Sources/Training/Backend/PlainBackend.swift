internal import Kernels

/// Plain loops, where no library is there.
enum PlainBackend: Backend {
  static func sgemm(_ p: Product) {
    if p.beta == 0 {
      for row in 0..<p.m { (p.c + row * p.ldc).update(repeating: 0, count: p.n) }
    } else if p.beta != 1 {
      for row in 0..<p.m { for column in 0..<p.n { p.c[row * p.ldc + column] *= p.beta } }
    }
    if p.alpha == 1 {
      ck_small_gemm(
        p.transposeA ? 1 : 0, p.transposeB ? 1 : 0, p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, 1, p.c, p.ldc)
      return
    }
    let row = UnsafeMutablePointer<Float>.allocate(capacity: p.n)
    defer { row.deallocate() }
    for i in 0..<p.m {
      ck_small_gemm(
        p.transposeA ? 1 : 0, p.transposeB ? 1 : 0, 1, p.n, p.k, p.a + (p.transposeA ? i : i * p.lda), p.lda, p.b,
        p.ldb, 0, row, p.n)
      for column in 0..<p.n { p.c[i * p.ldc + column] += p.alpha * row[column] }
    }
  }
}
