#include "samples.h"
#include <string.h>

ptrdiff_t ck_first_outside(const ptrdiff_t *numbers, size_t count, ptrdiff_t limit) {
  for (size_t i = 0; i < count; i++) {
    if (numbers[i] < 0 || numbers[i] >= limit) return (ptrdiff_t)i;
  }
  return -1;
}

// Short rows: a call of memcpy costs more than they do.
static void gather_words(uint32_t *restrict out, const char *rows, size_t row, const ptrdiff_t *samples, size_t count) {
  for (size_t i = 0; i < count; i++, out += row) {
    const char *from = rows + (size_t)samples[i] * row * 4;
    for (size_t j = 0; j < row; j++) memcpy(out + j, from + 4 * j, 4);
  }
}

static void bytes_to_floats(float *restrict out, const unsigned char *restrict bytes, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = bytes[i];
}

void ck_gather_rows(void *out, ck_number to, const void *rows, ck_number from, size_t row, const ptrdiff_t *samples,
                    size_t count) {
  const size_t size = ck_number_size(from), made = ck_number_size(to);
  if (from == to && size == 4 && row <= 32) {
    gather_words(out, rows, row, samples, count);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    const char *sample = (const char *)rows + (size_t)samples[i] * row * size;
    char *place = (char *)out + i * row * made;
    if (from == to) {
      memcpy(place, sample, row * size);
    } else if (from == CK_U8 && to == CK_F32) {  // images
      bytes_to_floats((float *)place, (const unsigned char *)sample, row);
    } else {
      ck_cast(sample, from, place, to, row);
    }
  }
}

void ck_gather_windows(int64_t *inputs, int64_t *targets, const void *tokens, size_t width, size_t context,
                       const ptrdiff_t *starts, size_t count) {
  for (size_t i = 0; i < count; i++, inputs += context, targets += context) {
    const unsigned char *from = (const unsigned char *)tokens + (size_t)starts[i] * width;
    if (width == 1) {
      for (size_t j = 0; j < context; j++) inputs[j] = from[j];
      for (size_t j = 0; j < context; j++) targets[j] = from[j + 1];
    } else {
      for (size_t j = 0; j < context; j++) inputs[j] = from[2 * j] | from[2 * j + 1] << 8;
      for (size_t j = 1; j <= context; j++) targets[j - 1] = from[2 * j] | from[2 * j + 1] << 8;
    }
  }
}

void ck_int_range(const int64_t *numbers, size_t count, int64_t *low, int64_t *high) {
  int64_t least = *low, most = *high;
  for (size_t i = 0; i < count; i++) {
    least = numbers[i] < least ? numbers[i] : least;
    most = numbers[i] > most ? numbers[i] : most;
  }
  *low = least;
  *high = most;
}

uint32_t ck_largest_token(const void *tokens, size_t width, size_t count) {
  const unsigned char *bytes = tokens;
  uint16_t most = 0;
  for (size_t i = 0; i < count; i++) {
    uint16_t token = (uint16_t)(width == 1 ? bytes[i] : bytes[2 * i] | bytes[2 * i + 1] << 8);
    most = token > most ? token : most;
  }
  return most;
}
