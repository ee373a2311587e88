// Linear interpolation with the bits of `torch.lerp`.
#ifndef CKPT_LERP_H
#define CKPT_LERP_H

/// From `a` (weight 0) to `b` (weight 1), based at the nearer end, with one rounding behind the difference.
#define CK_LERP(a, b, weight) \
  __builtin_elementwise_fma((weight) < 0.5f ? (weight) : (weight)-1, (b) - (a), (weight) < 0.5f ? (a) : (b))

#endif
