// Gathers, byte order and signs.
#include "kernels.h"
#include <string.h>

#define MAX_RANK 64

// One run along the last dimension: `n` elements, `stride` elements apart.
#define RUN(T)                                                          \
  do {                                                                  \
    T *o = (T *)out;                                                    \
    const T *i = (const T *)in;                                         \
    for (int64_t k = 0; k < n; k++) memcpy(o + k, i + k * stride, sizeof(T)); \
  } while (0)

typedef struct {
  uint64_t a, b;
} pair128;

static void run(char *out, const char *in, int64_t n, int64_t stride, size_t item) {
  if (stride == 1) {
    memcpy(out, in, (size_t)n * item);
    return;
  }
  switch (item) {
  case 1: RUN(uint8_t); break;
  case 2: RUN(uint16_t); break;
  case 4: RUN(uint32_t); break;
  case 8: RUN(uint64_t); break;
  case 16: RUN(pair128); break;
  default:
    for (int64_t k = 0; k < n; k++) memcpy(out + (size_t)k * item, in + k * stride * (int64_t)item, item);
  }
}

void ck_gather(void *out, const void *base, size_t rank, const int64_t *sizes, const int64_t *strides, size_t item,
               uint64_t first, uint64_t count) {
  if (rank == 0 || rank > MAX_RANK) {
    if (rank == 0 && count) memcpy(out, base, item);
    return;
  }
  int64_t index[MAX_RANK];
  uint64_t rest = first;
  int64_t at = 0;  // in elements
  for (size_t d = rank; d-- > 0;) {
    index[d] = (int64_t)(rest % (uint64_t)sizes[d]);
    rest /= (uint64_t)sizes[d];
    at += index[d] * strides[d];
  }
  const size_t last = rank - 1;
  char *o = out;
  while (count > 0) {
    int64_t n = sizes[last] - index[last];
    if ((uint64_t)n > count) n = (int64_t)count;
    run(o, (const char *)base + at * (int64_t)item, n, strides[last], item);
    o += (size_t)n * item;
    count -= (uint64_t)n;
    at -= index[last] * strides[last];
    index[last] = 0;
    for (size_t d = last; d-- > 0;) {  // carry
      if (++index[d] < sizes[d]) {
        at += strides[d];
        break;
      }
      at -= (sizes[d] - 1) * strides[d];
      index[d] = 0;
    }
  }
}

void ck_byteswap(void *bytes, size_t count, size_t width) {
  char *p = bytes;
  for (size_t i = 0; i < count; i++, p += width) {
    switch (width) {
    case 2: { uint16_t x; memcpy(&x, p, 2); x = __builtin_bswap16(x); memcpy(p, &x, 2); break; }
    case 4: { uint32_t x; memcpy(&x, p, 4); x = __builtin_bswap32(x); memcpy(p, &x, 4); break; }
    case 8: { uint64_t x; memcpy(&x, p, 8); x = __builtin_bswap64(x); memcpy(p, &x, 8); break; }
    default: break;
    }
  }
}

void ck_flip_signs(void *bytes, size_t count, size_t width, size_t first, size_t step) {
  unsigned char *p = (unsigned char *)bytes + width - 1;  // the sign is the top bit of the last byte
  for (size_t i = first; i < count; i += step) p[i * width] ^= 0x80;
}

void ck_negate_integers(void *bytes, size_t count, size_t width) {
  char *p = bytes;
  for (size_t i = 0; i < count; i++, p += width) {
    switch (width) {
    case 1: { uint8_t x; memcpy(&x, p, 1); x = (uint8_t)(0 - x); memcpy(p, &x, 1); break; }
    case 2: { uint16_t x; memcpy(&x, p, 2); x = (uint16_t)(0 - x); memcpy(p, &x, 2); break; }
    case 4: { uint32_t x; memcpy(&x, p, 4); x = 0u - x; memcpy(p, &x, 4); break; }
    case 8: { uint64_t x; memcpy(&x, p, 8); x = 0ull - x; memcpy(p, &x, 8); break; }
    default: break;
    }
  }
}
