// Functions of whole rows: softmax, layer norm, losses over classes, embeddings.
#ifndef CKPT_ROWS_H
#define CKPT_ROWS_H

#include <stddef.h>
#include <stdint.h>

/// Softmax, or its logarithm, over the middle dimension of an outer x count x inner tensor. out may be in.
void ck_softmax(float *out, const float *in, size_t outer, size_t count, size_t inner, int logarithm);

/// The way back, from the result `y` and its gradient; dx may be dy, and is added to where `accumulates`.
void ck_softmax_back(float *dx, const float *dy, const float *y, size_t outer, size_t count, size_t inner,
                     int logarithm, int accumulates);

/// Each row of `columns` normalised to mean 0 and variance 1, times `weight` plus `bias` (either may be NULL).
/// `mean` and `scale` (1 / standard deviation) get a number a row, for the way back.
void ck_layer_norm(float *out, const float *in, const float *weight, const float *bias, float eps, float *mean,
                   float *scale, size_t rows, size_t columns);

/// The way back. Any of `dx`, `dweight`, `dbias` may be NULL; each is added to where its flag says so. Gives 0 when
/// memory is short.
int ck_layer_norm_back(float *dx, int dx_accumulates, float *dweight, int dweight_accumulates, float *dbias,
                       int dbias_accumulates, const float *dy, const float *in, const float *weight,
                       const float *mean, const float *scale, size_t rows, size_t columns);

/// The sum over rows of the negative logarithm of the softmax at the row's label, rows whose label is `ignored` left
/// out; `count` gets the number of the others. `gradient`, where it is not NULL, gets softmax - one-hot (zeros in rows
/// left out). Labels have been checked. Gives NaN when memory is short.
double ck_cross_entropy(const float *logits, const int64_t *labels, int64_t ignored, float *gradient, size_t rows,
                        size_t columns, size_t *count);

/// The position of the first of `count` indices that is neither in 0 ..< limit nor `ignored`; `count` where there is none.
size_t ck_find_invalid(const int64_t *indices, size_t count, int64_t limit, int64_t ignored);

/// Rows of `table` by their numbers, plus rows of `other` (which repeats every `period` rows) where it is not NULL.
void ck_embedding(float *out, const float *table, const int64_t *indices, size_t rows, size_t columns,
                  const float *other, size_t period);

/// Adds each row of `dy` to that one of the `numbers` rows of `table` which its index says: those of one index summed in
/// order, as doubles. Gives 0 when memory is short.
int ck_embedding_back(float *table, const int64_t *indices, const float *dy, size_t rows, size_t numbers,
                      size_t columns);

/// Sums of |x - y|^2 and the like, in doubles.
typedef enum { CK_MSE, CK_L1, CK_HUBER, CK_BCE } ck_loss;
double ck_pair_loss(ck_loss loss, const float *x, const float *y, float delta, size_t count);

/// The loss's derivative by x (by y where `by_target`) times `factor`, added where `accumulates`.
void ck_pair_loss_back(ck_loss loss, float *out, const float *x, const float *y, float delta, float factor,
                       int by_target, int accumulates, size_t count);

/// out = row sums of a * b.
void ck_row_dots(float *out, const float *a, size_t lda, const float *b, size_t ldb, size_t rows, size_t columns);

/// Row i of a block of attention scores: of the first `first + i + 1` (or all, where not causal) `columns` numbers the
/// exponentials of scale * x minus their largest, zeros beyond; `sums` gets their sums and `logs` the logarithm of the sum
/// of the exponentials of scale * x.
void ck_attention_softmax(float *scores, size_t rows, size_t columns, size_t first, int causal, float scale,
                          float *sums, float *logs);

/// The probabilities again, from the scores and `logs`.
void ck_attention_again(float *scores, size_t rows, size_t columns, size_t first, int causal, float scale,
                        const float *logs);

/// d = p (d - inner[row]) scale
void ck_attention_back(float *d, const float *p, size_t rows, size_t columns, const float *inner, float scale);

/// Divides each row by its number.
void ck_divide_rows(float *out, size_t ld, size_t rows, size_t columns, const float *divisors);

#endif
