// How the kernels of all optimizers share the work out among threads.
#ifndef CKPT_OPTIMIZER_SLICES_H
#define CKPT_OPTIMIZER_SLICES_H

#include "clones.h"
#include "include/optimizer.h"

/// Does the step for elements `from ..< to` of one tensor.
typedef void ck_slice_step(const ck_optimizer_tensor *tensor, size_t from, size_t to);

/// Calls `step` for every element of every tensor that has a gradient, from several threads where there is enough work.
/// Slices begin at multiples of 16 elements.
void ck_for_each_slice(ck_optimizer_tensor *tensors, size_t count, ck_slice_step *step);

#endif
