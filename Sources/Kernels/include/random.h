// Random numbers by counting.
#ifndef CKPT_RANDOM_H
#define CKPT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/// Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): four numbers from a counter of
/// four words and a key of two.
void ck_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/// Numbers `first ..< first + count` of the sequence of a seed: block n has the counter (n, 0), both 64 bits.
void ck_random_bits(uint32_t *out, uint64_t seed, uint64_t block, size_t count);

/// Numbers from low ..< high, one of 2^24 steps, computed in doubles.
void ck_uniform(float *out, uint64_t seed, uint64_t block, double low, double high, size_t count);

/// Numbers of the normal distribution: two from each two of the sequence (Box and Muller).
void ck_normal(float *out, uint64_t seed, uint64_t block, double mean, double deviation, size_t count);

/// mask[i] = 1 with probability 1 - p; out = in mask / (1 - p).
void ck_dropout(float *out, uint8_t *mask, const float *in, double p, uint64_t seed, uint64_t block, size_t count);

/// out = in mask scale, added to out where `accumulates`; out may be in.
void ck_dropout_back(float *out, const float *in, const uint8_t *mask, float scale, int accumulates, size_t count);

/// values *= mask / (1 - p) for a block of rows whose row i begins at number (first_row + i) * stride of the sequence;
/// stride is a multiple of 4. `other`, where it is not NULL, is multiplied likewise.
void ck_dropout_rows(float *values, float *other, size_t rows, size_t columns, size_t ld, double p, uint64_t seed,
                     uint64_t block, uint64_t first_row, uint64_t stride);

#endif
