// Chooses between the two builds of xxhash.h (xxh3_baseline.c, xxh3_avx2.c) when the first hash is taken.
#include "xxh3_builds.h"

#if defined(__x86_64__)
static const ck_xxh3_build *chosen(void) {
  static const ck_xxh3_build *build = NULL;
  const ck_xxh3_build *b = __atomic_load_n(&build, __ATOMIC_RELAXED);
  if (!b) {
    b = __builtin_cpu_supports("avx2") ? &ck_xxh3_avx2 : &ck_xxh3_baseline;
    __atomic_store_n(&build, b, __ATOMIC_RELAXED);
  }
  return b;
}
#else
static const ck_xxh3_build *chosen(void) { return &ck_xxh3_baseline; }
#endif

void *ck_xxh3_create(void) { return chosen()->create(); }
void ck_xxh3_free(void *state) { chosen()->free(state); }
void ck_xxh3_reset(void *state) { chosen()->reset(state); }
void ck_xxh3_update(void *state, const void *bytes, size_t count) { chosen()->update(state, bytes, count); }
ck_hash128 ck_xxh3_digest(const void *state) { return chosen()->digest(state); }
ck_hash128 ck_xxh3_hash(const void *bytes, size_t count) { return chosen()->hash(bytes, count); }
