// Arithmetic over whole tensors, element by element, on several threads where there is much to do.
#ifndef CKPT_ELEMENTWISE_H
#define CKPT_ELEMENTWISE_H

#include <stddef.h>
#include <stdint.h>

typedef enum { CK_ADD, CK_SUB, CK_MUL, CK_DIV } ck_operation;

/// out = a + b; out may be a or b.
void ck_add(float *out, const float *a, const float *b, size_t count);

/// out = a op b over `rows` rows of `columns`, where `a_repeats` or `b_repeats` say that a or b is a single row. out
/// may be a or b where that one does not repeat.
void ck_binary(ck_operation operation, float *out, const float *a, int a_repeats, const float *b, int b_repeats,
               size_t rows, size_t columns);

/// out = a op s, or s op a where `reversed`; out may be a.
void ck_scalar(ck_operation operation, float *out, const float *a, float s, int reversed, size_t count);

/// out = a s, added to out where `accumulates`.
void ck_scale(float *out, const float *a, float s, int accumulates, size_t count);

/// The sum, in doubles.
double ck_sum(const float *a, size_t count);

/// Sums over the rows of a rows x columns matrix, added to `out` where `accumulates`.
void ck_column_sums(float *out, const float *a, size_t rows, size_t columns, int accumulates);

/// Adds a row-major tensor's elements to `out`, whose strides are 0 where it repeats; `out` is cleared by the caller.
void ck_reduce(float *out, const int64_t *strides, const float *a, const int64_t *sizes, size_t rank);

/// a[i] = value for all i.
void ck_fill(float *out, float value, size_t count);

#endif
