// The hot loops: what Swift does not vectorise, compiled for several CPUs and chosen at run time.
#ifndef CKPT_KERNELS_H
#define CKPT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "accuracy.h"
#include "activations.h"
#include "blocks.h"
#include "conv.h"
#include "dequantize.h"
#include "elementwise.h"
#include "find.h"
#include "gradients.h"
#include "graph.h"
#include "numbers.h"
#include "optimizer.h"
#include "parallel.h"
#include "random.h"
#include "rows.h"
#include "small_gemm.h"
#include "samples.h"

// --- XXH3-128 (xxhash.h, inlined once for the baseline and once for AVX2) -----------------------------------------

typedef struct {
  uint64_t low, high;
} ck_hash128;

/// A streaming state; NULL when memory is short.
void *ck_xxh3_create(void);
void ck_xxh3_free(void *state);
void ck_xxh3_reset(void *state);
void ck_xxh3_update(void *state, const void *bytes, size_t count);
ck_hash128 ck_xxh3_digest(const void *state);
ck_hash128 ck_xxh3_hash(const void *bytes, size_t count);

// --- Strided memory -----------------------------------------------------------------------------------------------

/// Copies elements `first ..< first + count` of a strided tensor, in row-major order, to `out`.
/// `base` is the address of element (0, …, 0); `sizes` and `strides` (in elements) have `rank` entries;
/// `item` is the element's size in bytes (1, 2, 4, 8, 16). Nothing is checked: the caller has checked the bounds.
void ck_gather(void *out, const void *base, size_t rank, const int64_t *sizes, const int64_t *strides, size_t item,
               uint64_t first, uint64_t count);

/// Reverses the bytes of each of `count` words of `width` bytes (2, 4, 8), in place.
void ck_byteswap(void *bytes, size_t count, size_t width);

/// Flips the sign of each of `count` floats of `width` bytes (2, 4, 8: IEEE or bfloat16), starting at word `first`
/// and taking every `step`-th (a complex tensor is conjugated by first = 1, step = 2), in place.
void ck_flip_signs(void *bytes, size_t count, size_t width, size_t first, size_t step);

/// Negates each of `count` two's complement integers of `width` bytes (1, 2, 4, 8), in place.
void ck_negate_integers(void *bytes, size_t count, size_t width);

// --- Files --------------------------------------------------------------------------------------------------------

/// Reserves `size` bytes for a file on the systems that can; gives 0 or an errno. (`fallocate` is not in Swift's Glibc.)
int ck_reserve(int descriptor, int64_t size);

/// Renames a file or folder to a name that must be free; gives 0 or an errno (EEXIST where the name is taken).
int ck_rename_new(const char *from, const char *to);

/// Lets two files or folders change places at once; gives 0 or an errno (EINVAL or ENOSYS where the system cannot).
int ck_exchange(const char *a, const char *b);

/// Lets growing buffers stay in the heap, whose pages are used again, instead of asking the system for new ones each
/// time. For a process that is short and allocates much.
void ck_keep_heap(void);

#endif
