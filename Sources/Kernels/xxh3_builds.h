#ifndef CKPT_XXH3_BUILDS_H
#define CKPT_XXH3_BUILDS_H
#include "kernels.h"

typedef struct {
  void *(*create)(void);
  void (*free)(void *);
  void (*reset)(void *);
  void (*update)(void *, const void *, size_t);
  ck_hash128 (*digest)(const void *);
  ck_hash128 (*hash)(const void *, size_t);
} ck_xxh3_build;

extern const ck_xxh3_build ck_xxh3_baseline;
#if defined(__x86_64__)
extern const ck_xxh3_build ck_xxh3_avx2;
#endif
#endif
