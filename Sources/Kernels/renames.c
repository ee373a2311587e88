#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "kernels.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

int ck_rename_new(const char *from, const char *to) {
#if defined(__linux__)
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
#elif defined(__APPLE__)
  return renamex_np(from, to, RENAME_EXCL) == 0 ? 0 : errno;
#else
  (void)from, (void)to;
  return ENOSYS;
#endif
}

int ck_exchange(const char *a, const char *b) {
#if defined(__linux__)
  return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0 ? 0 : errno;
#elif defined(__APPLE__)
  return renamex_np(a, b, RENAME_SWAP) == 0 ? 0 : errno;
#else
  (void)a, (void)b;
  return ENOSYS;
#endif
}
