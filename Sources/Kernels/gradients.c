#include "gradients.h"

#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "blocks.h"
#include "clones.h"
#include "lerp.h"
#include "ranges.h"

enum { LANES = 16 };

#define SUM(TERM)                                                                      \
  for (; i + LANES <= count; i += LANES) {                                             \
    for (size_t lane = 0; lane < LANES; lane++) {                                      \
      double x = (double)a[i + lane];                                                  \
      lanes[lane] += TERM;                                                             \
    }                                                                                  \
  }                                                                                    \
  for (size_t lane = 0; lane < LANES; lane++) sum += lanes[lane];                      \
  for (; i < count; i++) {                                                             \
    double x = (double)a[i];                                                           \
    sum += TERM;                                                                       \
  }

CK_CLONES static double sum_of(ck_norm_kind norm, double power, const float *a, size_t count) {
  double lanes[LANES] = {0}, sum = 0;
  size_t i = 0;
  switch (norm) {
    case CK_NORM_ABSOLUTE: SUM(fabs(x)); break;
    case CK_NORM_SQUARE: SUM(x * x); break;
    case CK_NORM_POWER: SUM(pow(fabs(x), power)); break;
  }
  return sum;
}

typedef struct {
  ck_norm_kind norm;
  double power;
  const float *a;
  double *sums;
} norm_job;

static void sum_part(void *context, size_t first, size_t count) {
  norm_job *j = context;
  j->sums[first / CK_GRAIN] = sum_of(j->norm, j->power, j->a + first, count);
}

double ck_norm_sum(ck_norm_kind norm, double power, const float *a, size_t count) {
  size_t pieces = (count + CK_GRAIN - 1) / CK_GRAIN;
  double *sums = pieces > 1 ? ck_block_take(pieces * sizeof(double)) : NULL;
  double sum = 0;
  if (sums) {
    norm_job j = {norm, power, a, sums};
    ck_ranges(count, CK_GRAIN, sum_part, &j);
    for (size_t i = 0; i < pieces; i++) sum += sums[i];
    ck_block_give(sums, pieces * sizeof(double));
  } else {
    for (size_t i = 0; i < count; i += CK_GRAIN) {
      sum += sum_of(norm, power, a + i, count - i < CK_GRAIN ? count - i : CK_GRAIN);
    }
  }
  return sum;
}

/// The largest |a| as bits: in this order NaN is above infinity, so that it wins.
CK_CLONES static uint32_t largest_of(const float *a, size_t count) {
  uint32_t largest = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &a[i], sizeof(bits));
    bits &= 0x7fffffff;
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

typedef struct {
  const float *a;
  _Atomic uint32_t largest;
} largest_job;

static void largest_part(void *context, size_t first, size_t count) {
  largest_job *j = context;
  uint32_t found = largest_of(j->a + first, count), known = atomic_load(&j->largest);
  while (found > known && !atomic_compare_exchange_weak(&j->largest, &known, found)) {}
}

float ck_largest(const float *a, size_t count) {
  largest_job j = {a, 0};
  ck_ranges(count, CK_GRAIN, largest_part, &j);
  uint32_t bits = atomic_load(&j.largest);
  float largest;
  memcpy(&largest, &bits, sizeof(largest));
  return largest;
}

typedef struct {
  float *out;
  const float *a;
  float scalar;
} job;

CK_CLONES static void clamp(void *context, size_t first, size_t count) {
  const job *j = context;
  float *out = j->out + first, limit = j->scalar;
  const float *a = j->a + first;
  CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = a[i] > limit ? limit : a[i] < -limit ? -limit : a[i];
}

void ck_clamp(float *out, const float *a, float limit, size_t count) {
  job j = {out, a, limit};
  ck_ranges(count, CK_GRAIN, clamp, &j);
}

CK_CLONES static void lerp(void *context, size_t first, size_t count) {
  const job *j = context;
  float *out = j->out + first, weight = j->scalar;
  const float *a = j->a + first;
  CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = CK_LERP(out[i], a[i], weight);
}

void ck_lerp(float *average, const float *value, float weight, size_t count) {
  job j = {average, value, weight};
  ck_ranges(count, CK_GRAIN, lerp, &j);
}
