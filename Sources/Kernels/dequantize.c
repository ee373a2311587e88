// Block formats of ggml. Each block has a scale (float16), sometimes a minimum, and small integers. The sums are taken
// as ggml's Python package takes them, in float32 and without fused operations, so that every bit is the same.
#include "clones.h"
#include "kernels.h"
#include "numbers_convert.h"

#pragma STDC FP_CONTRACT OFF

CK_INLINE float half_at(const uint8_t *p) { return f16_to_f32((uint16_t)(p[0] | p[1] << 8)); }

// --- Blocks of 32 ---------------------------------------------------------------------------------------------------

CK_CLONES static void q4_0(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 18, out += 32) {
    const float d = half_at(b);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)((b[2 + i] & 15) - 8);
      out[16 + i] = d * (float)((b[2 + i] >> 4) - 8);
    }
  }
}

CK_CLONES static void q4_1(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 20, out += 32) {
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)(b[4 + i] & 15) + m;
      out[16 + i] = d * (float)(b[4 + i] >> 4) + m;
    }
  }
}

// The fifth bits of 32 numbers, lowest first.
CK_INLINE uint32_t word_at(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

CK_CLONES static void q5_0(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 22, out += 32) {
    const float d = half_at(b);
    const uint32_t high = word_at(b + 2);
    for (int i = 0; i < 16; i++) {
      const int low = (b[6 + i] & 15) | (int)(high >> i & 1) << 4;
      const int top = (b[6 + i] >> 4) | (int)(high >> (16 + i) & 1) << 4;
      out[i] = d * (float)(low - 16);
      out[16 + i] = d * (float)(top - 16);
    }
  }
}

CK_CLONES static void q5_1(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 24, out += 32) {
    const float d = half_at(b), m = half_at(b + 2);
    const uint32_t high = word_at(b + 4);
    for (int i = 0; i < 16; i++) {
      const int low = (b[8 + i] & 15) | (int)(high >> i & 1) << 4;
      const int top = (b[8 + i] >> 4) | (int)(high >> (16 + i) & 1) << 4;
      out[i] = d * (float)low + m;
      out[16 + i] = d * (float)top + m;
    }
  }
}

CK_CLONES static void q8_0(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 34, out += 32) {
    const float d = half_at(b);
    for (int i = 0; i < 32; i++) out[i] = (float)(int8_t)b[2 + i] * d;
  }
}

// The 4-bit floats of MXFP4 and NVFP4, doubled: their scales are halved.
static const int8_t fp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

CK_CLONES static void mxfp4(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 17, out += 32) {
    // A power of two, halved; the two smallest are subnormal then.
    const float d = bits_f32(b[0] < 2 ? 0x00200000u << b[0] : (uint32_t)(b[0] - 1) << 23);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)fp4[b[1 + i] & 15];
      out[16 + i] = d * (float)fp4[b[1 + i] >> 4];
    }
  }
}

// An unsigned 8-bit float of 4 and 3 bits, halved. As the package has it: the top bit is not looked at, but in 0x7F.
CK_INLINE float ue4m3_half(uint8_t x) {
  const int exponent = x >> 3 & 15, mantissa = x & 7;
  if (x == 0 || x == 0x7F) return 0;
  if (exponent == 0) return (float)mantissa * 0x1p-9f * 0.5f;
  return bits_f32((uint32_t)(exponent - 7 + 127) << 23 | (uint32_t)mantissa << 20) * 0.5f;
}

CK_CLONES static void nvfp4(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 36, out += 64) {
    for (int part = 0; part < 4; part++) {
      const float d = ue4m3_half(b[part]);
      const uint8_t *q = b + 4 + 8 * part;
      for (int i = 0; i < 8; i++) {
        out[16 * part + i] = d * (float)fp4[q[i] & 15];
        out[16 * part + 8 + i] = d * (float)fp4[q[i] >> 4];
      }
    }
  }
}

static const int8_t iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

CK_CLONES static void iq4_nl(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 18, out += 32) {
    const float d = half_at(b);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)iq4[b[2 + i] & 15];
      out[16 + i] = d * (float)iq4[b[2 + i] >> 4];
    }
  }
}

// --- Blocks of 256 --------------------------------------------------------------------------------------------------

CK_CLONES static void q2_k(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 84, out += 256) {
    const float d = half_at(b + 80), minimum = half_at(b + 82);
    for (int part = 0; part < 16; part++) {
      const float scale = d * (float)(b[part] & 15), low = minimum * (float)(b[part] >> 4);
      // 32 bytes hold four planes of 32 numbers, each in two parts.
      const uint8_t *q = b + 16 + 32 * (part / 8) + 16 * (part % 2);
      const int shift = part % 8 / 2 * 2;
      for (int i = 0; i < 16; i++) out[16 * part + i] = scale * (float)(q[i] >> shift & 3) - low;
    }
  }
}

CK_CLONES static void q3_k(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 110, out += 256) {
    const uint8_t *scales = b + 96;
    const float d = half_at(b + 108);
    for (int part = 0; part < 16; part++) {
      const int low = scales[part % 8] >> (part / 8 * 4) & 15, high = scales[8 + part % 4] >> (part / 4 * 2) & 3;
      const float scale = d * (float)((low | high << 4) - 32);
      const uint8_t *q = b + 32 + 32 * (part / 8) + 16 * (part % 2), *mask = b + 16 * (part % 2);
      const int shift = part % 8 / 2 * 2, plane = part / 2;
      for (int i = 0; i < 16; i++) {
        // A set bit of the mask means that 4 is not taken away.
        const int number = (q[i] >> shift & 3) - ((mask[i] >> plane & 1) ^ 1) * 4;
        out[16 * part + i] = scale * (float)number;
      }
    }
  }
}

