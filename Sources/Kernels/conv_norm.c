#include "clones.h"
#include "conv.h"

// Sums go to double at once: PyTorch's CPU kernel accumulates so (its `acc_type` of float), and the order in which
// elements are added hardly shows then.

enum { lanes = 16, group = 8 };

#define LANES_OF(inner, step, body)       \
  {                                       \
    size_t i = 0;                         \
    for (; i + lanes <= (inner); i += lanes) \
      for (size_t k = 0; k < lanes; k++) { \
        const size_t at = i + k, lane = k; \
        body                              \
      }                                   \
    for (; i < (inner); i++) {            \
      const size_t at = i, lane = 0;      \
      body                                \
    }                                     \
  }

/// One channel whose elements lie in runs of `inner`.
static inline __attribute__((always_inline)) void sum_runs(const float *restrict x, const float *restrict gradient,
                                                           size_t outer, size_t channels, size_t inner, float shift,
                                                           double *first, double *second) {
  double a[lanes] = {0}, b[lanes] = {0};
  for (size_t n = 0; n < outer; n++) {
    const float *restrict run = x + n * channels * inner;
    if (gradient) {
      const float *restrict given = gradient + n * channels * inner;
      LANES_OF(inner, lanes, {
        a[lane] += given[at];
        b[lane] += (double)given[at] * ((double)run[at] - shift);
      })
    } else {
      LANES_OF(inner, lanes, {
        const double d = (double)run[at] - shift;
        a[lane] += d;
        b[lane] += d * d;
      })
    }
  }
  *first = *second = 0;
  for (size_t k = 0; k < lanes; k++) {
    *first += a[k];
    *second += b[k];
  }
}

/// Channels that lie next to one another: some rows at a time, so that sums stay in registers.
static inline __attribute__((always_inline)) void sum_rows(const float *restrict x, const float *restrict gradient,
                                                           size_t rows, size_t channels, size_t first, size_t last,
                                                           const float *restrict shift, double *restrict a,
                                                           double *restrict b) {
  for (size_t c = first; c < last; c++) {
    double s = a[c], q = b[c];
    for (size_t r = 0; r < rows; r++) {
      const double d = (double)x[r * channels + c] - shift[c];
      const double g = gradient ? gradient[r * channels + c] : d;
      s += g;
      q += g * d;
    }
    a[c] = s;
    b[c] = q;
  }
}

CK_CLONES static void sums_of_rows(const float *x, const float *gradient, size_t outer, size_t channels, size_t first,
                                   size_t last, const float *shift, double *sums) {
  for (size_t c = first; c < last; c++) sums[c] = sums[channels + c] = 0;
  for (size_t r = 0; r < outer; r += group) {
    const float *from = x + r * channels;
    if (outer - r < group) {
      sum_rows(from, gradient ? gradient + r * channels : 0, outer - r, channels, first, last, shift, sums,
               sums + channels);
    } else if (gradient) {
      sum_rows(from, gradient + r * channels, group, channels, first, last, shift, sums, sums + channels);
    } else {
      sum_rows(from, 0, group, channels, first, last, shift, sums, sums + channels);
    }
  }
}

CK_CLONES static void sums_of_runs(const float *x, const float *gradient, size_t outer, size_t channels, size_t inner,
                                   size_t first, size_t last, const float *shift, double *sums) {
  for (size_t c = first; c < last; c++)
    sum_runs(x + c * inner, gradient ? gradient + c * inner : 0, outer, channels, inner, shift[c], sums + c,
             sums + channels + c);
}

void ck_norm_sums(const float *x, const float *gradient, size_t outer, size_t channels, size_t inner, size_t first,
                  size_t last, const float *shift, double *sums) {
  if (inner == 1)
    sums_of_rows(x, gradient, outer, channels, first, last, shift, sums);
  else
    sums_of_runs(x, gradient, outer, channels, inner, first, last, shift, sums);
}

CK_CLONES void ck_norm(const float *restrict x, size_t outer, size_t channels, size_t inner,
                       const float *restrict mean, const float *restrict scale, const float *restrict offset,
                       float *restrict y) {
  for (size_t n = 0; n < outer; n++, x += channels * inner, y += channels * inner) {
    if (inner == 1) {
      for (size_t c = 0; c < channels; c++) y[c] = (x[c] - mean[c]) * scale[c] + offset[c];
      continue;
    }
    for (size_t c = 0; c < channels; c++) {
      const float m = mean[c], s = scale[c], o = offset[c];
      for (size_t i = 0; i < inner; i++) y[c * inner + i] = (x[c * inner + i] - m) * s + o;
    }
  }
}

CK_CLONES void ck_norm_backward(const float *restrict x, const float *restrict gradient, size_t outer, size_t channels,
                                size_t inner, const float *restrict mean, const float *restrict offset,
                                const float *restrict slope, const float *restrict scale, float *restrict to,
                                int accumulates) {
  for (size_t n = 0; n < outer; n++, x += channels * inner, gradient += channels * inner, to += channels * inner) {
    if (inner == 1) {
      if (accumulates)
        for (size_t c = 0; c < channels; c++)
          to[c] += (gradient[c] - offset[c] - (x[c] - mean[c]) * slope[c]) * scale[c];
      else
        for (size_t c = 0; c < channels; c++)
          to[c] = (gradient[c] - offset[c] - (x[c] - mean[c]) * slope[c]) * scale[c];
      continue;
    }
    for (size_t c = 0; c < channels; c++) {
      const float m = mean[c], o = offset[c], k = slope[c], s = scale[c];
      const float *restrict run = x + c * inner, *restrict given = gradient + c * inner;
      float *restrict target = to + c * inner;
      if (!accumulates)
        for (size_t i = 0; i < inner; i++) target[i] = (given[i] - o - (run[i] - m) * k) * s;
      else
        for (size_t i = 0; i < inner; i++) target[i] += (given[i] - o - (run[i] - m) * k) * s;
    }
  }
}
