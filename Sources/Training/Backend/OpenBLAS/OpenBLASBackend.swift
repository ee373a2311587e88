#if OpenBLAS && !OneDNN
  internal import COpenBLAS
  internal import Kernels

  /// OpenBLAS's `cblas_sgemm`, for machines without oneDNN.
  enum OpenBLASBackend: Backend {
    static func sgemm(_ p: Product) {
      // Its threads are set for the whole process; ours are the only ones then.
      _ = alone
      cblas_sgemm(
        CblasRowMajor, p.transposeA ? CblasTrans : CblasNoTrans, p.transposeB ? CblasTrans : CblasNoTrans, Int32(p.m),
        Int32(p.n), Int32(p.k), p.alpha, p.a, Int32(p.lda), p.b, Int32(p.ldb), p.beta, p.c, Int32(p.ldc))
    }

    private static let alone: Void = openblas_set_num_threads(1)
  }
#endif
