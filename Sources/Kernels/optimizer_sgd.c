// SGD in the order of torch's operations, each of which (`add` with `alpha`) is one fused multiply-add there.
#include "optimizer_slices.h"

#pragma STDC FP_CONTRACT OFF

#define FMA __builtin_elementwise_fma

typedef struct {
  float factor;       // of the gradient; negative to maximize
  float decay;        // the parameter's share in the gradient
  float momentum;
  float weight;       // of the gradient in the buffer: 1 - dampening
  float rate;         // negated
  float is_first;     // the buffer is not there yet
  float is_nesterov;
} scalars;

CK_CLONES static void plain(const ck_optimizer_tensor *t, size_t from, size_t to) {
  float *restrict parameter = t->parameter;
  const float *restrict gradient = t->gradient;
  const scalars s = *(const scalars *)t->scalars;
  for (size_t i = from; i < to; i++) {
    float g = gradient[i] * s.factor, w = parameter[i];
    g = s.decay != 0 ? FMA(w, s.decay, g) : g;
    parameter[i] = FMA(g, s.rate, w);
  }
}

CK_CLONES static void with_momentum(const ck_optimizer_tensor *t, size_t from, size_t to) {
  float *restrict parameter = t->parameter, *restrict buffer = t->slots[0];
  const float *restrict gradient = t->gradient;
  const scalars s = *(const scalars *)t->scalars;
  for (size_t i = from; i < to; i++) {
    float g = gradient[i] * s.factor, w = parameter[i];
    g = s.decay != 0 ? FMA(w, s.decay, g) : g;
    float b = s.is_first != 0 ? g : FMA(g, s.weight, buffer[i] * s.momentum);
    buffer[i] = b;
    parameter[i] = FMA(s.is_nesterov != 0 ? FMA(b, s.momentum, g) : b, s.rate, w);
  }
}

static void slice(const ck_optimizer_tensor *t, size_t from, size_t to) {
  if (t->slots[0]) with_momentum(t, from, to);
  else plain(t, from, to);
}

void ck_sgd(ck_optimizer_tensor *tensors, size_t count, const ck_sgd_options *groups, float factor) {
  for (size_t i = 0; i < count; i++) {
    ck_optimizer_tensor *t = &tensors[i];
    if (!t->gradient) continue;
    const ck_sgd_options *o = &groups[t->group];
    *(scalars *)t->scalars = (scalars){
        .factor = o->maximize ? -factor : factor,
        .decay = (float)o->weight_decay,
        .momentum = (float)o->momentum,
        .weight = (float)(1 - o->dampening),
        .rate = (float)-o->lr,
        .is_first = t->step == 0,
        .is_nesterov = o->nesterov != 0,
    };
    t->step++;
  }
  ck_for_each_slice(tensors, count, slice);
}
