// Looking for bytes.
#ifndef CKPT_FIND_H
#define CKPT_FIND_H

#include <stddef.h>

/// Where the four bytes of `word` first stand among `count` bytes; `count` where they do not.
size_t ck_find_word(const void *bytes, size_t count, const unsigned char word[4]);

#endif
