// RMSprop in the order of torch's operations (its default path; the square root is IEEE's).
#include "lerp.h"
#include "optimizer_slices.h"

#pragma STDC FP_CONTRACT OFF

#define FMA __builtin_elementwise_fma
#define ROOT __builtin_elementwise_sqrt

typedef struct {
  float factor;    // of the gradient; negative to maximize
  float decay;     // the parameter's share in the gradient
  float alpha;
  float weight;    // 1 - alpha, of the squared gradient and, where it is small, of the gradient in its average
  float momentum;
  float eps, rate; // the latter negated
} scalars;

#define LOCALS                                                                                                     \
  float *restrict parameter = t->parameter, *restrict square = t->slots[0], *restrict buffer = t->slots[1];        \
  float *restrict average = t->slots[2];                                                                           \
  const float *restrict gradient = t->gradient;                                                                    \
  const scalars s = *(const scalars *)t->scalars;                                                                  \
  (void)buffer, (void)average;

#define STEP(ROOT_OF_V, UPDATE)                                  \
  for (size_t i = from; i < to; i++) {                           \
    float g = gradient[i] * s.factor, w = parameter[i];          \
    g = s.decay != 0 ? FMA(w, s.decay, g) : g;                   \
    float v = FMA(s.weight * g, g, square[i] * s.alpha);         \
    square[i] = v;                                               \
    float d = ROOT_OF_V;                                         \
    d += s.eps;                                                  \
    UPDATE;                                                      \
  }

#define CENTERED ROOT(FMA(-average[i], average[i], v))
#define PLAIN parameter[i] = w + s.rate * g / d
#define MOMENTUM                               \
  float b = buffer[i] * s.momentum + g / d;    \
  buffer[i] = b;                               \
  parameter[i] = FMA(b, s.rate, w)

CK_CLONES static void plain(const ck_optimizer_tensor *t, size_t from, size_t to) {
  LOCALS
  STEP(ROOT(v), PLAIN)
}

CK_CLONES static void with_momentum(const ck_optimizer_tensor *t, size_t from, size_t to) {
  LOCALS
  STEP(ROOT(v), MOMENTUM)
}

CK_CLONES static void centered(const ck_optimizer_tensor *t, size_t from, size_t to) {
  LOCALS
  STEP((average[i] = CK_LERP(average[i], g, s.weight), CENTERED), PLAIN)
}

CK_CLONES static void centered_with_momentum(const ck_optimizer_tensor *t, size_t from, size_t to) {
  LOCALS
  STEP((average[i] = CK_LERP(average[i], g, s.weight), CENTERED), MOMENTUM)
}

static void slice(const ck_optimizer_tensor *t, size_t from, size_t to) {
  if (t->slots[2]) (t->slots[1] ? centered_with_momentum : centered)(t, from, to);
  else (t->slots[1] ? with_momentum : plain)(t, from, to);
}

void ck_rmsprop(ck_optimizer_tensor *tensors, size_t count, const ck_rmsprop_options *groups, float factor) {
  for (size_t i = 0; i < count; i++) {
    ck_optimizer_tensor *t = &tensors[i];
    if (!t->gradient) continue;
    const ck_rmsprop_options *o = &groups[t->group];
    *(scalars *)t->scalars = (scalars){
        .factor = o->maximize ? -factor : factor,
        .decay = (float)o->weight_decay,
        .alpha = (float)o->alpha,
        .weight = (float)(1 - o->alpha),
        .momentum = (float)o->momentum,
        .eps = (float)o->eps,
        .rate = (float)-o->lr,
    };
    t->step++;
  }
  ck_for_each_slice(tensors, count, slice);
}
