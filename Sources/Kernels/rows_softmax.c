#include <math.h>

#include "clones.h"
#include "ranges.h"
#include "row_math.h"
#include "rows.h"

typedef struct {
  float *out;
  const float *a, *y;
  size_t count, inner;
  int logarithm, accumulates;
} job;

CK_CLONES static void softmax_row(float *out, const float *in, size_t count) {
  float most = ckr_max(in, count);
  if (most == -INFINITY) most = 0;
  float sum = ckr_exp_sum(out, in, 1, most, count);
  float factor = 1 / sum;
  CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] *= factor;
}

CK_CLONES static float exp_sum(const float *in, float most, size_t count) {
  float sum = 0;
  float piece[256];
  for (size_t i = 0; i < count; i += 256) {
    sum += ckr_exp_sum(piece, in + i, 1, most, count - i < 256 ? count - i : 256);
  }
  return sum;
}

CK_CLONES static void log_softmax_row(float *out, const float *in, size_t count) {
  float most = ckr_max(in, count);
  if (most == -INFINITY) most = 0;
  float rest = logf(exp_sum(in, most, count));
  CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = (in[i] - most) - rest;
}

/// One vector whose elements lie `stride` apart.
static void softmax_strided(float *out, const float *in, size_t count, size_t stride, int logarithm) {
  float most = -INFINITY;
  for (size_t i = 0; i < count; i++) most = in[i * stride] > most ? in[i * stride] : most;
  if (most == -INFINITY) most = 0;
  float sum = 0;
  for (size_t i = 0; i < count; i++) sum += ckv_exp(in[i * stride] - most);
  float rest = logf(sum);
  for (size_t i = 0; i < count; i++) {
    float shifted = in[i * stride] - most;
    out[i * stride] = logarithm ? shifted - rest : ckv_exp(shifted) / sum;
  }
}

static void softmax_part(void *context, size_t first, size_t rows) {
  const job *j = context;
  for (size_t row = first; row < first + rows; row++) {
    size_t place = row / j->inner * j->count * j->inner + row % j->inner;
    if (j->inner > 1) {
      softmax_strided(j->out + place, j->a + place, j->count, j->inner, j->logarithm);
    } else if (j->logarithm) {
      log_softmax_row(j->out + place, j->a + place, j->count);
    } else {
      softmax_row(j->out + place, j->a + place, j->count);
    }
  }
}

void ck_softmax(float *out, const float *in, size_t outer, size_t count, size_t inner, int logarithm) {
  job j = {out, in, NULL, count, inner, logarithm, 0};
  if (count > 0) ck_ranges(outer * inner, ck_grain_rows(count), softmax_part, &j);
}

CK_CLONES static void back_row(float *dx, const float *dy, const float *y, size_t count, int logarithm,
                               int accumulates) {
  if (logarithm) {
    float sum = ckr_sum(dy, count);
    CK_VECTORISE for (size_t i = 0; i < count; i++) {
      dx[i] = (accumulates ? dx[i] : 0.0f) + (dy[i] - ckv_exp(y[i]) * sum);
    }
  } else {
    float sum = ckr_dot(dy, y, count);
    CK_VECTORISE for (size_t i = 0; i < count; i++) dx[i] = (accumulates ? dx[i] : 0.0f) + y[i] * (dy[i] - sum);
  }
}

static void back_strided(float *dx, const float *dy, const float *y, size_t count, size_t stride, int logarithm,
                         int accumulates) {
  float sum = 0;
  for (size_t i = 0; i < count; i++) sum += dy[i * stride] * (logarithm ? 1 : y[i * stride]);
  for (size_t i = 0; i < count * stride; i += stride) {
    float d = logarithm ? dy[i] - ckv_exp(y[i]) * sum : y[i] * (dy[i] - sum);
    dx[i] = accumulates ? dx[i] + d : d;
  }
}

static void back_part(void *context, size_t first, size_t rows) {
  const job *j = context;
  for (size_t row = first; row < first + rows; row++) {
    size_t place = row / j->inner * j->count * j->inner + row % j->inner;
    float *dx = j->out + place;
    if (j->inner > 1) {
      back_strided(dx, j->a + place, j->y + place, j->count, j->inner, j->logarithm, j->accumulates);
    } else {
      back_row(dx, j->a + place, j->y + place, j->count, j->logarithm, j->accumulates);
    }
  }
}

void ck_softmax_back(float *dx, const float *dy, const float *y, size_t outer, size_t count, size_t inner,
                     int logarithm, int accumulates) {
  job j = {dx, dy, y, count, inner, logarithm, accumulates};
  if (count > 0) ck_ranges(outer * inner, ck_grain_rows(count), back_part, &j);
}
