#include <math.h>
#include <string.h>

#include "blocks.h"
#include "clones.h"
#include "ranges.h"
#include "row_math.h"
#include "rows.h"

// --- Cross entropy ------------------------------------------------------------------------------------------------

typedef struct {
  const float *logits;
  const int64_t *labels;
  int64_t ignored;
  float *gradient;
  float *losses;
  size_t columns;
} job;

CK_CLONES static float row_loss(const float *logits, size_t label, float *gradient, size_t columns) {
  float most = ckr_max(logits, columns);
  if (most == -INFINITY) most = 0;
  float sum = 0;
  if (gradient) {
    sum = ckr_exp_sum(gradient, logits, 1, most, columns);
  } else {
    float piece[256];
    for (size_t i = 0; i < columns; i += 256) {
      sum += ckr_exp_sum(piece, logits + i, 1, most, columns - i < 256 ? columns - i : 256);
    }
  }
  float loss = logf(sum) - (logits[label] - most);
  if (gradient) {
    float factor = 1 / sum;
    CK_VECTORISE for (size_t i = 0; i < columns; i++) gradient[i] *= factor;
    gradient[label] -= 1;
  }
  return loss;
}

static void cross_entropy_part(void *context, size_t first, size_t rows) {
  const job *j = context;
  for (size_t row = first; row < first + rows; row++) {
    float *gradient = j->gradient ? j->gradient + row * j->columns : NULL;
    if (j->labels[row] == j->ignored) {
      if (gradient) memset(gradient, 0, j->columns * sizeof(float));
      j->losses[row] = 0;
    } else {
      j->losses[row] = row_loss(j->logits + row * j->columns, (size_t)j->labels[row], gradient, j->columns);
    }
  }
}

double ck_cross_entropy(const float *logits, const int64_t *labels, int64_t ignored, float *gradient, size_t rows,
                        size_t columns, size_t *count) {
  *count = 0;
  float *losses = ck_block_take(rows * sizeof(float));
  if (!losses) return NAN;
  job j = {logits, labels, ignored, gradient, losses, columns};
  ck_ranges(rows, ck_grain_rows(columns), cross_entropy_part, &j);
  double sum = 0;
  for (size_t row = 0; row < rows; row++) {
    sum += losses[row];
    *count += labels[row] != ignored;
  }
  ck_block_give(losses, rows * sizeof(float));
  return sum;
}

// --- Losses of pairs ----------------------------------------------------------------------------------------------

CK_INLINE float pair_loss(ck_loss loss, float x, float y, float delta) {
  float d = x - y, t = ckv_abs(d);
  switch (loss) {
    case CK_MSE: return d * d;
    case CK_L1: return t;
    case CK_HUBER: return t <= delta ? 0.5f * d * d : delta * (t - 0.5f * delta);
    case CK_BCE: return (1 - y) * x + (x < 0 ? -x : 0.0f) + log1pf(ckv_exp(-ckv_abs(x)));
  }
  return 0;
}

enum { LANES = 16 };

/// One of the losses over a piece; `loss` is a constant where this is inlined.
CK_INLINE double losses_of(ck_loss loss, const float *x, const float *y, float delta, size_t count) {
  double lanes[LANES] = {0};
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    for (size_t t = 0; t < LANES; t++) lanes[t] += (double)pair_loss(loss, x[i + t], y[i + t], delta);
  }
  double sum = 0;
  for (size_t t = 0; t < LANES; t++) sum += lanes[t];
  for (; i < count; i++) sum += (double)pair_loss(loss, x[i], y[i], delta);
  return sum;
}

CK_CLONES static double piece_loss(ck_loss loss, const float *x, const float *y, float delta, size_t count) {
  switch (loss) {
    case CK_MSE: return losses_of(CK_MSE, x, y, delta, count);
    case CK_L1: return losses_of(CK_L1, x, y, delta, count);
    case CK_HUBER: return losses_of(CK_HUBER, x, y, delta, count);
    case CK_BCE: return losses_of(CK_BCE, x, y, delta, count);
  }
  return 0;
}

double ck_pair_loss(ck_loss loss, const float *x, const float *y, float delta, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i += CK_GRAIN) {
    sum += piece_loss(loss, x + i, y + i, delta, count - i < CK_GRAIN ? count - i : CK_GRAIN);
  }
  return sum;
}

CK_INLINE float pair_slope(ck_loss loss, float x, float y, float delta, int by_target) {
  float d = x - y;
  float slope = 0;
  switch (loss) {
    case CK_MSE: slope = 2 * d; break;
    case CK_L1: slope = d > 0 ? 1.0f : d < 0 ? -1.0f : d; break;
    case CK_HUBER: slope = d > delta ? delta : d < -delta ? -delta : d; break;
    case CK_BCE: return by_target ? -x : ckv_sigmoid(x) - y;
  }
  return by_target ? -slope : slope;
}

typedef struct {
  ck_loss loss;
  float *out;
  const float *x, *y;
  float delta, factor;
  int by_target, accumulates;
} pair_job;

#define SLOPES(LOSS)                                                                                       \
  CK_VECTORISE for (size_t i = 0; i < count; i++) {                                                        \
    out[i] = (j->accumulates ? out[i] : 0.0f) + pair_slope(LOSS, x[i], y[i], delta, by_target) * factor;   \
  }                                                                                                        \
  break

CK_CLONES static void slopes(void *context, size_t first, size_t count) {
  const pair_job *j = context;
  float *out = j->out + first;
  const float *x = j->x + first, *y = j->y + first;
  float delta = j->delta, factor = j->factor;
  int by_target = j->by_target;
  switch (j->loss) {
    case CK_MSE: SLOPES(CK_MSE);
    case CK_L1: SLOPES(CK_L1);
    case CK_HUBER: SLOPES(CK_HUBER);
    case CK_BCE: SLOPES(CK_BCE);
  }
}

void ck_pair_loss_back(ck_loss loss, float *out, const float *x, const float *y, float delta, float factor,
                       int by_target, int accumulates, size_t count) {
  pair_job j = {loss, out, x, y, delta, factor, by_target, accumulates};
  ck_ranges(count, CK_GRAIN, slopes, &j);
}
