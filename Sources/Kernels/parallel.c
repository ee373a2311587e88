#define _GNU_SOURCE
#include "parallel.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

// How often a thread looks for work before it parks: some 30 microseconds. Steps of one computation follow one another
// faster than that; a neighbour on the machine is not robbed for longer.
enum { SPINS = 3000, MOST_THREADS = 256 };
static const uint32_t CLOSED = UINT32_MAX;

static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER;  // held by whoever has work done
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;

// The job. `ticket` is its number and the next index, in one word: an index can only be taken for the job that was
// looked at. It is closed while the rest changes.
static _Atomic uint64_t ticket = (uint64_t)UINT32_MAX;
static _Atomic(ck_task) job_task;
static _Atomic(void *) job_context;
static _Atomic uint32_t job_count;
static _Atomic uint32_t done;
static _Atomic int participants;
static _Atomic int sleeping;
static _Atomic int waiting;

static _Atomic int wanted;  // threads, the caller included; 0: not said yet
static int started;         // workers; changed by the owner alone
static _Thread_local int inside;

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

static inline uint32_t number_of(uint64_t value) { return (uint32_t)(value >> 32); }

static void run(uint32_t number) {
  ck_task task = job_task;
  void *context = job_context;
  uint32_t count = job_count;
  uint64_t seen = ticket;
  while (number_of(seen) == number && (uint32_t)seen < count) {
    if (!atomic_compare_exchange_weak(&ticket, &seen, seen + 1)) continue;
    task(context, (uint32_t)seen);
    if (atomic_fetch_add(&done, 1) + 1 == count && waiting) {
      pthread_mutex_lock(&lock);
      pthread_cond_signal(&finished);
      pthread_mutex_unlock(&lock);
    }
    seen = ticket;
  }
}

/// Waits until there is a job after `seen` that worker `index` takes part in.
static uint32_t next_job(int index, uint32_t seen) {
  for (int spin = 0; spin < SPINS; spin++) {
    uint32_t number = number_of(ticket);
    if (number != seen && index < participants) return number;
    relax();
  }
  uint32_t number;
  pthread_mutex_lock(&lock);
  sleeping++;
  while ((number = number_of(ticket)) == seen || index >= participants) pthread_cond_wait(&wake, &lock);
  sleeping--;
  pthread_mutex_unlock(&lock);
  return number;
}

static void *work(void *argument) {
  int index = (int)(intptr_t)argument;
  inside = 1;
  uint32_t seen = 0;
  for (;;) {
    seen = next_job(index, seen);
    run(seen);
  }
  return NULL;
}

/// What a thread's own instructions raise, which no other thread can take.
static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};

/// Workers leave signals to the other threads: a handler's frame would lie on a stack that generated code uses below
/// its pointer.
static void start_workers(int count) {
  if (started >= count) return;
  sigset_t others, before;
  sigfillset(&others);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&others, faults[i]);
  pthread_sigmask(SIG_SETMASK, &others, &before);
  while (started < count) {
    pthread_t thread;
    // A thread less is slower, not wrong.
    if (pthread_create(&thread, NULL, work, (void *)(intptr_t)started) != 0) break;
    pthread_detach(thread);
    started++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void publish(size_t count, ck_task task, void *context, int workers) {
  job_task = task;
  job_context = context;
  job_count = (uint32_t)count;
  done = 0;
  participants = workers;
  uint32_t number = number_of(ticket) + 1;
  ticket = (uint64_t)number << 32;
  if (sleeping > 0) {
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
  }
}

static void wait_until_done(uint32_t count) {
  for (int spin = 0; spin < SPINS; spin++) {
    if (done == count) return;
    relax();
  }
  pthread_mutex_lock(&lock);
  waiting = 1;
  while (done != count) pthread_cond_wait(&finished, &lock);
  waiting = 0;
  pthread_mutex_unlock(&lock);
}

void ck_parallel(size_t count, ck_task task, void *context) {
  int threads = ck_threads();
  if (count < 2 || threads < 2 || inside || count >= UINT32_MAX || pthread_mutex_trylock(&owner) != 0) {
    for (size_t index = 0; index < count; index++) task(context, index);
    return;
  }
  inside = 1;
  int workers = count < (size_t)threads ? (int)count - 1 : threads - 1;
  start_workers(workers);
  publish(count, task, context, workers);
  uint32_t number = number_of(ticket);
  run(number);
  wait_until_done((uint32_t)count);
  ticket = (uint64_t)number << 32 | CLOSED;
  inside = 0;
  pthread_mutex_unlock(&owner);
}

int ck_threads(void) {
  int count = wanted;
  if (count > 0) return count;
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  count = cores < 1 ? 1 : cores > MOST_THREADS ? MOST_THREADS : (int)cores;
  wanted = count;
  return count;
}

void ck_set_threads(int count) { wanted = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count; }

void ck_openmp_alone(void) {
  static _Thread_local int told;
  if (told) return;
  told = 1;
  // Looked up, not linked: which OpenMP library there is, if any, is the affair of the library that brought it.
  void (*set)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (set) set(1);
}

typedef struct {
  char *to;
  const char *from;
  size_t bytes;
} copy;

enum { COPY_PIECE = 1 << 20 };

static void copy_piece(void *context, size_t index) {
  const copy *all = context;
  size_t start = index * COPY_PIECE;
  size_t bytes = all->bytes - start < COPY_PIECE ? all->bytes - start : COPY_PIECE;
  if (all->from) {
    memcpy(all->to + start, all->from + start, bytes);
  } else {
    memset(all->to + start, 0, bytes);
  }
}

void ck_copy(void *restrict to, const void *restrict from, size_t bytes) {
  copy all = {to, from, bytes};
  ck_parallel((bytes + COPY_PIECE - 1) / COPY_PIECE, copy_piece, &all);
}

void ck_zero(float *out, size_t count) {
  copy all = {(char *)out, NULL, count * sizeof(float)};
  ck_parallel((all.bytes + COPY_PIECE - 1) / COPY_PIECE, copy_piece, &all);
}
