#if defined(__linux__)
#define _GNU_SOURCE
#include <fcntl.h>
#endif
#include "kernels.h"
#include <errno.h>

int ck_reserve(int descriptor, int64_t size) {
#if defined(__linux__)
  if (size <= 0) return 0;
  int status;
  do status = fallocate(descriptor, 0, 0, size) == 0 ? 0 : errno;
  while (status == EINTR);
  return status;
#else
  (void)descriptor, (void)size;
  return 0;
#endif
}
