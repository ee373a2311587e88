#include "accuracy.h"

size_t ck_count_right(const float *logits, const int64_t *labels, size_t rows, size_t columns, size_t *counted) {
  size_t right = 0;
  *counted = 0;
  for (size_t row = 0; row < rows; row++) {
    if (labels[row] < 0) continue;
    const float *row_logits = logits + row * columns;
    size_t best = 0;
    for (size_t i = 1; i < columns; i++) {
      if (row_logits[i] > row_logits[best]) best = i;
    }
    right += best == (size_t)labels[row];
    *counted += 1;
  }
  return right;
}
