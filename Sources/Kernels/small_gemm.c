#include "small_gemm.h"

#include "clones.h"

enum { LANES = 16, ROWS = 8 };

/// A B^T: rows against rows. Sums of eight rows run side by side.
CK_CLONES static void rows_by_rows(size_t m, size_t n, size_t k, const float *restrict a, size_t lda,
                                   const float *restrict b, size_t ldb, int accumulates, float *restrict c,
                                   size_t ldc) {
  for (size_t j = 0; j < n; j++) {
    const float *row = b + j * ldb;
    size_t i = 0;
    for (; i + ROWS <= m; i += ROWS) {
      const float *x = a + i * lda;
      float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
      for (size_t l = 0; l < k; l++) {
        float w = row[l];
        s0 += x[l] * w;
        s1 += x[lda + l] * w;
        s2 += x[2 * lda + l] * w;
        s3 += x[3 * lda + l] * w;
        s4 += x[4 * lda + l] * w;
        s5 += x[5 * lda + l] * w;
        s6 += x[6 * lda + l] * w;
        s7 += x[7 * lda + l] * w;
      }
      float sums[ROWS] = {s0, s1, s2, s3, s4, s5, s6, s7};
      for (size_t r = 0; r < ROWS; r++) {
        float *target = c + (i + r) * ldc + j;
        *target = accumulates ? *target + sums[r] : sums[r];
      }
    }
    for (; i < m; i++) {
      float sum = 0;
      for (size_t l = 0; l < k; l++) sum += a[i * lda + l] * row[l];
      c[i * ldc + j] = accumulates ? c[i * ldc + j] + sum : sum;
    }
  }
}

/// A B and A^T B: combinations of rows of B, sixteen columns at a time. Where fewer columns are left, the lanes beyond
/// them compute on what follows in memory and are dropped; the last rows, where nothing follows, are added one by one.
CK_CLONES static void combine_rows(size_t m, size_t n, size_t k, const float *restrict a, size_t row, size_t stride,
                                   const float *restrict b, size_t ldb, int accumulates, float *restrict c,
                                   size_t ldc) {
  for (size_t i = 0; i < m; i++) {
    const float *factors = a + i * row;
    float *out = c + i * ldc;
    for (size_t j = 0; j < n; j += LANES) {
      size_t columns = n - j < LANES ? n - j : LANES;
      // The rows that sixteen floats can be read from.
      size_t whole = k;
      while (whole > 0 && (whole - 1) * ldb + j + LANES > (k - 1) * ldb + n) whole--;
      float even[LANES] = {0}, odd[LANES] = {0};
      size_t l = 0;
      for (; l + 2 <= whole; l += 2) {
        float x = factors[l * stride], y = factors[(l + 1) * stride];
        const float *p = b + l * ldb + j, *q = p + ldb;
        for (size_t t = 0; t < LANES; t++) even[t] += x * p[t];
        for (size_t t = 0; t < LANES; t++) odd[t] += y * q[t];
      }
      for (; l < k; l++) {
        float x = factors[l * stride];
        for (size_t t = 0; t < columns; t++) even[t] += x * b[l * ldb + j + t];
      }
      for (size_t t = 0; t < columns; t++) out[j + t] = (accumulates ? out[j + t] : 0) + (even[t] + odd[t]);
    }
  }
}

void ck_small_gemm(int transpose_a, int transpose_b, size_t m, size_t n, size_t k, const float *a, size_t lda,
                   const float *b, size_t ldb, int accumulates, float *c, size_t ldc) {
  if (!transpose_b) {
    combine_rows(m, n, k, a, transpose_a ? 1 : lda, transpose_a ? lda : 1, b, ldb, accumulates, c, ldc);
  } else if (!transpose_a) {
    rows_by_rows(m, n, k, a, lda, b, ldb, accumulates, c, ldc);
  } else {
    for (size_t i = 0; i < m; i++) {
      for (size_t j = 0; j < n; j++) {
        float sum = 0;
        for (size_t l = 0; l < k; l++) sum += a[l * lda + i] * b[j * ldb + l];
        c[i * ldc + j] = accumulates ? c[i * ldc + j] + sum : sum;
      }
    }
  }
}
