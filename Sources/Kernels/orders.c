// Orders of samples by counting: Philox 4x32-10.
#include "clones.h"
#include "philox.h"
#include "samples.h"

CK_CLONES void ck_philox_words(uint64_t seed, uint64_t stream, uint64_t first, size_t blocks, uint64_t *out) {
  const uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  const uint32_t s0 = (uint32_t)stream, s1 = (uint32_t)(stream >> 32);
  for (size_t i = 0; i < blocks; i++) {
    const uint64_t block = first + i;
    uint32_t x0, x1, x2, x3;
    philox_rounds((uint32_t)block, (uint32_t)(block >> 32), s0, s1, k0, k1, &x0, &x1, &x2, &x3);
    out[2 * i] = x0 | (uint64_t)x1 << 32;
    out[2 * i + 1] = x2 | (uint64_t)x3 << 32;
  }
}

static inline uint64_t scaled(uint64_t word, uint64_t limit) {
  return (uint64_t)((unsigned __int128)word * limit >> 64);
}

#define WORDS 256

void ck_permutation(uint32_t *out, size_t count, uint64_t seed, uint64_t stream) {
  uint64_t words[WORDS];
  for (size_t i = 0; i < count; i++) out[i] = (uint32_t)i;
  for (size_t drawn = 0; drawn + 1 < count; drawn++) {
    if (drawn % WORDS == 0) ck_philox_words(seed, stream, drawn / 2, WORDS / 2, words);
    const size_t last = count - 1 - drawn;
    const size_t other = scaled(words[drawn % WORDS], last + 1);
    const uint32_t x = out[last];
    out[last] = out[other];
    out[other] = x;
  }
}

void ck_bounded_words(ptrdiff_t *out, uint64_t first, size_t count, uint64_t limit, uint64_t seed, uint64_t stream) {
  uint64_t words[WORDS];
  uint64_t known = UINT64_MAX;  // the first block that `words` holds
  for (size_t i = 0; i < count; i++) {
    const uint64_t number = first + i, chunk = number / WORDS * (WORDS / 2);
    if (chunk != known) {
      // All of a chunk only where it is used.
      const size_t left = (count - i + number % WORDS + 1) / 2;
      ck_philox_words(seed, stream, chunk, left < WORDS / 2 ? left : WORDS / 2, words);
      known = chunk;
    }
    out[i] = (ptrdiff_t)scaled(words[number % WORDS], limit);
  }
}
