// How two tensors differ, and what one holds.
#include "numbers.h"
#include "numbers_convert.h"
#include <math.h>

#pragma STDC FP_CONTRACT OFF

#define BLOCK 512

static int is_float(ck_number type) { return type <= CK_F8_E8M0FNU; }

int ck_same(const void *a, const void *b, size_t count) { return memcmp(a, b, count) == 0; }

static int close(double distance, double a, double b, double rtol, double atol) {
  if (a == b) return 1;
  if (a != a || b != b) return a != a && b != b;
  return isfinite(a) && isfinite(b) && distance <= atol + rtol * fabs(b);
}

// `size` is the magnitude of b.
static void note(ck_difference *sum, double distance, double size) {
  sum->differing++;
  double relative = distance == 0 ? 0 : isinf(distance) ? INFINITY : distance / size;
  if (distance != distance || distance > sum->max_abs) sum->max_abs = sum->max_abs != sum->max_abs ? sum->max_abs : distance;
  if (relative != relative || relative > sum->max_rel) sum->max_rel = sum->max_rel != sum->max_rel ? sum->max_rel : relative;
}

// Elements as doubles (a, b) and as they are (x, y).
static void compare_block(const double *a, const double *b, const char *x, const char *y, size_t size, size_t n,
                          int tolerant, double rtol, double atol, ck_difference *sum) {
  for (size_t i = 0; i < n; i++) {
    // Doubles tell all elements apart (64-bit integers come another way) but NaNs of different bits.
    if (f64_bits(a[i]) == f64_bits(b[i]) && a[i] == a[i]) continue;
    if (a[i] != a[i] && memcmp(x + i * size, y + i * size, size) == 0) continue;
    double distance = a[i] == b[i] ? 0 : fabs(a[i] - b[i]);
    if (tolerant && close(distance, a[i], b[i], rtol, atol)) continue;
    // Two NaNs of different bits differ, but by no number.
    note(sum, a[i] != a[i] && b[i] != b[i] ? 0 : distance, fabs(b[i]));
  }
}

// 64-bit integers: a double would hide a difference in the last bits.
static void compare_words(const char *x, const char *y, int is_unsigned, size_t n, int tolerant, double rtol,
                          double atol, ck_difference *sum) {
  for (size_t i = 0; i < n; i++) {
    uint64_t a, b;
    memcpy(&a, x + i * 8, 8);
    memcpy(&b, y + i * 8, 8);
    if (a == b) continue;
    int less = is_unsigned ? a < b : (int64_t)a < (int64_t)b;
    double distance = (double)(less ? b - a : a - b);
    double size = is_unsigned || (int64_t)b >= 0 ? (double)b : (double)(0 - b);
    if (tolerant && distance <= atol + rtol * size) continue;
    note(sum, distance, size);
  }
}

void ck_compare(const void *a, const void *b, ck_number type, size_t count, int tolerant, double rtol, double atol,
                ck_difference *sum) {
  const char *x = a, *y = b;
  if (type == CK_I64 || type == CK_U64) {
    compare_words(x, y, type == CK_U64, count, tolerant, rtol, atol, sum);
    return;
  }
  const size_t size = ck_number_size(type);
  double da[BLOCK], db[BLOCK];
  for (size_t first = 0; first < count; first += BLOCK, x += BLOCK * size, y += BLOCK * size) {
    size_t n = count - first < BLOCK ? count - first : BLOCK;
    if (memcmp(x, y, n * size) == 0) continue;
    ck_to_double(x, type, da, n);
    ck_to_double(y, type, db, n);
    compare_block(da, db, x, y, size, n, tolerant, rtol, atol, sum);
  }
}

void ck_compare_complex(const void *a, const void *b, ck_number part, size_t count, int tolerant, double rtol,
                        double atol, ck_difference *sum) {
  const char *x = a, *y = b;
  const size_t size = ck_number_size(part) * 2;
  for (size_t i = 0; i < count; i++, x += size, y += size) {
    if (memcmp(x, y, size) == 0) continue;
    double p[2], q[2];
    ck_to_double(x, part, p, 2);
    ck_to_double(y, part, q, 2);
    double re = p[0] == q[0] ? 0 : p[0] - q[0], im = p[1] == q[1] ? 0 : p[1] - q[1];
    int nans = (p[0] != p[0] || p[1] != p[1]) && (q[0] != q[0] || q[1] != q[1]);
    double distance = nans ? 0 : hypot(re, im), magnitude = hypot(q[0], q[1]);
    int near = nans || (re == 0 && im == 0) || (isfinite(distance) && distance <= atol + rtol * magnitude);
    if (tolerant && near) continue;
    note(sum, distance, magnitude);
  }
}

