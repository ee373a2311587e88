// Block-quantised numbers of ggml as float32.
#ifndef CKPT_DEQUANTIZE_H
#define CKPT_DEQUANTIZE_H

#include <stddef.h>
#include <stdint.h>

/// Decodes `count` blocks of ggml's type number `type` to float32, element by element in their order.
/// Gives 0, or -1 for a type that is not known here. `blocks` needs no alignment, `out` that of a float.
int ck_dequantize(uint32_t type, const void *blocks, size_t count, void *out);

#endif
