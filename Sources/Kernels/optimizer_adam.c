// Adam and AdamW with the bits of torch's `fused=True`, which runs with 8 lanes (AVX2) on newer CPUs too.
//
// torch's kernel goes over a tensor 8 elements at a time and over the last `count % 8` one by one. Its compiler contracts
// a * b + c * d to one fused multiply-add in both, but not on the same side, so the last elements have a recipe of their
// own. Here it depends on the element's position alone: any CPU and any number of threads give the same bits.
#include <math.h>

#include "optimizer_slices.h"

#pragma STDC FP_CONTRACT OFF

#define LANES 8

typedef struct {
  float factor;           // of the gradient; negative to maximize
  float decay;            // decoupled: the parameter's factor, else 1
  float coupled;          // coupled: the parameter's share in the gradient, else 0
  float weight1;          // of the gradient in the first moment, or (`from_gradient`) of the moment, negated
  float beta2, weight2;   // of the second moment and of the squared gradient
  float root_correction;  // sqrt(1 - beta2^step)
  float eps, step_size;   // the latter negated
  float from_gradient;    // 1 when beta1 <= 0.5
} scalars;

_Static_assert(sizeof(scalars) <= sizeof(((ck_optimizer_tensor *)0)->scalars), "scalars fit");

/// torch computes these in double and rounds once.
static void scalars_of(const ck_adam_options *o, int64_t step, float factor, scalars *s) {
  double correction1 = 1 - pow(o->beta1, (double)step);
  double correction2 = 1 - pow(o->beta2, (double)step);
  float weight = (float)(1 - o->beta1);
  s->factor = o->maximize ? -factor : factor;
  s->decay = o->decoupled ? (float)(1 - o->lr * o->weight_decay) : 1;
  s->coupled = o->decoupled ? 0 : (float)o->weight_decay;
  s->from_gradient = weight >= 0.5f;
  s->weight1 = s->from_gradient != 0 ? weight - 1 : weight;
  s->beta2 = (float)o->beta2;
  s->weight2 = (float)(1 - o->beta2);
  s->root_correction = (float)sqrt(correction2);
  s->eps = (float)o->eps;
  s->step_size = (float)-(o->lr / correction1);
}

#define FMA __builtin_elementwise_fma

/// The step of element `i`. The recipes for the second moment and the largest differ between body and tail.
#define STEP(SECOND, LARGEST)                                            \
  {                                                                      \
    float g = gradient[i] * s.factor, w = parameter[i] * s.decay;        \
    g = s.coupled != 0 ? FMA(w, s.coupled, g) : g;                       \
    float m = first[i], v = second[i];                                   \
    m = FMA(s.weight1, g - m, s.from_gradient != 0 ? g : m);             \
    v = SECOND;                                                          \
    first[i] = m;                                                        \
    second[i] = v;                                                       \
    LARGEST;                                                             \
    float root = __builtin_elementwise_sqrt(v);                          \
    parameter[i] = w + s.step_size * m / (root / s.root_correction + s.eps); \
  }

#define SECOND_OF_BODY FMA(s.weight2 * g, g, v * s.beta2)
#define SECOND_OF_TAIL FMA(v, s.beta2, s.weight2 * g * g)

// NaN stays in the body, as at::vec::maximum has it; std::max in the tail drops it.
#define LARGEST_OF_BODY v = largest[i] = v != v || v > largest[i] ? v : largest[i]
#define LARGEST_OF_TAIL v = largest[i] = largest[i] < v ? v : largest[i]

#define LOCALS                                                                                              \
  float *restrict parameter = t->parameter, *restrict first = t->slots[0], *restrict second = t->slots[1];  \
  const float *restrict gradient = t->gradient;                                                             \
  const scalars s = *(const scalars *)t->scalars;                                                           \
  size_t body = t->count - t->count % LANES, end = to < body ? to : body;

CK_CLONES static void plain(const ck_optimizer_tensor *t, size_t from, size_t to) {
  LOCALS
  for (size_t i = from; i < end; i++) STEP(SECOND_OF_BODY, )
  for (size_t i = from < body ? body : from; i < to; i++) STEP(SECOND_OF_TAIL, )
}

CK_CLONES static void amsgrad(const ck_optimizer_tensor *t, size_t from, size_t to) {
  LOCALS
  float *restrict largest = t->slots[2];
  for (size_t i = from; i < end; i++) STEP(SECOND_OF_BODY, LARGEST_OF_BODY)
  for (size_t i = from < body ? body : from; i < to; i++) STEP(SECOND_OF_TAIL, LARGEST_OF_TAIL)
}

static void slice(const ck_optimizer_tensor *t, size_t from, size_t to) {
  if (t->slots[2]) amsgrad(t, from, to);
  else plain(t, from, to);
}

void ck_adam(ck_optimizer_tensor *tensors, size_t count, const ck_adam_options *groups, float factor) {
  // Powers are dear for small tensors; most parameters are at the same step.
  const ck_optimizer_tensor *last = NULL;
  for (size_t i = 0; i < count; i++) {
    ck_optimizer_tensor *t = &tensors[i];
    if (!t->gradient) continue;
    t->step++;
    if (last && last->group == t->group && last->step == t->step) *(scalars *)t->scalars = *(scalars *)last->scalars;
    else scalars_of(&groups[t->group], t->step, factor, (scalars *)t->scalars);
    last = t;
  }
  ck_for_each_slice(tensors, count, slice);
}
