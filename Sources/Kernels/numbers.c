// Casts of whole tensors, block by block through float, double or 64-bit integers.
#include "numbers.h"
#include "numbers_convert.h"
#include <math.h>

#pragma STDC FP_CONTRACT OFF

#define BLOCK 1024

size_t ck_number_size(ck_number type) {
  switch (type) {
  case CK_F64: case CK_I64: case CK_U64: return 8;
  case CK_F32: case CK_I32: case CK_U32: return 4;
  case CK_F16: case CK_BF16: case CK_I16: case CK_U16: return 2;
  default: return 1;
  }
}

static int is_float(ck_number type) { return type <= CK_F8_E8M0FNU; }

// Memory that may not be aligned: memcpy of one element, which compiles to a plain load.
#define LOAD(T, p, i) ({ T v_; memcpy(&v_, (const char *)(p) + (i) * sizeof(T), sizeof(T)); v_; })
#define STORE(T, p, i, x) do { T v_ = (x); memcpy((char *)(p) + (i) * sizeof(T), &v_, sizeof(T)); } while (0)
#define EACH(T, expression) \
  for (size_t i = 0; i < n; i++) { T x = LOAD(T, in, i); out[i] = (expression); } break

// Every float type but float64.
static void to_float(const void *in, ck_number type, float *out, size_t n) {
  switch (type) {
  case CK_F32: memcpy(out, in, n * 4); break;
  case CK_F16: EACH(uint16_t, f16_to_f32(x));
  case CK_BF16: EACH(uint16_t, bf16_to_f32(x));
  case CK_F8_E4M3FN: EACH(uint8_t, e4m3fn_to_f32(x));
  case CK_F8_E5M2: EACH(uint8_t, e5m2_to_f32(x));
  case CK_F8_E4M3FNUZ: EACH(uint8_t, e4m3fnuz_to_f32(x));
  case CK_F8_E5M2FNUZ: EACH(uint8_t, e5m2fnuz_to_f32(x));
  case CK_F8_E8M0FNU: EACH(uint8_t, e8m0fnu_to_f32(x));
  default: break;
  }
}

void ck_to_double(const void *in, ck_number type, double *out, size_t n) {
  switch (type) {
  case CK_F64: memcpy(out, in, n * 8); break;
  case CK_I64: EACH(int64_t, (double)x);
  case CK_I32: EACH(int32_t, (double)x);
  case CK_I16: EACH(int16_t, (double)x);
  case CK_I8: EACH(int8_t, (double)x);
  case CK_U64: EACH(uint64_t, (double)x);
  case CK_U32: EACH(uint32_t, (double)x);
  case CK_U16: EACH(uint16_t, (double)x);
  case CK_U8: EACH(uint8_t, (double)x);
  default: {
    float block[BLOCK];
    const size_t size = ck_number_size(type);
    for (size_t first = 0; first < n; first += BLOCK) {
      size_t k = n - first < BLOCK ? n - first : BLOCK;
      to_float((const char *)in + first * size, type, block, k);
      for (size_t i = 0; i < k; i++) out[first + i] = (double)block[i];
    }
  }
  }
}

// --- To a float type ----------------------------------------------------------------------------------------------

#define NARROW(T, expression) \
  for (size_t i = 0; i < n; i++) { float x = in[i]; STORE(T, out, i, expression); } break

static void from_float(const float *in, void *out, ck_number type, size_t n) {
  switch (type) {
  case CK_F64: for (size_t i = 0; i < n; i++) STORE(double, out, i, (double)in[i]); break;
  case CK_F32: memcpy(out, in, n * 4); break;
  case CK_F16: NARROW(uint16_t, f32_to_f16(x));
  case CK_BF16: NARROW(uint16_t, f32_to_bf16(x));
  case CK_F8_E4M3FN: NARROW(uint8_t, f32_to_e4m3fn(x));
  case CK_F8_E5M2: NARROW(uint8_t, f32_to_e5m2(x));
  default: break;
  }
}

static uint64_t finite_f32(const float *x, size_t n) {
  uint32_t count = 0;
  for (size_t i = 0; i < n; i++) count += (f32_bits(x[i]) & 0x7F800000u) != 0x7F800000u;
  return count;
}

static uint64_t finite_f64(const double *x, size_t n) {
  uint64_t count = 0;
  for (size_t i = 0; i < n; i++) count += (f64_bits(x[i]) & 0x7FF0000000000000u) != 0x7FF0000000000000u;
  return count;
}

// Numbers of a block, `finite` of them finite, that were too large for the type they were written in.
static uint64_t overflowed(const float *in, uint64_t finite, const void *out, ck_number type, size_t n) {
  if (type == CK_F8_E4M3FN) {
    uint64_t count = 0;
    for (size_t i = 0; i < n; i++) count += fabsf(in[i]) > 464.0f;  // halfway to the number that would come next
    return count;
  }
  float block[BLOCK];
  to_float(out, type, block, n);
  return finite - finite_f32(block, n);
}

static uint64_t float_block(const float *in, void *out, ck_number to, size_t n) {
  from_float(in, out, to, n);
  return to == CK_F64 || to == CK_F32 ? 0 : overflowed(in, finite_f32(in, n), out, to, n);
}

