#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "kernels.h"

#if defined(__GLIBC__)
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Large pages for the room that the heap has just got: a listing of ten thousand tensors fills it page by page. */
static void use_large_pages(uintptr_t start, uintptr_t end) {
    const uintptr_t page = 2 << 20;
    start = (start + page - 1) & ~(page - 1);
    if (start < end) madvise((void *)start, end - start, MADV_HUGEPAGE);
}
#endif

void ck_keep_heap(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_TOP_PAD, 16 << 20);
    /* More than the heap has: it grows by this and the pad, and keeps both. */
    const uintptr_t start = (uintptr_t)sbrk(0);
    void *volatile room = malloc(1 << 20); /* volatile: else the compiler leaves both calls out */
    free(room);
    const uintptr_t end = (uintptr_t)sbrk(0);
    use_large_pages(start, end);
#endif
}
