// Philox 4x32-10: Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011).
#ifndef CKPT_PHILOX_H
#define CKPT_PHILOX_H

#include <stdint.h>

#include "clones.h"

// The constants of the paper.
static const uint32_t M0 = 0xD2511F53, M1 = 0xCD9E8D57, W0 = 0x9E3779B9, W1 = 0xBB67AE85;

CK_INLINE void philox_rounds(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1,
                             uint32_t *restrict x0, uint32_t *restrict x1, uint32_t *restrict x2, uint32_t *restrict x3) {
#pragma clang loop unroll(full)
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)M0 * c0, p1 = (uint64_t)M1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += W0;
    k1 += W1;
  }
  *x0 = c0;
  *x1 = c1;
  *x2 = c2;
  *x3 = c3;
}

#endif
