// Work over many elements, cut into pieces whose size is fixed: what a piece gives does not depend on the threads.
#ifndef CKPT_RANGES_H
#define CKPT_RANGES_H

#include "parallel.h"

typedef void (*ck_part)(void *context, size_t first, size_t count);

/// Calls `part` for pieces of `grain` of `count` elements; little work stays on this thread.
static inline void ck_ranges(size_t count, size_t grain, ck_part part, void *context);

typedef struct {
  size_t count, grain;
  ck_part part;
  void *context;
} ck_range_job;

static inline void ck_range_task(void *context, size_t index) {
  const ck_range_job *job = context;
  size_t first = index * job->grain;
  size_t rest = job->count - first;
  job->part(job->context, first, rest < job->grain ? rest : job->grain);
}

static inline void ck_ranges(size_t count, size_t grain, ck_part part, void *context) {
  if (count <= grain) {
    if (count > 0) part(context, 0, count);
    return;
  }
  ck_range_job job = {count, grain, part, context};
  ck_parallel((count + grain - 1) / grain, ck_range_task, &job);
}

/// Elements of a piece where each costs little.
enum { CK_GRAIN = 16384 };

/// Rows of `columns` elements that make up about one piece; a multiple of 4.
static inline size_t ck_grain_rows(size_t columns) {
  size_t rows = CK_GRAIN / (columns ? columns : 1);
  return rows < 4 ? 4 : rows & ~(size_t)3;
}

#endif
