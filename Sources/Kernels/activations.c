#include "activations.h"

#include "clones.h"
#include "ranges.h"
#include "vector_math.h"

typedef struct {
  ck_activation activation;
  float *out;
  const float *in, *saved;
  int accumulates;
} job;

#define LOOP(EXPRESSION) CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = EXPRESSION

CK_CLONES static void forward(ck_activation activation, float *out, const float *in, size_t count) {
  switch (activation) {
    case CK_NO_ACTIVATION: LOOP(in[i]); break;
    // A NaN passes, as in torch.
    case CK_RELU: LOOP(in[i] < 0 ? 0.0f : in[i]); break;
    case CK_GELU: LOOP(ckv_gelu(in[i])); break;
    case CK_GELU_TANH: LOOP(ckv_gelu_tanh(in[i])); break;
    case CK_TANH: LOOP(ckv_tanh(in[i])); break;
    case CK_SIGMOID: LOOP(ckv_sigmoid(in[i])); break;
  }
}

static void forward_part(void *context, size_t first, size_t count) {
  const job *j = context;
  forward(j->activation, j->out + first, j->in + first, count);
}

void ck_activate(ck_activation activation, float *out, const float *in, size_t count) {
  job j = {activation, out, in, NULL, 0};
  ck_ranges(count, CK_GRAIN, forward_part, &j);
}

#define BACK(EXPRESSION)                                                                    \
  if (accumulates) {                                                                        \
    LOOP(out[i] + (EXPRESSION));                                                            \
  } else {                                                                                  \
    LOOP(EXPRESSION);                                                                       \
  }                                                                                         \
  break

CK_CLONES static void back(ck_activation activation, float *out, const float *dy, const float *saved, int accumulates,
                           size_t count) {
  switch (activation) {
    case CK_NO_ACTIVATION: BACK(dy[i]);
    case CK_RELU: BACK(saved[i] > 0 ? dy[i] : 0.0f);
    case CK_GELU: BACK(dy[i] * ckv_gelu_slope(saved[i]));
    case CK_GELU_TANH: BACK(dy[i] * ckv_gelu_tanh_slope(saved[i]));
    case CK_TANH: BACK(dy[i] * (1.0f - saved[i] * saved[i]));
    case CK_SIGMOID: BACK(dy[i] * (saved[i] * (1.0f - saved[i])));
  }
}

static void back_part(void *context, size_t first, size_t count) {
  const job *j = context;
  back(j->activation, j->out + first, j->in + first, j->saved + first, j->accumulates, count);
}

void ck_activate_back(ck_activation activation, float *dx, const float *dy, const float *saved, int accumulates,
                      size_t count) {
  job j = {activation, dx, dy, saved, accumulates};
  ck_ranges(count, CK_GRAIN, back_part, &j);
}

CK_CLONES void ck_epilogue(float *out, size_t ld, size_t rows, size_t columns, const float *bias, const float *residual,
                           ck_activation activation, float *input) {
  for (size_t row = 0; row < rows; row++) {
    float *y = out + row * ld;
    if (bias) {
      CK_VECTORISE for (size_t i = 0; i < columns; i++) y[i] += bias[i];
    }
    if (input) {
      float *saved = input + row * ld;
      CK_VECTORISE for (size_t i = 0; i < columns; i++) saved[i] = y[i];
    }
    if (activation != CK_NO_ACTIVATION) forward(activation, y, y, columns);
    if (residual) {
      const float *other = residual + row * ld;
      CK_VECTORISE for (size_t i = 0; i < columns; i++) y[i] += other[i];
    }
  }
}
