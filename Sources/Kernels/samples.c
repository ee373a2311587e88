#include "samples.h"
#include <string.h>

ptrdiff_t ck_first_outside(const ptrdiff_t *numbers, size_t count, ptrdiff_t limit) {
  size_t outside = 0;
  for (size_t i = 0; i < count; i++) outside += (size_t)numbers[i] >= (size_t)limit;
  if (outside == 0) return -1;
  size_t i = 0;
  while ((size_t)numbers[i] < (size_t)limit) i++;
  return (ptrdiff_t)i;
}

// Unaligned words, so that nothing below is a call of memcpy, which would cost more than a short row does.
typedef uint32_t word __attribute__((aligned(1), may_alias));
typedef uint64_t word2 __attribute__((aligned(1), may_alias));
typedef uint64_t word4 __attribute__((vector_size(16), aligned(1), may_alias));

// Rows of 4 bytes and more. The last 16 bytes may have been copied already.
__attribute__((no_builtin("memcpy", "memmove"))) static void gather_short(
    char *restrict out, const char *restrict rows, size_t bytes, const ptrdiff_t *restrict samples, size_t count) {
  if (bytes == 4) {
    for (size_t i = 0; i < count; i++) ((word *)out)[i] = ((const word *)rows)[samples[i]];
  } else if (bytes == 8) {
    for (size_t i = 0; i < count; i++) ((word2 *)out)[i] = ((const word2 *)rows)[samples[i]];
  } else if (bytes < 16) {
    for (size_t i = 0; i < count; i++, out += 12) {
      *(word2 *)out = *(const word2 *)(rows + 12 * samples[i]);
      *(word *)(out + 8) = *(const word *)(rows + 12 * samples[i] + 8);
    }
  } else {
    for (size_t i = 0; i < count; i++, out += bytes) {
      const char *from = rows + (size_t)samples[i] * bytes;
      for (size_t j = 0; j + 16 < bytes; j += 16) *(word4 *)(out + j) = *(const word4 *)(from + j);
      *(word4 *)(out + bytes - 16) = *(const word4 *)(from + bytes - 16);
    }
  }
}

// Rows lie anywhere in a set that caches do not hold: the next one is asked for while this one is copied.
static void ask_for(const char *row, size_t bytes) {
  const size_t most = bytes < 4096 ? bytes : 4096;
  for (size_t at = 0; at < most; at += 64) __builtin_prefetch(row + at);
}

static void bytes_to_floats(float *restrict out, const unsigned char *restrict bytes, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = bytes[i];
}

void ck_gather_rows(void *out, ck_number to, const void *rows, ck_number from, size_t row, const ptrdiff_t *samples,
                    size_t count) {
  const size_t size = ck_number_size(from), made = ck_number_size(to);
  if (from == to && row * size <= 128 && size >= 4) {
    gather_short(out, rows, row * size, samples, count);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    const char *sample = (const char *)rows + (size_t)samples[i] * row * size;
    char *place = (char *)out + i * row * made;
    if (i + 1 < count) ask_for((const char *)rows + (size_t)samples[i + 1] * row * size, row * size);
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
