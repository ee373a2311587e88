#include "random.h"

#include <math.h>

#include "clones.h"
#include "philox.h"
#include "ranges.h"
#include "vector_math.h"

void ck_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  philox_rounds(counter[0], counter[1], counter[2], counter[3], key[0], key[1], out, out + 1, out + 2, out + 3);
}

// Numbers of one piece, in a buffer that stays in the first cache.
enum { PIECE = 1024, BLOCKS = PIECE / 4 };

/// A piece, one word of all blocks after the other, then woven together.
CK_CLONES static void bits_of(uint32_t out[PIECE], uint64_t seed, uint64_t block) {
  uint32_t words[4][BLOCKS];
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  CK_VECTORISE for (size_t i = 0; i < BLOCKS; i++) {
    uint64_t n = block + i;
    philox_rounds((uint32_t)n, (uint32_t)(n >> 32), 0, 0, k0, k1, &words[0][i], &words[1][i], &words[2][i], &words[3][i]);
  }
  for (size_t i = 0; i < BLOCKS; i++) {
    for (size_t w = 0; w < 4; w++) out[4 * i + w] = words[w][i];
  }
}

typedef struct {
  void *out;
  uint8_t *mask;
  const float *in;
  uint64_t seed, block;
  double a, b;
  float scale;
  int accumulates;
} job;

/// Which numbers are kept with probability 1 - p: those not below p 2^32.
static uint32_t threshold(double p) {
  double limit = p * 4294967296.0;
  return limit >= 4294967295.0 ? UINT32_MAX : (uint32_t)limit;
}

static void bits_part(void *context, size_t first, size_t count) {
  const job *j = context;
  uint32_t bits[PIECE];
  for (size_t i = 0; i < count; i += PIECE) {
    bits_of(bits, j->seed, j->block + (first + i) / 4);
    for (size_t k = 0; k < PIECE && i + k < count; k++) ((uint32_t *)j->out)[first + i + k] = bits[k];
  }
}

void ck_random_bits(uint32_t *out, uint64_t seed, uint64_t block, size_t count) {
  job j = {.out = out, .seed = seed, .block = block};
  ck_ranges(count, CK_GRAIN, bits_part, &j);
}

static void uniform_part(void *context, size_t first, size_t count) {
  const job *j = context;
  uint32_t bits[PIECE];
  for (size_t i = 0; i < count; i += PIECE) {
    bits_of(bits, j->seed, j->block + (first + i) / 4);
    for (size_t k = 0; k < PIECE && i + k < count; k++) {
      ((float *)j->out)[first + i + k] = (float)(j->a + (j->b - j->a) * ((bits[k] >> 8) * 0x1p-24));
    }
  }
}

void ck_uniform(float *out, uint64_t seed, uint64_t block, double low, double high, size_t count) {
  job j = {.out = out, .seed = seed, .block = block, .a = low, .b = high};
  ck_ranges(count, CK_GRAIN, uniform_part, &j);
}

static void normal_part(void *context, size_t first, size_t count) {
  const job *j = context;
  uint32_t bits[PIECE];
  for (size_t i = 0; i < count; i += PIECE) {
    bits_of(bits, j->seed, j->block + (first + i) / 4);
    for (size_t k = 0; k < PIECE && i + k < count; k += 2) {
      // In (0, 1], so that the logarithm is finite.
      double radius = sqrt(-2 * log((bits[k] + 1.0) * 0x1p-32));
      double angle = 6.283185307179586 * (bits[k + 1] * 0x1p-32);
      float *out = (float *)j->out + first + i + k;
      out[0] = (float)(j->a + j->b * radius * cos(angle));
      if (i + k + 1 < count) out[1] = (float)(j->a + j->b * radius * sin(angle));
    }
  }
}

void ck_normal(float *out, uint64_t seed, uint64_t block, double mean, double deviation, size_t count) {
  job j = {.out = out, .seed = seed, .block = block, .a = mean, .b = deviation};
  ck_ranges(count, CK_GRAIN, normal_part, &j);
}

CK_CLONES static void drop(float *out, uint8_t *mask, const float *in, const uint32_t *bits, uint32_t limit,
                           float scale, size_t count) {
  CK_VECTORISE for (size_t i = 0; i < count; i++) {
    int kept = bits[i] >= limit;
    mask[i] = (uint8_t)kept;
    out[i] = in[i] * (kept ? scale : 0.0f);
  }
}

static void dropout_part(void *context, size_t first, size_t count) {
  const job *j = context;
  uint32_t bits[PIECE];
  for (size_t i = first; i < first + count; i += PIECE) {
    bits_of(bits, j->seed, j->block + i / 4);
    size_t rest = first + count - i;
    drop((float *)j->out + i, j->mask + i, j->in + i, bits, threshold(j->a), j->scale, rest < PIECE ? rest : PIECE);
  }
}

/// 1 / (1 - p); 0 where everything is dropped.
static float scale_of(double p) { return p < 1 ? (float)(1 / (1 - p)) : 0.0f; }

void ck_dropout(float *out, uint8_t *mask, const float *in, double p, uint64_t seed, uint64_t block, size_t count) {
  job j = {out, mask, in, seed, block, p, 0, scale_of(p), 0};
  ck_ranges(count, CK_GRAIN, dropout_part, &j);
}

CK_CLONES static void back(void *context, size_t first, size_t count) {
  const job *j = context;
  float *out = (float *)j->out + first;
  const float *in = j->in + first;
  const uint8_t *mask = j->mask + first;
  float scale = j->scale;
  if (j->accumulates) {
    CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] += in[i] * (mask[i] ? scale : 0.0f);
  } else {
    CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = in[i] * (mask[i] ? scale : 0.0f);
  }
}

void ck_dropout_back(float *out, const float *in, const uint8_t *mask, float scale, int accumulates, size_t count) {
  job j = {.out = out, .in = in, .mask = (uint8_t *)mask, .scale = scale, .accumulates = accumulates};
  ck_ranges(count, CK_GRAIN, back, &j);
}

CK_CLONES static void drop_both(float *values, float *other, const uint32_t *bits, uint32_t limit, float scale,
                                size_t count) {
  CK_VECTORISE for (size_t i = 0; i < count; i++) values[i] *= bits[i] >= limit ? scale : 0.0f;
  if (!other) return;
  CK_VECTORISE for (size_t i = 0; i < count; i++) other[i] *= bits[i] >= limit ? scale : 0.0f;
}

void ck_dropout_rows(float *values, float *other, size_t rows, size_t columns, size_t ld, double p, uint64_t seed,
                     uint64_t block, uint64_t first_row, uint64_t stride) {
  uint32_t bits[PIECE];
  for (size_t row = 0; row < rows; row++) {
    uint64_t start = block + (first_row + row) * (stride / 4);
    for (size_t i = 0; i < columns; i += PIECE) {
      bits_of(bits, seed, start + i / 4);
      size_t count = columns - i < PIECE ? columns - i : PIECE;
      drop_both(values + row * ld + i, other ? other + row * ld + i : NULL, bits, threshold(p), scale_of(p), count);
    }
  }
}
