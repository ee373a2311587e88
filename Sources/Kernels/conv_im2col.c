#include <string.h>

#include "clones.h"
#include "conv.h"

/// Calls `visit` for each place of each window: the row's part, and the pixel it stands for (NULL in the padding).
#define EACH_PLACE(window, all, first, channels, image, rows, visit)                                       \
  for (ptrdiff_t oy = 0; oy < (window)->out_height; oy++)                                                  \
    for (ptrdiff_t ox = 0; ox < (window)->out_width; ox++)                                                 \
      for (ptrdiff_t ky = 0; ky < (window)->kernel[0]; ky++)                                               \
        for (ptrdiff_t kx = 0; kx < (window)->kernel[1]; kx++) {                                           \
          const ptrdiff_t y = oy * (window)->stride[0] - (window)->padding[0] + ky * (window)->dilation[0]; \
          const ptrdiff_t x = ox * (window)->stride[1] - (window)->padding[1] + kx * (window)->dilation[1]; \
          const int inside = y >= 0 && y < (window)->height && x >= 0 && x < (window)->width;              \
          const size_t pixel = inside ? (size_t)(y * (window)->width + x) * (all) + (first) : 0;           \
          visit;                                                                                           \
          rows += (channels);                                                                              \
        }

void ck_im2col(const ck_window *window, size_t all, size_t first, size_t channels, const float *image, float *rows) {
  EACH_PLACE(window, all, first, channels, image, rows, {
    if (inside)
      memcpy(rows, image + pixel, channels * sizeof(float));
    else
      memset(rows, 0, channels * sizeof(float));
  })
}

CK_CLONES void ck_col2im(const ck_window *window, size_t all, size_t first, size_t channels,
                         const float *restrict rows, float *restrict image) {
  EACH_PLACE(window, all, first, channels, image, rows, {
    if (inside)
      for (size_t c = 0; c < channels; c++) image[pixel + c] += rows[c];
  })
}

void ck_fill_rows(float *to, const float *bias, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    if (bias)
      memcpy(to + r * columns, bias, columns * sizeof(float));
    else
      memset(to + r * columns, 0, columns * sizeof(float));
  }
}

enum { block = 16 };

CK_CLONES static void sum_block(float *restrict to, const float *restrict from, size_t rows, size_t columns) {
  for (size_t c = 0; c < columns; c++) to[c] = from[c];
  for (size_t r = 1; r < rows; r++)
    for (size_t c = 0; c < columns; c++) to[c] += from[r * columns + c];
}

CK_CLONES static void add_rows(double *restrict to, const float *restrict from, size_t columns) {
  for (size_t c = 0; c < columns; c++) to[c] += from[c];
}

enum { most = 256 };

/// Short sums in float, those in double.
void ck_sum_rows(float *to, const float *from, size_t rows, size_t columns) {
  float part[most];
  double whole[most];
  for (size_t first = 0; first < columns; first += most) {
    const size_t width = columns - first < most ? columns - first : most;
    for (size_t c = 0; c < width; c++) whole[c] = 0;
    if (width == columns) {
      for (size_t r = 0; r < rows; r += block) {
        sum_block(part, from + r * columns, rows - r < block ? rows - r : block, columns);
        add_rows(whole, part, columns);
      }
    } else {
      for (size_t r = 0; r < rows; r++) add_rows(whole, from + r * columns + first, width);
    }
    for (size_t c = 0; c < width; c++) to[first + c] = (float)whole[c];
  }
}

CK_CLONES void ck_relu_in_place(float *restrict x, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] = x[i] < 0 ? 0 : x[i];
}

CK_CLONES void ck_relu_mask(float *restrict to, const float *restrict gradient, const float *restrict result,
                            size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = result[i] <= 0 ? 0 : gradient[i];
}
