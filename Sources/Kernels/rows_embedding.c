#include <string.h>

#include "blocks.h"
#include "clones.h"
#include "ranges.h"
#include "rows.h"

size_t ck_find_invalid(const int64_t *indices, size_t count, int64_t limit, int64_t ignored) {
  size_t at = 0;
  while (at < count && ((indices[at] >= 0 && indices[at] < limit) || indices[at] == ignored)) at++;
  return at;
}

typedef struct {
  float *out;
  const float *table, *other;
  const int64_t *indices;
  size_t columns, period;
} job;

CK_CLONES static void look_up(void *context, size_t first, size_t rows) {
  const job *j = context;
  size_t columns = j->columns;
  for (size_t row = first; row < first + rows; row++) {
    const float *from = j->table + (size_t)j->indices[row] * columns;
    float *out = j->out + row * columns;
    if (!j->other) {
      memcpy(out, from, columns * sizeof(float));
      continue;
    }
    const float *other = j->other + row % j->period * columns;
    CK_VECTORISE for (size_t i = 0; i < columns; i++) out[i] = from[i] + other[i];
  }
}

void ck_embedding(float *out, const float *table, const int64_t *indices, size_t rows, size_t columns,
                  const float *other, size_t period) {
  job j = {out, table, other, indices, columns, period};
  ck_ranges(rows, ck_grain_rows(columns), look_up, &j);
}

// Each thread has a strip of columns. Rows of one index are added up in double, in order, before the table sees them:
// hundreds of rows share an index, and many roundings of single floats would show.
enum { STRIP = 64 };

typedef struct {
  float *table;
  const float *dy;
  const size_t *ends, *order;  // the rows of index i are `order[ends[i - 1]]` to `order[ends[i] - 1]`
  size_t numbers, columns;
} back_job;

CK_CLONES static void add_strip(void *context, size_t first, size_t count) {
  const back_job *j = context;
  size_t at = 0;
  for (size_t number = 0; number < j->numbers; number++) {
    if (at == j->ends[number]) continue;
    double sums[STRIP] = {0};
    for (; at < j->ends[number]; at++) {
      const float *from = j->dy + j->order[at] * j->columns + first;
      CK_VECTORISE for (size_t i = 0; i < count; i++) sums[i] += from[i];
    }
    float *out = j->table + number * j->columns + first;
    CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] = (float)(out[i] + sums[i]);
  }
}

/// The rows by their index, those of one index in order: a counting sort.
static void sort_rows(size_t *ends, size_t *order, const int64_t *indices, size_t rows, size_t numbers) {
  memset(ends, 0, numbers * sizeof *ends);
  for (size_t row = 0; row < rows; row++) ends[indices[row]]++;
  size_t start = 0;
  for (size_t number = 0; number < numbers; number++) {
    size_t count = ends[number];
    ends[number] = start;
    start += count;
  }
  for (size_t row = 0; row < rows; row++) order[ends[indices[row]]++] = row;
}

int ck_embedding_back(float *table, const int64_t *indices, const float *dy, size_t rows, size_t numbers,
                      size_t columns) {
  size_t bytes = (numbers + rows) * sizeof(size_t);
  size_t *ends = ck_block_take(bytes);
  if (!ends) return 0;
  sort_rows(ends, ends + numbers, indices, rows, numbers);
  back_job j = {table, dy, ends, ends + numbers, numbers, columns};
  ck_ranges(columns, STRIP, add_strip, &j);
  ck_block_give(ends, bytes);
  return 1;
}
