#include <string.h>

#include "clones.h"
#include "conv.h"

enum { lanes = 64 };

/// A window's part that lies in the image: kernel rows and columns from `first` to before `last`, and the pixel at
/// kernel row and column 0, which may lie outside.
typedef struct {
  ptrdiff_t first[2], last[2], y, x;
} part;

static inline part part_at(const ck_window *w, ptrdiff_t oy, ptrdiff_t ox) {
  part p;
  const ptrdiff_t size[2] = {w->height, w->width}, at[2] = {oy, ox};
  ptrdiff_t start[2];
  for (int d = 0; d < 2; d++) {
    start[d] = at[d] * w->stride[d] - w->padding[d];
    p.first[d] = start[d] < 0 ? -start[d] : 0;
    p.last[d] = size[d] - start[d] < w->kernel[d] ? size[d] - start[d] : w->kernel[d];
  }
  p.y = start[0];
  p.x = start[1];
  return p;
}

/// How many elements before the window's pixel (ky, kx) there are.
static inline ptrdiff_t pixel(const ck_window *w, const part *p, ptrdiff_t ky, ptrdiff_t kx) {
  return (p->y + ky) * w->width + p->x + kx;
}

static inline __attribute__((always_inline)) void take_larger(float *restrict best, int32_t *restrict place,
                                                              const float *restrict from, size_t width, int32_t here) {
  for (size_t c = 0; c < width; c++) {
    const float value = from[c];
    const int larger = value > best[c] || value != value;
    best[c] = larger ? value : best[c];
    place[c] = larger ? here : place[c];
  }
}

static inline __attribute__((always_inline)) void max_of_window(const ck_window *w, const part *p, size_t channels,
                                                                size_t first, size_t width, const float *image,
                                                                float *restrict best, int32_t *restrict place) {
  const int32_t start = (int32_t)(p->first[0] * w->kernel[1] + p->first[1]);
  const float *from = image + pixel(w, p, p->first[0], p->first[1]) * (ptrdiff_t)channels + first;
  for (size_t c = 0; c < width; c++) {
    best[c] = from[c];
    place[c] = start;
  }
  for (ptrdiff_t ky = p->first[0]; ky < p->last[0]; ky++)
    for (ptrdiff_t kx = p->first[1]; kx < p->last[1]; kx++) {
      const int32_t here = (int32_t)(ky * w->kernel[1] + kx);
      if (here == start) continue;
      take_larger(best, place, image + pixel(w, p, ky, kx) * (ptrdiff_t)channels + first, width, here);
    }
}

CK_CLONES void ck_max_pool(const ck_window *w, size_t images, size_t channels, const float *x, float *y, void *places,
                           int wide) {
  float best[lanes];
  int32_t place[lanes];
  size_t done = 0;
  for (size_t n = 0; n < images; n++, x += (size_t)(w->height * w->width) * channels)
    for (ptrdiff_t oy = 0; oy < w->out_height; oy++)
      for (ptrdiff_t ox = 0; ox < w->out_width; ox++) {
        const part p = part_at(w, oy, ox);
        for (size_t first = 0; first < channels; first += lanes) {
          const size_t width = channels - first < lanes ? channels - first : lanes;
          // A width that the compiler knows keeps the best in registers.
          if (width == lanes)
            max_of_window(w, &p, channels, first, lanes, x, best, place);
          else
            max_of_window(w, &p, channels, first, width, x, best, place);
          memcpy(y + done, best, width * sizeof(float));
          if (wide == 1)
            for (size_t c = 0; c < width; c++) ((uint8_t *)places)[done + c] = (uint8_t)place[c];
          else
            for (size_t c = 0; c < width; c++) ((uint16_t *)places)[done + c] = (uint16_t)place[c];
          done += width;
        }
      }
}

/// Whether each pixel lies in exactly one window (1), in at most one (0), or in several (-1).
static int tiling(const ck_window *w) {
  const ptrdiff_t size[2] = {w->height, w->width}, out[2] = {w->out_height, w->out_width};
  int exact = 1;
  for (int d = 0; d < 2; d++) {
    if (w->stride[d] < w->kernel[d]) return -1;
    if (w->stride[d] != w->kernel[d] || out[d] * w->stride[d] < size[d] + w->padding[d]) exact = 0;
  }
  return exact;
}

