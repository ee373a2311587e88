// Sums and largest numbers of a row, in a fixed number of lanes.
#ifndef CKPT_ROW_MATH_H
#define CKPT_ROW_MATH_H

#include <stddef.h>

#include "vector_math.h"

enum { CK_LANES = 32 };

CK_INLINE float ckr_fold(float *lanes) {
#pragma clang loop unroll(full)
  for (int half = CK_LANES / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

CK_INLINE float ckr_sum(const float *x, size_t count) {
  float lanes[CK_LANES] = {0};
  size_t i = 0;
  for (; i + CK_LANES <= count; i += CK_LANES) {
    for (int t = 0; t < CK_LANES; t++) lanes[t] += x[i + (size_t)t];
  }
  for (size_t t = 0; i + t < count; t++) lanes[t] += x[i + t];
  return ckr_fold(lanes);
}

/// The sum of a[i] b[i].
CK_INLINE float ckr_dot(const float *a, const float *b, size_t count) {
  float lanes[CK_LANES] = {0};
  size_t i = 0;
  for (; i + CK_LANES <= count; i += CK_LANES) {
    for (int t = 0; t < CK_LANES; t++) lanes[t] += a[i + (size_t)t] * b[i + (size_t)t];
  }
  for (size_t t = 0; i + t < count; t++) lanes[t] += a[i + t] * b[i + t];
  return ckr_fold(lanes);
}

/// The largest number; NaN is passed over. count > 0.
CK_INLINE float ckr_max(const float *x, size_t count) {
  float lanes[CK_LANES];
  for (int t = 0; t < CK_LANES; t++) lanes[t] = -__builtin_inff();
  size_t i = 0;
  for (; i + CK_LANES <= count; i += CK_LANES) {
    for (int t = 0; t < CK_LANES; t++) lanes[t] = x[i + (size_t)t] > lanes[t] ? x[i + (size_t)t] : lanes[t];
  }
  for (size_t t = 0; i + t < count; t++) lanes[t] = x[i + t] > lanes[t] ? x[i + t] : lanes[t];
  float most = lanes[0];
  for (int t = 1; t < CK_LANES; t++) most = lanes[t] > most ? lanes[t] : most;
  return most;
}

/// out = e^(scale x - shift); gives the sum. out may be x.
CK_INLINE float ckr_exp_sum(float *out, const float *x, float scale, float shift, size_t count) {
  _Pragma("clang loop vectorize(assume_safety)") for (size_t i = 0; i < count; i++)
    out[i] = ckv_exp(x[i] * scale - shift);
  return ckr_sum(out, count);
}

#endif
