#include "elementwise.h"

void ck_add(float *restrict a, const float *restrict b, size_t count) {
  for (size_t i = 0; i < count; i++) a[i] += b[i];
}
