// Memory that is used again and again: a training step takes the same blocks as the step before.
#ifndef CKPT_BLOCKS_H
#define CKPT_BLOCKS_H

#include <stddef.h>

/// A block of at least `bytes` bytes, aligned to 64; NULL when memory is short. What it holds is undefined.
void *ck_block_take(size_t bytes);

/// Gives a block back that was taken with the same `bytes`. It is kept for whoever takes that much next.
void ck_block_give(void *block, size_t bytes);

/// Returns all blocks that nobody holds to the system; gives their bytes.
size_t ck_blocks_trim(void);

/// Bytes of the blocks that nobody holds.
size_t ck_blocks_idle(void);

#endif
