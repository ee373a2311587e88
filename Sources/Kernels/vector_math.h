// Functions of one float that compilers vectorise: no branches, no calls.
#ifndef CKPT_VECTOR_MATH_H
#define CKPT_VECTOR_MATH_H

#include <stdint.h>
#include <string.h>

#include "clones.h"

CK_INLINE float ckv_float(int32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

CK_INLINE int32_t ckv_bits(float value) {
  int32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

CK_INLINE float ckv_abs(float x) { return __builtin_fabsf(x); }

/// e^x to 1 ulp: x = n ln 2 + r, a polynomial of r, and 2^n as two factors so that small results stay exact.
CK_INLINE float ckv_exp(float x) {
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which then lies in the low bits
  float shifted = x * 1.44269504f + magic;
  float n = shifted - magic;
  int32_t whole = ckv_bits(shifted) - ckv_bits(magic);
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  int32_t half = whole >> 1;
  return p * ckv_float((half + 127) << 23) * ckv_float((whole - half + 127) << 23);
}

CK_INLINE float ckv_sigmoid(float x) { return 1.0f / (1.0f + ckv_exp(-x)); }

CK_INLINE float ckv_tanh(float x) {
  float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z + -5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z + -3.33332819422e-1f;
  float near = p * z * x + x;
  float t = ckv_abs(x);
  float e = ckv_exp(-2.0f * t);
  float far = (1.0f - e) / (1.0f + e);
  far = x < 0 ? -far : far;
  return t < 0.625f ? near : far;
}

/// What the normal distribution's tail Phi(-t) is of e^(-t^2/2), for t >= 0: a polynomial of 1 / (1 + 0.4 t), fitted to
/// 4e-8.
CK_INLINE float ckv_mills(float t) {
  float k = 1.0f / (1.0f + 0.4f * t);
  float p = 0.030433788895606995f;
  p = p * k + -0.16854864358901978f;
  p = p * k + 0.3661123216152191f;
  p = p * k + -0.3566129803657532f;
  p = p * k + 0.1082872748374939f;
  p = p * k + -0.0224534310400486f;
  p = p * k + 0.09031808376312256f;
  p = p * k + 0.13326674699783325f;
  p = p * k + 0.15962089598178864f;
  p = p * k + 0.1595759093761444f;
  return p * k;
}

/// x Phi(x), and its derivative Phi(x) + x phi(x).
CK_INLINE float ckv_gelu(float x) {
  float t = ckv_abs(x);
  t = t > 14.0f ? 14.0f : t;
  float tail = ckv_exp(-0.5f * t * t) * ckv_mills(t);
  return x * (x > 0 ? 1.0f - tail : tail);
}

CK_INLINE float ckv_gelu_slope(float x) {
  float t = ckv_abs(x);
  t = t > 14.0f ? 14.0f : t;
  float e = ckv_exp(-0.5f * t * t);
  float tail = e * ckv_mills(t);
  return (x > 0 ? 1.0f - tail : tail) + x * (e * 0.3989422804f);
}

/// The tanh form: x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
CK_INLINE float ckv_gelu_tanh(float x) {
  float u = 0.7978845608f * (x + 0.044715f * (x * x * x));
  return x * ckv_sigmoid(2.0f * u);
}

CK_INLINE float ckv_gelu_tanh_slope(float x) {
  float u = 0.7978845608f * (x + 0.044715f * (x * x * x));
  float slope = 0.7978845608f * (1.0f + 0.134145f * (x * x));
  float s = ckv_sigmoid(2.0f * u);
  return s + x * (s * (1.0f - s)) * (2.0f * slope);
}

#endif
