// Conversions of single numbers, for the loops of this module. All plain arithmetic on bits, so that loops vectorise.
#ifndef CKPT_NUMBERS_CONVERT_H
#define CKPT_NUMBERS_CONVERT_H

#include <stdint.h>
#include <string.h>

static inline float bits_f32(uint32_t x) { float f; memcpy(&f, &x, 4); return f; }
static inline uint32_t f32_bits(float f) { uint32_t x; memcpy(&x, &f, 4); return x; }
static inline double bits_f64(uint64_t x) { double f; memcpy(&f, &x, 8); return f; }
static inline uint64_t f64_bits(double f) { uint64_t x; memcpy(&x, &f, 8); return x; }

// A small float: its magnitude is put into float32's fields and multiplied by the difference of the biases, which is
// exact and also turns subnormals into what they are.
static inline float f16_to_f32(uint16_t h) {
  uint32_t magnitude = h & 0x7FFFu;
  uint32_t finite = f32_bits(bits_f32(magnitude << 13) * 0x1p112f);
  uint32_t special = 0x7F800000u | magnitude << 13;
  return bits_f32((uint32_t)(h & 0x8000u) << 16 | (magnitude >= 0x7C00u ? special : finite));
}

static inline float bf16_to_f32(uint16_t b) { return bits_f32((uint32_t)b << 16); }

static inline float e5m2_to_f32(uint8_t x) { return f16_to_f32((uint16_t)(x << 8)); }

static inline float e4m3fn_to_f32(uint8_t x) {
  uint32_t magnitude = x & 0x7Fu;
  uint32_t finite = f32_bits(bits_f32(magnitude << 20) * 0x1p120f);
  return bits_f32((uint32_t)(x & 0x80u) << 24 | (magnitude == 0x7Fu ? 0x7FC00000u : finite));
}

static inline float e4m3fnuz_to_f32(uint8_t x) {
  uint32_t finite = f32_bits(bits_f32((x & 0x7Fu) << 20) * 0x1p119f) | (uint32_t)(x & 0x80u) << 24;
  return bits_f32(x == 0x80u ? 0x7FC00000u : finite);
}

static inline float e5m2fnuz_to_f32(uint8_t x) {
  uint32_t finite = f32_bits(bits_f32((x & 0x7Fu) << 21) * 0x1p111f) | (uint32_t)(x & 0x80u) << 24;
  return bits_f32(x == 0x80u ? 0x7FC00000u : finite);
}

static inline float e8m0fnu_to_f32(uint8_t x) {
  return bits_f32(x == 0xFFu ? 0x7FC00000u : x == 0 ? 0x00400000u : (uint32_t)x << 23);
}

// Rounds to odd: a second rounding to at most 22 bits then gives what one rounding of the double would have given.
static inline float f64_to_f32_odd(double d) {
  float f = (float)d;
  double back = (double)f;
  uint32_t x = f32_bits(f);
  if (back == d || d != d) return f;
  // Not exact: of the two neighbours of d, the one whose last bit is set.
  uint32_t truncated = x - ((back < 0 ? -back : back) > (d < 0 ? -d : d));
  return bits_f32(truncated | 1u);
}

static inline uint16_t f32_to_bf16(float f) {
  uint32_t x = f32_bits(f);
  uint32_t rounded = (x + 0x7FFFu + (x >> 16 & 1)) >> 16;
  return (uint16_t)((x & 0x7FFFFFFFu) > 0x7F800000u ? x >> 16 | 0x40u : rounded);
}

// To a float of `mantissa` bits, `bias`, whose largest finite magnitude is `largest` (as its code) and whose code for
// what lies above is `over`.
static inline uint32_t f32_to_small(uint32_t x, int mantissa, int bias, uint32_t largest, uint32_t over, uint32_t nan) {
  const int shift = 23 - mantissa;
  uint32_t magnitude = x & 0x7FFFFFFFu;
  // Normal: move the exponent, round the mantissa to even.
  uint32_t normal = magnitude - ((uint32_t)(127 - bias) << 23);
  normal = (normal + ((1u << (shift - 1)) - 1) + (normal >> shift & 1)) >> shift;
  // Subnormal: adding a float whose last place is the target's rounds in hardware.
  uint32_t magic = (uint32_t)(127 - bias + 1 + shift) << 23;
  uint32_t small = f32_bits(bits_f32(magnitude) + bits_f32(magic)) - magic;
  uint32_t code = magnitude < (uint32_t)(127 - bias + 1) << 23 ? small : normal;
  // Far above everything (infinity too) the sums above may have wrapped.
  code = magnitude >= (uint32_t)(127 + bias + 2) << 23 || code > largest ? over : code;
  return magnitude > 0x7F800000u ? nan : code;
}

static inline uint16_t f32_to_f16(float f) {
  uint32_t x = f32_bits(f);
  uint32_t nan = 0x7E00u | (x >> 13 & 0x3FFu);
  return (uint16_t)((x >> 16 & 0x8000u) | f32_to_small(x, 10, 15, 0x7BFF, 0x7C00, nan));
}

static inline uint8_t f32_to_e5m2(float f) {
  uint32_t x = f32_bits(f);
  return (uint8_t)((x >> 24 & 0x80u) | f32_to_small(x, 2, 15, 0x7B, 0x7C, 0x7F));
}

// Has no infinity: what is too large becomes the largest number, infinity too (as PyTorch has it since 2.13).
static inline uint8_t f32_to_e4m3fn(float f) {
  uint32_t x = f32_bits(f);
  return (uint8_t)((x >> 24 & 0x80u) | f32_to_small(x, 3, 7, 0x7E, 0x7E, 0x7F));
}

#endif
