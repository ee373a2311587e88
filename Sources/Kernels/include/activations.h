// Activations and what else follows a matrix product, forth and back.
#ifndef CKPT_ACTIVATIONS_H
#define CKPT_ACTIVATIONS_H

#include <stddef.h>

typedef enum {
  CK_NO_ACTIVATION, CK_RELU, CK_GELU, CK_GELU_TANH, CK_TANH, CK_SIGMOID
} ck_activation;

/// out = f(in); out may be in.
void ck_activate(ck_activation activation, float *out, const float *in, size_t count);

/// dx = dy f'(…), added to dx where `accumulates`. `saved` is f's result for ReLU, tanh and sigmoid, and its input for
/// GELU. dx may be dy.
void ck_activate_back(ck_activation activation, float *dx, const float *dy, const float *saved, int accumulates,
                      size_t count);

/// out = f(out + bias) + residual for a tile of rows x columns with leading dimension `ld`, which `residual` and
/// `input` have too. `bias` and `residual` may be NULL; `input`, where it is not, gets what f was computed of.
void ck_epilogue(float *out, size_t ld, size_t rows, size_t columns, const float *bias, const float *residual,
                 ck_activation activation, float *input);

#endif
