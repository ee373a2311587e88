#include "optimizer_slices.h"

#include "include/parallel.h"

/// Elements of one piece of work: some hundred kilobytes with its moments.
#define PIECE ((size_t)1 << 15)
/// Up to so many the calling thread is done before another one would be there.
#define ALONE ((size_t)1 << 16)

typedef struct {
  const ck_optimizer_tensor *tensors;
  size_t count, total;
  ck_slice_step *step;
} work;

/// Where a tensor ends among all elements: each takes up whole cache lines.
static size_t end_of(const ck_optimizer_tensor *t) {
  return t->offset + (t->gradient ? (t->count + 15) / 16 * 16 : 0);
}

/// The first tensor that ends behind an element.
static size_t tensor_at(const work *w, size_t element) {
  size_t low = 0, high = w->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (end_of(&w->tensors[middle]) <= element) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void run(const work *w, size_t from, size_t to) {
  for (size_t i = tensor_at(w, from); i < w->count && w->tensors[i].offset < to; i++) {
    const ck_optimizer_tensor *t = &w->tensors[i];
    if (!t->gradient) continue;
    size_t first = from > t->offset ? from - t->offset : 0, end = to - t->offset;
    if (end > t->count) end = t->count;
    if (first < end) w->step(t, first, end);
  }
}

static void piece(void *context, size_t index) { run(context, index * PIECE, (index + 1) * PIECE); }

void ck_for_each_slice(ck_optimizer_tensor *tensors, size_t count, ck_slice_step *step) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) {
    tensors[i].offset = total;
    total = end_of(&tensors[i]);
  }
  work w = {tensors, count, total, step};
  if (total <= ALONE) run(&w, 0, total);
  else ck_parallel((total + PIECE - 1) / PIECE, piece, &w);
}