// Scale and minimum of eight parts, 6 bits each, in 12 bytes.
CK_INLINE void scale_and_minimum(const uint8_t *s, int part, int *scale, int *minimum) {
  const int i = part & 3;
  if (part < 4) {
    *scale = s[i] & 63;
    *minimum = s[4 + i] & 63;
  } else {
    *scale = (s[8 + i] & 15) | (s[i] >> 2 & 0x30);
    *minimum = (s[8 + i] >> 4) | (s[4 + i] >> 2 & 0x30);
  }
}

CK_CLONES static void q4_k(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 144, out += 256) {
    const float d = half_at(b), minimum = half_at(b + 2);
    for (int part = 0; part < 8; part++) {
      int s, m;
      scale_and_minimum(b + 4, part, &s, &m);
      const float scale = d * (float)s, low = minimum * (float)m;
      const uint8_t *q = b + 16 + 32 * (part / 2);
      const int shift = part % 2 * 4;
      for (int i = 0; i < 32; i++) out[32 * part + i] = scale * (float)(q[i] >> shift & 15) - low;
    }
  }
}

CK_CLONES static void q5_k(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 176, out += 256) {
    const float d = half_at(b), minimum = half_at(b + 2);
    const uint8_t *high = b + 16;
    for (int part = 0; part < 8; part++) {
      int s, m;
      scale_and_minimum(b + 4, part, &s, &m);
      const float scale = d * (float)s, low = minimum * (float)m;
      const uint8_t *q = b + 48 + 32 * (part / 2);
      const int shift = part % 2 * 4;
      for (int i = 0; i < 32; i++) {
        const int number = (q[i] >> shift & 15) | (high[i] >> part & 1) << 4;
        out[32 * part + i] = scale * (float)number - low;
      }
    }
  }
}

CK_CLONES static void q6_k(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 210, out += 256) {
    const float d = half_at(b + 208);
    for (int part = 0; part < 16; part++) {
      const float scale = d * (float)(int8_t)b[192 + part];
      // Halves of 128 numbers: 64 bytes with the low four bits, 32 bytes with the high two.
      const int half = part / 8, quarter = part % 8 / 2, side = 16 * (part % 2);
      const uint8_t *q = b + 64 * half + 32 * (quarter % 2) + side, *high = b + 128 + 32 * half + side;
      const int shift = quarter / 2 * 4, plane = quarter * 2;
      for (int i = 0; i < 16; i++) {
        const int number = ((q[i] >> shift & 15) | (high[i] >> plane & 3) << 4) - 32;
        out[16 * part + i] = scale * (float)number;
      }
    }
  }
}

CK_CLONES static void iq4_xs(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 136, out += 256) {
    const float d = half_at(b);
    const int high = b[2] | b[3] << 8;
    for (int part = 0; part < 8; part++) {
      const int s = (b[4 + part / 2] >> (part % 2 * 4) & 15) | (high >> 2 * part & 3) << 4;
      const float scale = d * (float)(s - 32);
      const uint8_t *q = b + 8 + 16 * part;
      for (int i = 0; i < 16; i++) {
        out[32 * part + i] = scale * (float)iq4[q[i] & 15];
        out[32 * part + 16 + i] = scale * (float)iq4[q[i] >> 4];
      }
    }
  }
}

static const uint8_t powers[5] = {1, 3, 9, 27, 81};

// Five ternary numbers in a byte, as a fraction of 256: multiplied by a power of 3, the next one comes out on top.
CK_INLINE void ternary(const uint8_t *q, int bytes, int planes, float d, float *out) {
  for (int plane = 0; plane < planes; plane++) {
    for (int i = 0; i < bytes; i++) {
      const uint8_t shifted = (uint8_t)(q[i] * powers[plane]);
      out[plane * bytes + i] = d * (float)((shifted * 3 >> 8) - 1);
    }
  }
}

CK_CLONES static void tq1_0(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 54, out += 256) {
    const float d = half_at(b + 52);
    ternary(b, 32, 5, d, out);
    ternary(b + 32, 16, 5, d, out + 160);
    ternary(b + 48, 4, 4, d, out + 240);
  }
}

CK_CLONES static void tq2_0(const uint8_t *b, size_t count, float *out) {
  for (size_t n = 0; n < count; n++, b += 66, out += 256) {
    const float d = half_at(b + 64);
    for (int part = 0; part < 8; part++) {
      const uint8_t *q = b + 32 * (part / 4);
      const int shift = part % 4 * 2;
      for (int i = 0; i < 32; i++) out[32 * part + i] = d * (float)((q[i] >> shift & 3) - 1);
    }
  }
}

int ck_dequantize(uint32_t type, const void *blocks, size_t count, void *out) {
  switch (type) {
    case 2: q4_0(blocks, count, out); return 0;
    case 3: q4_1(blocks, count, out); return 0;
    case 6: q5_0(blocks, count, out); return 0;
    case 7: q5_1(blocks, count, out); return 0;
    case 8: q8_0(blocks, count, out); return 0;
    case 10: q2_k(blocks, count, out); return 0;
    case 11: q3_k(blocks, count, out); return 0;
    case 12: q4_k(blocks, count, out); return 0;
    case 13: q5_k(blocks, count, out); return 0;
    case 14: q6_k(blocks, count, out); return 0;
    case 20: iq4_nl(blocks, count, out); return 0;
    case 23: iq4_xs(blocks, count, out); return 0;
    case 34: tq1_0(blocks, count, out); return 0;
    case 35: tq2_0(blocks, count, out); return 0;
    case 39: mxfp4(blocks, count, out); return 0;
    case 40: nvfp4(blocks, count, out); return 0;
    default: return -1;
  }
}
