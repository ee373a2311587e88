#include <math.h>
#include <string.h>

#include "blocks.h"
#include "clones.h"
#include "ranges.h"
#include "row_math.h"
#include "rows.h"

typedef struct {
  float *out;
  const float *in, *weight, *bias;
  float eps;
  float *mean, *scale;
  size_t columns;
} job;

CK_CLONES static void forward(void *context, size_t first, size_t rows) {
  const job *j = context;
  size_t columns = j->columns;
  for (size_t row = first; row < first + rows; row++) {
    const float *x = j->in + row * columns;
    float *y = j->out + row * columns;
    float mean = ckr_sum(x, columns) / (float)columns;
    CK_VECTORISE for (size_t i = 0; i < columns; i++) y[i] = x[i] - mean;
    float variance = ckr_dot(y, y, columns) / (float)columns;
    float scale = 1 / sqrtf(variance + j->eps);
    const float *weight = j->weight, *bias = j->bias;
    if (weight && bias) {
      CK_VECTORISE for (size_t i = 0; i < columns; i++) y[i] = y[i] * scale * weight[i] + bias[i];
    } else if (weight) {
      CK_VECTORISE for (size_t i = 0; i < columns; i++) y[i] = y[i] * scale * weight[i];
    } else {
      CK_VECTORISE for (size_t i = 0; i < columns; i++) y[i] = y[i] * scale + (bias ? bias[i] : 0.0f);
    }
    j->mean[row] = mean;
    j->scale[row] = scale;
  }
}

void ck_layer_norm(float *out, const float *in, const float *weight, const float *bias, float eps, float *mean,
                   float *scale, size_t rows, size_t columns) {
  job j = {out, in, weight, bias, eps, mean, scale, columns};
  ck_ranges(rows, ck_grain_rows(columns), forward, &j);
}

typedef struct {
  float *dx;
  int accumulates;
  const float *dy, *in, *weight, *mean, *scale;
  float *partial;  // for each piece a row for the weight and one for the bias; NULL where nobody asks
  size_t columns, grain;
} back_job;

/// dx = scale (g - mean(g) - x^ mean(g x^)), g = dy weight, x^ = the normalised row.
CK_CLONES static void back_row(const back_job *j, size_t row, float *restrict g, float *restrict h) {
  size_t columns = j->columns;
  const float *x = j->in + row * columns, *dy = j->dy + row * columns, *weight = j->weight;
  float mean = j->mean[row], scale = j->scale[row];
  CK_VECTORISE for (size_t i = 0; i < columns; i++) {
    h[i] = (x[i] - mean) * scale;
    g[i] = weight ? dy[i] * weight[i] : dy[i];
  }
  float a = ckr_sum(g, columns) / (float)columns;
  float b = ckr_dot(g, h, columns) / (float)columns;
  float *dx = j->dx + row * columns;
  if (j->accumulates) {
    CK_VECTORISE for (size_t i = 0; i < columns; i++) dx[i] += scale * (g[i] - a - h[i] * b);
  } else {
    CK_VECTORISE for (size_t i = 0; i < columns; i++) dx[i] = scale * (g[i] - a - h[i] * b);
  }
}

CK_CLONES static void add_row(const back_job *j, size_t row, float *restrict dweight, float *restrict dbias) {
  size_t columns = j->columns;
  const float *x = j->in + row * columns, *dy = j->dy + row * columns;
  float mean = j->mean[row], scale = j->scale[row];
  CK_VECTORISE for (size_t i = 0; i < columns; i++) {
    dweight[i] += dy[i] * ((x[i] - mean) * scale);
    dbias[i] += dy[i];
  }
}

static void back(void *context, size_t first, size_t rows) {
  const back_job *j = context;
  float *partial = j->partial ? j->partial + first / j->grain * 2 * j->columns : NULL;
  if (partial) memset(partial, 0, 2 * j->columns * sizeof(float));
  float *scratch = j->dx ? ck_block_take(2 * j->columns * sizeof(float)) : NULL;
  for (size_t row = first; row < first + rows; row++) {
    // Before dx, which may take dy's place.
    if (partial) add_row(j, row, partial, partial + j->columns);
    if (scratch) back_row(j, row, scratch, scratch + j->columns);
  }
  if (scratch) ck_block_give(scratch, 2 * j->columns * sizeof(float));
}

/// The pieces' rows together.
CK_CLONES static void collect(float *out, int accumulates, const float *partial, size_t pieces, size_t columns) {
  for (size_t piece = 0; piece < pieces; piece++) {
    const float *row = partial + piece * 2 * columns;
    if (piece == 0 && !accumulates) {
      CK_VECTORISE for (size_t i = 0; i < columns; i++) out[i] = row[i];
    } else {
      CK_VECTORISE for (size_t i = 0; i < columns; i++) out[i] += row[i];
    }
  }
}

int ck_layer_norm_back(float *dx, int dx_accumulates, float *dweight, int dweight_accumulates, float *dbias,
                       int dbias_accumulates, const float *dy, const float *in, const float *weight,
                       const float *mean, const float *scale, size_t rows, size_t columns) {
  back_job j = {dx, dx_accumulates, dy, in, weight, mean, scale, NULL, columns, ck_grain_rows(columns)};
  size_t pieces = (rows + j.grain - 1) / j.grain;
  size_t bytes = pieces * 2 * columns * sizeof(float);
  if (dweight || dbias) {
    j.partial = ck_block_take(bytes);
    if (!j.partial) return 0;
  }
  ck_ranges(rows, j.grain, back, &j);
  if (dweight) collect(dweight, dweight_accumulates, j.partial, pieces, columns);
  if (dbias) collect(dbias, dbias_accumulates, j.partial + columns, pieces, columns);
  if (j.partial) ck_block_give(j.partial, bytes);
  return 1;
}
