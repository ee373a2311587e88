// Optimizers: one pass over each tensor a step, all tensors in one call. Results have the same bits whatever the number
// of threads.
#ifndef CKPT_OPTIMIZER_H
#define CKPT_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

/// The most slots that an algorithm keeps for a parameter.
#define CK_OPTIMIZER_SLOTS 3

/// One parameter. `slots` are Adam's exp_avg, exp_avg_sq, max_exp_avg_sq; SGD's momentum_buffer; RMSprop's square_avg,
/// momentum_buffer, grad_avg; Adagrad's sum; NULL where the options ask for none.
typedef struct {
  float *parameter;
  const float *gradient;  // NULL: this parameter is skipped
  float *slots[CK_OPTIMIZER_SLOTS];
  size_t count;
  int64_t step;           // steps done; a call adds one
  size_t group;           // index of its options
  size_t offset;          // for the kernels: where it begins among all elements
  float scalars[12];      // for the kernels: the step's numbers
} ck_optimizer_tensor;

typedef struct {
  double lr, beta1, beta2, eps, weight_decay;
  int decoupled, amsgrad, maximize;
} ck_adam_options;

/// Adam and AdamW with the bits of torch's `fused=True`. Gradients are multiplied by `factor` first.
void ck_adam(ck_optimizer_tensor *tensors, size_t count, const ck_adam_options *groups, float factor);

typedef struct {
  double lr, momentum, dampening, weight_decay;
  int nesterov, maximize;
} ck_sgd_options;

/// The first step of a parameter sets its momentum_buffer.
void ck_sgd(ck_optimizer_tensor *tensors, size_t count, const ck_sgd_options *groups, float factor);

typedef struct {
  double lr, alpha, eps, weight_decay, momentum;
  int centered, maximize;
} ck_rmsprop_options;

void ck_rmsprop(ck_optimizer_tensor *tensors, size_t count, const ck_rmsprop_options *groups, float factor);

typedef struct {
  double lr, lr_decay, weight_decay, eps;
  int maximize;
} ck_adagrad_options;

void ck_adagrad(ck_optimizer_tensor *tensors, size_t count, const ck_adagrad_options *groups, float factor);

#endif
