#include <string.h>

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
  size_t columns, period, rows;
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
  job j = {out, table, other, indices, columns, period, rows};
  ck_ranges(rows, ck_grain_rows(columns), look_up, &j);
}

// Each thread has a strip of columns and goes through all rows in order: rows of one index are added in order.
enum { STRIP = 64 };

CK_CLONES static void add_strip(void *context, size_t first, size_t count) {
  const job *j = context;
  for (size_t row = 0; row < j->rows; row++) {
    float *out = j->out + (size_t)j->indices[row] * j->columns + first;
    const float *from = j->table + row * j->columns + first;
    CK_VECTORISE for (size_t i = 0; i < count; i++) out[i] += from[i];
  }
}

void ck_embedding_back(float *table, const int64_t *indices, const float *dy, size_t rows, size_t columns) {
  job j = {table, dy, NULL, indices, columns, 0, rows};
  ck_ranges(columns, STRIP, add_strip, &j);
}
