// Convolution, pooling and batch norm, beside what a library multiplies.
//
// Images lie with their channels next to one another (N, H, W, C).
#ifndef CKPT_CONV_H
#define CKPT_CONV_H

#include <stddef.h>
#include <stdint.h>

/// How a window moves over an image, by height and width.
typedef struct {
  ptrdiff_t height, width, out_height, out_width;
  ptrdiff_t kernel[2], stride[2], padding[2], dilation[2];
} ck_window;

// --- Order of the elements ----------------------------------------------------------------------------------------

/// Turns `count` matrices of `rows` x `columns` over.
void ck_transpose(float *to, const float *from, size_t count, size_t rows, size_t columns);

/// to += from
void ck_accumulate(float *to, const float *from, size_t count);

// --- Convolution --------------------------------------------------------------------------------------------------

/// The part of an image that each result sees, as one row a result: (kernel row, kernel column, channel). Of
/// `channels` from `first` in an image of `all`. Zero in the padding.
void ck_im2col(const ck_window *window, size_t all, size_t first, size_t channels, const float *image, float *rows);

/// Adds rows back to where `ck_im2col` had them from.
void ck_col2im(const ck_window *window, size_t all, size_t first, size_t channels, const float *rows, float *image);

/// Sets each of `rows` rows to `bias`, or to zeros.
void ck_fill_rows(float *to, const float *bias, size_t rows, size_t columns);

/// to[c] = the sum over rows of from[r][c], in pairs, so that errors stay small.
void ck_sum_rows(float *to, const float *from, size_t rows, size_t columns);

/// x = max(x, 0), where NaN stays.
void ck_relu_in_place(float *x, size_t count);

/// to = gradient where ReLU has let `result` through, else 0.
void ck_relu_mask(float *to, const float *gradient, const float *result, size_t count);

// --- Pooling ------------------------------------------------------------------------------------------------------

/// The largest element of each window and its place in it, in `wide` bytes (1 or 2). NaN is larger than all.
void ck_max_pool(const ck_window *window, size_t images, size_t channels, const float *x, float *y, void *places,
                 int wide);

/// The gradient of `ck_max_pool`; with `result` (else NULL) also of a ReLU after it. Into memory that is set
/// (`accumulates`) or not.
void ck_max_pool_backward(const ck_window *window, size_t images, size_t channels, const float *gradient,
                          const void *places, int wide, const float *result, float *to, int accumulates);

/// The mean of each window, over what lies in the image or (`counts_padding`) over all of the window.
void ck_avg_pool(const ck_window *window, size_t images, size_t channels, int counts_padding, const float *x, float *y);
void ck_avg_pool_backward(const ck_window *window, size_t images, size_t channels, int counts_padding,
                          const float *gradient, float *to, int accumulates);

// --- Batch norm ---------------------------------------------------------------------------------------------------
// `x` has `outer` x `channels` x `inner` elements. Sums are double.

/// For the channels `first ..< last` and `outer` blocks: sums[c] = sum of x - shift[c], sums[channels + c] = sum of
/// its square, or with `gradient` (else NULL) sums[c] = sum of gradient and sums[channels + c] = sum of
/// gradient * (x - shift[c]).
void ck_norm_sums(const float *x, const float *gradient, size_t outer, size_t channels, size_t inner, size_t first,
                  size_t last, const float *shift, double *sums);

/// y = (x - mean) * scale + offset, with a mean, scale and offset for each channel.
void ck_norm(const float *x, size_t outer, size_t channels, size_t inner, const float *mean, const float *scale,
             const float *offset, float *y);

/// to (+)= (gradient - offset - (x - mean) * slope) * scale
void ck_norm_backward(const float *x, const float *gradient, size_t outer, size_t channels, size_t inner,
                      const float *mean, const float *offset, const float *slope, const float *scale, float *to,
                      int accumulates);

#endif