static uint64_t double_block(const double *in, void *out, ck_number to, size_t n) {
  if (to == CK_F64) {
    memcpy(out, in, n * 8);
    return 0;
  }
  float block[BLOCK];
  if (to == CK_F32) {
    for (size_t i = 0; i < n; i++) block[i] = (float)in[i];
  } else {
    for (size_t i = 0; i < n; i++) block[i] = f64_to_f32_odd(in[i]);
  }
  from_float(block, out, to, n);
  return overflowed(block, finite_f64(in, n), out, to, n);
}

// --- Integers -----------------------------------------------------------------------------------------------------

// A block of integers as 64-bit words; `wide` says that they are unsigned.
static void to_words(const void *in, ck_number type, int64_t *out, size_t n) {
  switch (type) {
  case CK_I64: case CK_U64: memcpy(out, in, n * 8); break;
  case CK_I32: EACH(int32_t, x);
  case CK_I16: EACH(int16_t, x);
  case CK_I8: EACH(int8_t, x);
  case CK_U32: EACH(uint32_t, x);
  case CK_U16: EACH(uint16_t, x);
  case CK_U8: EACH(uint8_t, x);
  default: break;
  }
}

#define FIT(T, low, high)                                     \
  for (size_t i = 0; i < n; i++) {                            \
    lost += in[i] < (int64_t)(low) || in[i] > (int64_t)(high); \
    STORE(T, out, i, (T)in[i]);                               \
  }                                                           \
  break

static uint64_t from_words(const int64_t *in, int is_unsigned, void *out, ck_number to, size_t n) {
  uint64_t lost = 0;
  // A large unsigned number looks negative here.
  if (is_unsigned && to != CK_U64) for (size_t i = 0; i < n; i++) lost += in[i] < 0;
  if (!is_unsigned && to == CK_U64) for (size_t i = 0; i < n; i++) lost += in[i] < 0;
  switch (to) {
  case CK_I64: case CK_U64: memcpy(out, in, n * 8); break;
  case CK_I32: FIT(int32_t, INT32_MIN, INT32_MAX);
  case CK_I16: FIT(int16_t, INT16_MIN, INT16_MAX);
  case CK_I8: FIT(int8_t, INT8_MIN, INT8_MAX);
  case CK_U32: FIT(uint32_t, 0, UINT32_MAX);
  case CK_U16: FIT(uint16_t, 0, UINT16_MAX);
  case CK_U8: FIT(uint8_t, 0, UINT8_MAX);
  default: break;
  }
  return lost;
}

// Integers to floats: exact only when the way back gives the same.
static uint64_t words_to_float(const int64_t *in, int is_unsigned, void *out, ck_number to, size_t n) {
  double numbers[BLOCK], back[BLOCK];
  uint64_t lost = 0;
  for (size_t i = 0; i < n; i++) numbers[i] = is_unsigned ? (double)(uint64_t)in[i] : (double)in[i];
  double_block(numbers, out, to, n);
  ck_to_double(out, to, back, n);
  for (size_t i = 0; i < n; i++) {
    int same = back[i] == numbers[i];
    if (is_unsigned) same = same && numbers[i] < 0x1p64 && (uint64_t)numbers[i] == (uint64_t)in[i];
    else same = same && numbers[i] < 0x1p63 && (int64_t)numbers[i] == in[i];
    lost += !same;
  }
  return lost;
}

static uint64_t floats_to_integer(const double *in, void *out, ck_number to, size_t n) {
  int64_t words[BLOCK];
  uint64_t lost = 0;
  for (size_t i = 0; i < n; i++) {
    double x = in[i];
    int whole = x == floor(x) && !(x == 0 && signbit(x));
    int fits = to == CK_U64 ? x >= 0 && x < 0x1p64 : x >= -0x1p63 && x < 0x1p63;
    lost += !(whole && fits);
    words[i] = !(whole && fits) ? 0 : to == CK_U64 ? (int64_t)(uint64_t)x : (int64_t)x;
  }
  return lost + from_words(words, to == CK_U64, out, to, n);
}

uint64_t ck_cast(const void *in, ck_number from, void *out, ck_number to, size_t count) {
  const size_t a = ck_number_size(from), b = ck_number_size(to);
  uint64_t lost = 0;
  for (size_t first = 0; first < count; first += BLOCK) {
    size_t n = count - first < BLOCK ? count - first : BLOCK;
    const void *i = (const char *)in + first * a;
    void *o = (char *)out + first * b;
    union { float f[BLOCK]; double d[BLOCK]; int64_t w[BLOCK]; } block;
    if (!is_float(from)) {
      to_words(i, from, block.w, n);
      lost += is_float(to) ? words_to_float(block.w, from == CK_U64, o, to, n)
                           : from_words(block.w, from == CK_U64, o, to, n);
    } else if (!is_float(to)) {
      ck_to_double(i, from, block.d, n);
      lost += floats_to_integer(block.d, o, to, n);
    } else if (from == CK_F64) {
      memcpy(block.d, i, n * 8);
      lost += double_block(block.d, o, to, n);
    } else {
      to_float(i, from, block.f, n);
      lost += float_block(block.f, o, to, n);
    }
  }
  return lost;
}
