// Threads that share the work of one computation.
#ifndef CKPT_PARALLEL_H
#define CKPT_PARALLEL_H

#include <stddef.h>

typedef void (*ck_task)(void *context, size_t index);

/// Calls `task(context, index)` for 0 ..< count on several threads, this one among them, and waits. Who computes which
/// index is left open: what comes out must not depend on it. Calls from within a task, and calls while another thread
/// has work done, run on the calling thread alone.
void ck_parallel(size_t count, ck_task task, void *context);

/// How many threads take part, the caller included. At first as many as there are cores.
int ck_threads(void);
void ck_set_threads(int count);

/// Tells OpenMP that this thread computes alone: libraries are called from threads of our own.
void ck_openmp_alone(void);

/// Copies memory, with several threads where it is much.
void ck_copy(void *restrict to, const void *restrict from, size_t bytes);

/// Sets `count` floats to zero.
void ck_zero(float *out, size_t count);

#endif
