// Samples of data sets: gathered rows and windows, orders of samples, text.
#ifndef CKPT_SAMPLES_H
#define CKPT_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "numbers.h"

// --- Gathering ----------------------------------------------------------------------------------------------------

/// The place of the first of `count` numbers that is not in 0 ..< limit; -1 when all are.
ptrdiff_t ck_first_outside(const ptrdiff_t *numbers, size_t count, ptrdiff_t limit);

/// Gathers rows of `row` elements each, converted from one type to another as `ck_cast` does. The samples are in range.
void ck_gather_rows(void *out, ck_number to, const void *rows, ck_number from, size_t row, const ptrdiff_t *samples,
                    size_t count);

/// Gathers windows of `context` tokens of `width` bytes (1 or 2), and the same one token on. The starts are in range.
void ck_gather_windows(int64_t *inputs, int64_t *targets, const void *tokens, size_t width, size_t context,
                       const ptrdiff_t *starts, size_t count);

/// Widens `low` and `high` to take in `count` numbers.
void ck_int_range(const int64_t *numbers, size_t count, int64_t *low, int64_t *high);

/// The largest of `count` tokens of `width` bytes (1 or 2); 0 when there is none.
uint32_t ck_largest_token(const void *tokens, size_t width, size_t count);

// --- Orders -------------------------------------------------------------------------------------------------------

/// Philox 4x32-10 (Salmon et al., 2011), from block `first` on: the key is `seed`, the counter's low half is the block's
/// number, its high half is `stream`. Each block gives two numbers, its words in order, the lower half first.
void ck_philox_words(uint64_t seed, uint64_t stream, uint64_t first, size_t blocks, uint64_t *out);

/// Fisher-Yates from the end: 0 ..< count in the order that the stream's numbers give.
void ck_permutation(uint32_t *out, size_t count, uint64_t seed, uint64_t stream);

/// Numbers `first ..< first + count` of a stream, each scaled to 0 ..< limit.
void ck_bounded_words(ptrdiff_t *out, uint64_t first, size_t count, uint64_t limit, uint64_t seed, uint64_t stream);

// --- Text ---------------------------------------------------------------------------------------------------------

/// Marks in `seen` (0x110000 bytes) every code point of UTF-8 text. Gives how many there are in the text, or -1 - offset
/// of what is not UTF-8.
ptrdiff_t ck_mark_characters(const void *text, size_t count, uint8_t *seen);

/// Turns UTF-8 text (which has been checked) into tokens by a table over code points. Gives the number of the first
/// character whose entry is 0, else -1; a token is the entry less one.
ptrdiff_t ck_encode_characters(const void *text, size_t count, const uint32_t *table, uint16_t *out);

/// Reads a decimal number that takes up all of `count` characters; 0 when that is no number. `nan` and `inf` in all
/// their spellings are numbers.
int ck_parse_number(const void *text, size_t count, double *out);

#endif
