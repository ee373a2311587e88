#define _GNU_SOURCE
#include "find.h"

#include <string.h>

size_t ck_find_word(const void *bytes, size_t count, const unsigned char word[4]) {
  const char *found = memmem(bytes, count, word, 4);
  return found ? (size_t)(found - (const char *)bytes) : count;
}
