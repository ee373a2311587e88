// Text as numbers.
#include "samples.h"
#include <stdlib.h>
#include <string.h>

// The code point at `text`, of at most `count` bytes; *length is 0 where there is none.
static inline uint32_t character(const unsigned char *text, size_t count, size_t *length) {
  const uint32_t a = text[0];
  *length = 0;
  if (a < 0x80) {
    *length = 1;
    return a;
  }
  const size_t n = a >= 0xC2 && a < 0xE0 ? 2 : a >= 0xE0 && a < 0xF0 ? 3 : a >= 0xF0 && a < 0xF5 ? 4 : 0;
  if (n == 0 || n > count) return 0;
  uint32_t code = a & (0xFFu >> (n + 1));
  for (size_t i = 1; i < n; i++) {
    if ((text[i] & 0xC0) != 0x80) return 0;
    code = code << 6 | (text[i] & 0x3Fu);
  }
  // Too long for their code, surrogates, beyond Unicode.
  if ((n == 3 && code < 0x800) || (n == 4 && code < 0x10000) || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    return 0;
  }
  *length = n;
  return code;
}

ptrdiff_t ck_mark_characters(const void *text, size_t count, uint8_t *seen) {
  const unsigned char *bytes = text;
  ptrdiff_t found = 0;
  for (size_t at = 0; at < count; found++) {
    size_t length;
    const uint32_t code = character(bytes + at, count - at, &length);
    if (length == 0) return -1 - (ptrdiff_t)at;
    seen[code] = 1;
    at += length;
  }
  return found;
}

ptrdiff_t ck_encode_characters(const void *text, size_t count, const uint32_t *table, uint16_t *out) {
  const unsigned char *bytes = text;
  size_t made = 0;
  for (size_t at = 0; at < count; made++) {
    size_t length;
    const uint32_t code = character(bytes + at, count - at, &length);
    if (length == 0 || table[code] == 0) return (ptrdiff_t)made;
    out[made] = (uint16_t)(table[code] - 1);
    at += length;
  }
  return -1;
}

int ck_parse_number(const void *text, size_t count, double *out) {
  // strtod wants an end, takes hexadecimal numbers and leading space, and knows more than a table should hold.
  char copy[128];
  if (count == 0 || count >= sizeof copy) return 0;
  memcpy(copy, text, count);
  copy[count] = 0;
  const char *c = copy + (copy[0] == '-' || copy[0] == '+');
  const int is_word = (*c | 0x20) == 'n' || (*c | 0x20) == 'i';
  if (!is_word && *c != '.' && (*c < '0' || *c > '9')) return 0;
  for (; *c; c++) {
    if (*c == 'x' || *c == 'X' || *c == '(') return 0;
  }
  char *end;
  *out = strtod(copy, &end);
  return end == copy + count;
}
