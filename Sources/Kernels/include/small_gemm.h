// Products of small matrices, which calling a library for would cost more than computing.
#ifndef CKPT_SMALL_GEMM_H
#define CKPT_SMALL_GEMM_H

#include <stddef.h>

/// C = op(A) op(B), added to C where `accumulates`; C is m x n, K is k; row-major with leading dimensions, op is the
/// transpose where asked for.
void ck_small_gemm(int transpose_a, int transpose_b, size_t m, size_t n, size_t k, const float *a, size_t lda,
                   const float *b, size_t ldb, int accumulates, float *c, size_t ldc);

#endif
