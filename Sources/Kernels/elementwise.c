#include "elementwise.h"

#include "blocks.h"
#include "clones.h"
#include "ranges.h"

typedef struct {
  ck_operation operation;
  float *out;
  const float *a, *b;
  int a_repeats, b_repeats;
  size_t columns;
  float scalar;
  int flag;
} job;

CK_CLONES static void add(void *context, size_t first, size_t count) {
  const job *j = context;
  float *out = j->out + first;
  const float *a = j->a + first, *b = j->b + first;
  CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}

void ck_add(float *out, const float *a, const float *b, size_t count) {
  job j = {.out = out, .a = a, .b = b};
  ck_ranges(count, CK_GRAIN, add, &j);
}

#define LOOP(EXPRESSION) CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = EXPRESSION

CK_CLONES static void apply(ck_operation operation, float *out, const float *a, const float *b, size_t count) {
  switch (operation) {
    case CK_ADD: LOOP(a[i] + b[i]); break;
    case CK_SUB: LOOP(a[i] - b[i]); break;
    case CK_MUL: LOOP(a[i] * b[i]); break;
    case CK_DIV: LOOP(a[i] / b[i]); break;
  }
}

static void binary_rows(void *context, size_t first, size_t count) {
  const job *j = context;
  for (size_t row = first; row < first + count; row++) {
    apply(j->operation, j->out + row * j->columns, j->a + (j->a_repeats ? 0 : row * j->columns),
          j->b + (j->b_repeats ? 0 : row * j->columns), j->columns);
  }
}

static void binary_flat(void *context, size_t first, size_t count) {
  const job *j = context;
  apply(j->operation, j->out + first, j->a + first, j->b + first, count);
}

void ck_binary(ck_operation operation, float *out, const float *a, int a_repeats, const float *b, int b_repeats,
               size_t rows, size_t columns) {
  job j = {operation, out, a, b, a_repeats, b_repeats, columns, 0, 0};
  if (a_repeats || b_repeats) {
    ck_ranges(rows, ck_grain_rows(columns), binary_rows, &j);
  } else {
    ck_ranges(rows * columns, CK_GRAIN, binary_flat, &j);
  }
}

CK_CLONES static void scalar(void *context, size_t first, size_t count) {
  const job *j = context;
  float *out = j->out + first;
  const float *a = j->a + first;
  float s = j->scalar;
  switch (j->operation) {
    case CK_ADD: LOOP(a[i] + s); break;
    case CK_SUB:
      if (j->flag) {
        LOOP(s - a[i]);
      } else {
        LOOP(a[i] - s);
      }
      break;
    case CK_MUL: LOOP(a[i] * s); break;
    case CK_DIV:
      if (j->flag) {
        LOOP(s / a[i]);
      } else {
        LOOP(a[i] / s);
      }
      break;
  }
}

void ck_scalar(ck_operation operation, float *out, const float *a, float s, int reversed, size_t count) {
  job j = {.operation = operation, .out = out, .a = a, .scalar = s, .flag = reversed};
  ck_ranges(count, CK_GRAIN, scalar, &j);
}

CK_CLONES static void scale(void *context, size_t first, size_t count) {
  const job *j = context;
  float *out = j->out + first;
  const float *a = j->a + first;
  float s = j->scalar;
  if (j->flag) {
    LOOP(out[i] + a[i] * s);
  } else {
    LOOP(a[i] * s);
  }
}

void ck_scale(float *out, const float *a, float s, int accumulates, size_t count) {
  job j = {.out = out, .a = a, .scalar = s, .flag = accumulates};
  ck_ranges(count, CK_GRAIN, scale, &j);
}

CK_CLONES static void fill(void *context, size_t first, size_t count) {
  const job *j = context;
  float *out = j->out + first;
  float s = j->scalar;
  LOOP(s);
}

void ck_fill(float *out, float value, size_t count) {
  job j = {.out = out, .scalar = value};
  ck_ranges(count, CK_GRAIN, fill, &j);
}

// --- Sums: of pieces of a fixed size, in their order --------------------------------------------------------------

enum { LANES = 16 };

CK_CLONES static double sum_of(const float *a, size_t count) {
  double lanes[LANES] = {0};
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    for (size_t lane = 0; lane < LANES; lane++) lanes[lane] += (double)a[i + lane];
  }
  double sum = 0;
  for (size_t lane = 0; lane < LANES; lane++) sum += lanes[lane];
  for (; i < count; i++) sum += (double)a[i];
  return sum;
}

typedef struct {
  const float *a;
  double *sums;
} sum_job;

static void sum_part(void *context, size_t first, size_t count) {
  sum_job *j = context;
  j->sums[first / CK_GRAIN] = sum_of(j->a + first, count);
}

double ck_sum(const float *a, size_t count) {
  size_t pieces = (count + CK_GRAIN - 1) / CK_GRAIN;
  double *sums = pieces > 1 ? ck_block_take(pieces * sizeof(double)) : NULL;
  double sum = 0;
  if (sums) {
    sum_job j = {a, sums};
    ck_ranges(count, CK_GRAIN, sum_part, &j);
    for (size_t i = 0; i < pieces; i++) sum += sums[i];
    ck_block_give(sums, pieces * sizeof(double));
  } else {
    for (size_t i = 0; i < count; i += CK_GRAIN) sum += sum_of(a + i, count - i < CK_GRAIN ? count - i : CK_GRAIN);
  }
  return sum;
}

typedef struct {
  float *out;
  const float *a;
  size_t rows, columns;
  int accumulates;
} rows_job;

// Columns of one piece: a strip of the matrix that one thread walks down.
enum { STRIP = 256, RUN = 64 };

CK_CLONES static void sum_strip(void *context, size_t first, size_t count) {
  const rows_job *j = context;
  float total[STRIP] = {0};
  for (size_t row = 0; row < j->rows; row += RUN) {
    float run[STRIP] = {0};
    size_t end = row + RUN < j->rows ? row + RUN : j->rows;
    for (size_t r = row; r < end; r++) {
      const float *a = j->a + r * j->columns + first;
      CK_VECTORISE for (size_t i = 0; i < count; i++) run[i] += a[i];
    }
    CK_VECTORISE for (size_t i = 0; i < count; i++) total[i] += run[i];
  }
  float *out = j->out + first;
  if (j->accumulates) {
    CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] += total[i];
  } else {
    CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = total[i];
  }
}

void ck_column_sums(float *out, const float *a, size_t rows, size_t columns, int accumulates) {
  rows_job j = {out, a, rows, columns, accumulates};
  if (columns == 1) {
    float sum = (float)ck_sum(a, rows);
    out[0] = accumulates ? out[0] + sum : sum;
    return;
  }
  ck_ranges(columns, STRIP, sum_strip, &j);
}

static const float *reduce_level(float *out, const int64_t *strides, const float *a, const int64_t *sizes, size_t rank) {
  if (rank == 0) {
    *out += *a;
    return a + 1;
  }
  for (int64_t i = 0; i < sizes[0]; i++) a = reduce_level(out + i * strides[0], strides + 1, a, sizes + 1, rank - 1);
  return a;
}

void ck_reduce(float *out, const int64_t *strides, const float *a, const int64_t *sizes, size_t rank) {
  reduce_level(out, strides, a, sizes, rank);
}
