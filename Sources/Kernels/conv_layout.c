#include "clones.h"
#include "conv.h"

enum { tile = 16 };

/// Tiles, so that of the two orders neither jumps over more memory than a cache holds.
CK_CLONES static void transpose_one(float *restrict to, const float *restrict from, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r += tile) {
    const size_t height = rows - r < tile ? rows - r : tile;
    for (size_t c = 0; c < columns; c += tile) {
      const size_t width = columns - c < tile ? columns - c : tile;
      for (size_t j = 0; j < width; j++)
        for (size_t i = 0; i < height; i++) to[(c + j) * rows + r + i] = from[(r + i) * columns + c + j];
    }
  }
}

void ck_transpose(float *to, const float *from, size_t count, size_t rows, size_t columns) {
  for (size_t n = 0; n < count; n++) transpose_one(to + n * rows * columns, from + n * rows * columns, rows, columns);
}

CK_CLONES void ck_accumulate(float *restrict to, const float *restrict from, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] += from[i];
}
