#define _GNU_SOURCE
#include "blocks.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

// Four sizes between each two powers of two: at most a fifth of a block is unused.
enum { CLASSES = 192, HUGE = 2 << 20 };

typedef struct block {
  struct block *next;
} block;

static block *free_blocks[CLASSES];
static size_t idle;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void enter(void) {
  for (unsigned turn = 0; atomic_flag_test_and_set_explicit(&busy, memory_order_acquire); turn++) {
    if (turn >= 64) sched_yield();
  }
}

static void leave(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

/// The class that `bytes` belong to, and the size of its blocks: a multiple of 64.
static unsigned class_of(size_t bytes, size_t *size) {
  if (bytes <= 256) {
    size_t lines = bytes == 0 ? 1 : (bytes + 63) / 64;
    *size = lines * 64;
    return (unsigned)lines - 1;
  }
  unsigned top = 63 - (unsigned)__builtin_clzll(bytes - 1);
  size_t low = (size_t)1 << top;
  size_t step = low >> 2;
  size_t quarter = (bytes - 1 - low) / step;
  *size = low + (quarter + 1) * step;
  return (top - 8) * 4 + (unsigned)quarter + 4;
}

/// Large blocks lie on huge pages: a step that walks through gigabytes would otherwise miss the TLB at each page.
static void *map_large(size_t size) {
  char *base = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return NULL;
  char *start = (char *)(((uintptr_t)base + HUGE - 1) & ~((uintptr_t)HUGE - 1));
  if (start > base) munmap(base, (size_t)(start - base));
  size_t rest = (size_t)(base + size + HUGE - (start + size));
  if (rest > 0) munmap(start + size, rest);
#ifdef MADV_HUGEPAGE
  madvise(start, size, MADV_HUGEPAGE);
#endif
  return start;
}

static void *make(size_t size) {
  if (size >= HUGE) return map_large(size);
  void *fresh = NULL;
  return posix_memalign(&fresh, 64, size) == 0 ? fresh : NULL;
}

static void destroy(void *block, size_t size) {
  if (size >= HUGE) {
    munmap(block, size);
  } else {
    free(block);
  }
}

void *ck_block_take(size_t bytes) {
  if (bytes > (size_t)1 << 46) return NULL;
  size_t size;
  unsigned class = class_of(bytes, &size);
  enter();
  block *found = free_blocks[class];
  if (found) {
    free_blocks[class] = found->next;
    idle -= size;
  }
  leave();
  if (found) return found;
  void *fresh = make(size);
  // What lies idle in other sizes may be what is missing.
  return fresh || ck_blocks_trim() == 0 ? fresh : make(size);
}

void ck_block_give(void *given, size_t bytes) {
  size_t size;
  unsigned class = class_of(bytes, &size);
  block *one = given;
  enter();
  one->next = free_blocks[class];
  free_blocks[class] = one;
  idle += size;
  leave();
}

/// The size of the blocks of a class.
static size_t size_of(unsigned class) {
  if (class < 4) return (size_t)(class + 1) * 64;
  size_t low = (size_t)1 << ((class - 4) / 4 + 8);
  return low + ((class - 4) % 4 + 1) * (low >> 2);
}

size_t ck_blocks_trim(void) {
  size_t returned = 0;
  for (unsigned class = 0; class < CLASSES; class++) {
    enter();
    block *list = free_blocks[class];
    free_blocks[class] = NULL;
    for (block *one = list; one; one = one->next) idle -= size_of(class);
    leave();
    while (list) {
      block *next = list->next;
      destroy(list, size_of(class));
      returned += size_of(class);
      list = next;
    }
  }
  return returned;
}

size_t ck_blocks_idle(void) {
  enter();
  size_t bytes = idle;
  leave();
  return bytes;
}