// --- Statistics ---------------------------------------------------------------------------------------------------

#define LANES 8

// One block of doubles: two passes over memory that is hot, then joined to the sum (Chan's formula). So a mean far from
// zero does not swallow the deviations, which a plain sum of squares would.
static void describe_block(const double *x, size_t n, ck_statistics *sum) {
  double low[LANES], high[LANES], total[LANES] = {0};
  int64_t finite[LANES] = {0}, nan[LANES] = {0}, zeros[LANES] = {0};
  for (int k = 0; k < LANES; k++) low[k] = INFINITY, high[k] = -INFINITY;
  for (size_t i = 0; i < n; i += LANES) {
    for (int k = 0; k < LANES; k++) {
      double v = x[i + k];
      int ok = fabs(v) < INFINITY;
      low[k] = ok && v < low[k] ? v : low[k];
      high[k] = ok && v > high[k] ? v : high[k];
      total[k] += ok ? v : 0;
      finite[k] += ok;
      nan[k] += v != v;
      zeros[k] += v == 0;
    }
  }
  double mean = 0, least = INFINITY, most = -INFINITY, m2 = 0, square[LANES] = {0};
  uint64_t count = 0, nans = 0;
  for (int k = 0; k < LANES; k++) {
    mean += total[k];
    count += (uint64_t)finite[k], nans += (uint64_t)nan[k], sum->zeros += (uint64_t)zeros[k];
    if (low[k] < least) least = low[k];
    if (high[k] > most) most = high[k];
  }
  sum->nan += nans;
  sum->inf += n - count - nans;
  if (count == 0) return;
  mean /= (double)count;
  for (size_t i = 0; i < n; i += LANES) {
    for (int k = 0; k < LANES; k++) {
      double d = x[i + k] - mean;
      square[k] += fabs(x[i + k]) < INFINITY ? d * d : 0;
    }
  }
  for (int k = 0; k < LANES; k++) m2 += square[k];
  if (sum->finite == 0 || least < sum->min) sum->min = least;
  if (sum->finite == 0 || most > sum->max) sum->max = most;
  double a = (double)sum->finite, b = (double)count, delta = mean - sum->mean;
  sum->finite += count;
  sum->mean += delta * (b / (a + b));
  sum->m2 += m2 + delta * delta * (a * b / (a + b));
}

void ck_describe(const void *in, ck_number type, size_t count, ck_statistics *sum) {
  const size_t size = ck_number_size(type);
  double block[BLOCK];
  for (size_t first = 0; first < count; first += BLOCK) {
    size_t n = count - first < BLOCK ? count - first : BLOCK;
    ck_to_double((const char *)in + first * size, type, block, n);
    size_t whole = n & ~(size_t)(LANES - 1), rest = n - whole;
    if (whole) describe_block(block, whole, sum);
    for (size_t i = 0; i < rest; i++) {
      // Filled up with NaN, which is taken out of the count again.
      double lanes[LANES];
      for (int k = 0; k < LANES; k++) lanes[k] = NAN;
      lanes[0] = block[whole + i];
      describe_block(lanes, LANES, sum);
      sum->nan -= LANES - 1;
    }
  }
}

#define SCAN(T, bad)                                            \
  for (size_t first = 0; first < count; first += 4096) {        \
    size_t n = count - first < 4096 ? count - first : 4096;     \
    T found = 0;                                                \
    for (size_t i = 0; i < n; i++) {                            \
      T x;                                                      \
      memcpy(&x, (const char *)in + (first + i) * sizeof(T), sizeof(T)); \
      found |= (T)(bad);                                        \
    }                                                           \
    if (found) return 0;                                        \
  }                                                             \
  return 1

int ck_all_finite(const void *in, ck_number type, size_t count) {
  if (!is_float(type)) return 1;
  switch (type) {
  case CK_F64: SCAN(uint64_t, (x & 0x7FF0000000000000u) == 0x7FF0000000000000u);
  case CK_F32: SCAN(uint32_t, (x & 0x7F800000u) == 0x7F800000u);
  case CK_F16: SCAN(uint16_t, (x & 0x7C00u) == 0x7C00u);
  case CK_BF16: SCAN(uint16_t, (x & 0x7F80u) == 0x7F80u);
  case CK_F8_E5M2: SCAN(uint8_t, (x & 0x7Cu) == 0x7Cu);
  case CK_F8_E4M3FN: SCAN(uint8_t, (x & 0x7Fu) == 0x7Fu);
  case CK_F8_E8M0FNU: SCAN(uint8_t, x == 0xFFu);
  default: SCAN(uint8_t, x == 0x80u);
  }
}
