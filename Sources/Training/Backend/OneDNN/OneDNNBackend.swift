#if OneDNN
  internal import COneDNN
  internal import Kernels

  /// oneDNN's `dnnl_sgemm`, the fastest measured.
  enum OneDNNBackend: Backend {
    static func sgemm(_ p: Product) {
      ck_openmp_alone()
      // It fails for sizes and leading dimensions that do not fit one another alone, which callers have checked.
      dnnl_sgemm(
        p.transposeA ? OneDNNBackend.transposed : OneDNNBackend.plain,
        p.transposeB ? OneDNNBackend.transposed : OneDNNBackend.plain, Int64(p.m), Int64(p.n), Int64(p.k), p.alpha, p.a,
        Int64(p.lda), p.b, Int64(p.ldb), p.beta, p.c, Int64(p.ldc))
    }

    private static let plain = CChar(78)  // "N"
    private static let transposed = CChar(84)  // "T"
  }
#endif
