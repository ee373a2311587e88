#include <math.h>
#include <string.h>

#include "clones.h"
#include "row_math.h"
#include "rows.h"

/// How many keys row `row` of a block sees.
static size_t visible(size_t row, size_t columns, size_t first, int causal) {
  size_t end = first + row + 1;
  return causal && end < columns ? end : columns;
}

CK_CLONES void ck_attention_softmax(float *scores, size_t rows, size_t columns, size_t first, int causal, float scale,
                                    float *sums, float *logs) {
  for (size_t row = 0; row < rows; row++) {
    float *x = scores + row * columns;
    size_t end = visible(row, columns, first, causal);
    float most = ckr_max(x, end) * scale;
    sums[row] = ckr_exp_sum(x, x, scale, most, end);
    logs[row] = most + logf(sums[row]);
    memset(x + end, 0, (columns - end) * sizeof(float));
  }
}

CK_CLONES void ck_attention_again(float *scores, size_t rows, size_t columns, size_t first, int causal, float scale,
                                  const float *logs) {
  for (size_t row = 0; row < rows; row++) {
    float *x = scores + row * columns;
    size_t end = visible(row, columns, first, causal);
    float log = logs[row];
    CK_VECTORISE for (size_t i = 0; i < end; i++) x[i] = ckv_exp(x[i] * scale - log);
    memset(x + end, 0, (columns - end) * sizeof(float));
  }
}

CK_CLONES void ck_attention_back(float *d, const float *p, size_t rows, size_t columns, const float *inner,
                                 float scale) {
  for (size_t row = 0; row < rows; row++) {
    float *x = d + row * columns;
    const float *q = p + row * columns;
    float sum = inner[row];
    CK_VECTORISE for (size_t i = 0; i < columns; i++) x[i] = q[i] * (x[i] - sum) * scale;
  }
}

CK_CLONES void ck_row_dots(float *out, const float *a, size_t lda, const float *b, size_t ldb, size_t rows,
                           size_t columns) {
  for (size_t row = 0; row < rows; row++) out[row] = ckr_dot(a + row * lda, b + row * ldb, columns);
}

CK_CLONES void ck_divide_rows(float *out, size_t ld, size_t rows, size_t columns, const float *divisors) {
  for (size_t row = 0; row < rows; row++) {
    float factor = 1 / divisors[row];
    float *x = out + row * ld;
    CK_VECTORISE for (size_t i = 0; i < columns; i++) x[i] *= factor;
  }
}