/// Each gradient goes to one place of its window, the other places get nothing.
static inline __attribute__((always_inline)) void give_back(const float *restrict gradient,
                                                            const int32_t *restrict place, size_t width, int32_t here,
                                                            float *restrict to, int adds) {
  if (adds)
    for (size_t c = 0; c < width; c++) to[c] += place[c] == here ? gradient[c] : 0;
  else
    for (size_t c = 0; c < width; c++) to[c] = place[c] == here ? gradient[c] : 0;
}

CK_CLONES void ck_max_pool_backward(const ck_window *w, size_t images, size_t channels, const float *gradient,
                                    const void *places, int wide, const float *result, float *to, int accumulates) {
  const size_t size = (size_t)(w->height * w->width) * channels;
  const int tiles = tiling(w), adds = accumulates || tiles < 0;
  if (!accumulates && tiles != 1) memset(to, 0, images * size * sizeof(float));
  float given[lanes];
  int32_t place[lanes];
  size_t done = 0;
  for (size_t n = 0; n < images; n++, to += size)
    for (ptrdiff_t oy = 0; oy < w->out_height; oy++)
      for (ptrdiff_t ox = 0; ox < w->out_width; ox++) {
        const part p = part_at(w, oy, ox);
        for (size_t first = 0; first < channels; first += lanes) {
          const size_t width = channels - first < lanes ? channels - first : lanes;
          for (size_t c = 0; c < width; c++) given[c] = gradient[done + c];
          if (result)
            for (size_t c = 0; c < width; c++) given[c] = result[done + c] <= 0 ? 0 : given[c];
          if (wide == 1)
            for (size_t c = 0; c < width; c++) place[c] = ((const uint8_t *)places)[done + c];
          else
            for (size_t c = 0; c < width; c++) place[c] = ((const uint16_t *)places)[done + c];
          for (ptrdiff_t ky = p.first[0]; ky < p.last[0]; ky++)
            for (ptrdiff_t kx = p.first[1]; kx < p.last[1]; kx++) {
              float *target = to + pixel(w, &p, ky, kx) * (ptrdiff_t)channels + first;
              const int32_t here = (int32_t)(ky * w->kernel[1] + kx);
              if (width == lanes)
                give_back(given, place, lanes, here, target, adds);
              else
                give_back(given, place, width, here, target, adds);
            }
          done += width;
        }
      }
}

static inline float share(const ck_window *w, const part *p, int counts_padding) {
  const ptrdiff_t inside = (p->last[0] - p->first[0]) * (p->last[1] - p->first[1]);
  return (float)(counts_padding ? w->kernel[0] * w->kernel[1] : inside);
}

CK_CLONES void ck_avg_pool(const ck_window *w, size_t images, size_t channels, int counts_padding, const float *x,
                           float *restrict y) {
  for (size_t n = 0; n < images; n++, x += (size_t)(w->height * w->width) * channels)
    for (ptrdiff_t oy = 0; oy < w->out_height; oy++)
      for (ptrdiff_t ox = 0; ox < w->out_width; ox++, y += channels) {
        const part p = part_at(w, oy, ox);
        const float divisor = share(w, &p, counts_padding);
        memset(y, 0, channels * sizeof(float));
        for (ptrdiff_t ky = p.first[0]; ky < p.last[0]; ky++)
          for (ptrdiff_t kx = p.first[1]; kx < p.last[1]; kx++) {
            const float *restrict from = x + pixel(w, &p, ky, kx) * (ptrdiff_t)channels;
            for (size_t c = 0; c < channels; c++) y[c] += from[c];
          }
        for (size_t c = 0; c < channels; c++) y[c] /= divisor;
      }
}

CK_CLONES void ck_avg_pool_backward(const ck_window *w, size_t images, size_t channels, int counts_padding,
                                    const float *restrict gradient, float *to, int accumulates) {
  const size_t size = (size_t)(w->height * w->width) * channels;
  if (!accumulates) memset(to, 0, images * size * sizeof(float));
  for (size_t n = 0; n < images; n++, to += size)
    for (ptrdiff_t oy = 0; oy < w->out_height; oy++)
      for (ptrdiff_t ox = 0; ox < w->out_width; ox++, gradient += channels) {
        const part p = part_at(w, oy, ox);
        const float divisor = share(w, &p, counts_padding);
        for (ptrdiff_t ky = p.first[0]; ky < p.last[0]; ky++)
          for (ptrdiff_t kx = p.first[1]; kx < p.last[1]; kx++) {
            float *restrict target = to + pixel(w, &p, ky, kx) * (ptrdiff_t)channels;
            for (size_t c = 0; c < channels; c++) target[c] += gradient[c] / divisor;
          }
      }
}
