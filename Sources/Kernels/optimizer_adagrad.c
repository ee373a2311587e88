// Adagrad in the order of torch's operations (its default path; the square root is IEEE's).
#include "optimizer_slices.h"

#pragma STDC FP_CONTRACT OFF

#define FMA __builtin_elementwise_fma

typedef struct {
  float factor;     // of the gradient; negative to maximize
  float decay;      // the parameter's share in the gradient
  float eps, rate;  // the latter negated
} scalars;

CK_CLONES static void slice(const ck_optimizer_tensor *t, size_t from, size_t to) {
  float *restrict parameter = t->parameter, *restrict sum = t->slots[0];
  const float *restrict gradient = t->gradient;
  const scalars s = *(const scalars *)t->scalars;
  for (size_t i = from; i < to; i++) {
    float g = gradient[i] * s.factor, w = parameter[i];
    g = s.decay != 0 ? FMA(w, s.decay, g) : g;
    float v = FMA(g, g, sum[i]);
    sum[i] = v;
    parameter[i] = w + s.rate * g / (__builtin_elementwise_sqrt(v) + s.eps);
  }
}

void ck_adagrad(ck_optimizer_tensor *tensors, size_t count, const ck_adagrad_options *groups, float factor) {
  for (size_t i = 0; i < count; i++) {
    ck_optimizer_tensor *t = &tensors[i];
    if (!t->gradient) continue;
    const ck_adagrad_options *o = &groups[t->group];
    *(scalars *)t->scalars = (scalars){
        .factor = o->maximize ? -factor : factor,
        .decay = (float)o->weight_decay,
        .eps = (float)o->eps,
        .rate = (float)-(o->lr / (1 + (double)t->step * o->lr_decay)),
    };
    t->step++;
  }
  ck_for_each_slice(tensors, count, slice);
}
