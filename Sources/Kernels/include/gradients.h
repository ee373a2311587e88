// Gradients as a whole: their norm, limits, and moving averages of what they change.
#ifndef CKPT_GRADIENTS_H
#define CKPT_GRADIENTS_H

#include <stddef.h>

/// What is summed over the elements: |a|, a a, or |a|^power.
typedef enum { CK_NORM_ABSOLUTE, CK_NORM_SQUARE, CK_NORM_POWER } ck_norm_kind;

/// The sum in doubles, whatever the number of threads in the same order. `power` is for CK_NORM_POWER.
double ck_norm_sum(ck_norm_kind norm, double power, const float *a, size_t count);

/// The largest |a|; NaN where one is.
float ck_largest(const float *a, size_t count);

/// out = a, but not below -limit and not above limit. NaN stays. out may be a.
void ck_clamp(float *out, const float *a, float limit, size_t count);

/// average += (value - average) * weight, with the bits of `torch.lerp`.
void ck_lerp(float *average, const float *value, float weight, size_t count);

#endif
