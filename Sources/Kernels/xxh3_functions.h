// One build of xxhash.h: the including file has set the instruction set and CK_BUILD, the name of the table to define.
#define XXH_INLINE_ALL
#include <xxhash.h>

static void *create(void) {
  XXH3_state_t *s = XXH3_createState();
  if (s) XXH3_128bits_reset(s);
  return s;
}
static void destroy(void *s) { XXH3_freeState((XXH3_state_t *)s); }
static void reset(void *s) { XXH3_128bits_reset((XXH3_state_t *)s); }
static void update(void *s, const void *bytes, size_t count) {
  XXH3_128bits_update((XXH3_state_t *)s, bytes, count);
}
static ck_hash128 digest(const void *s) {
  XXH128_hash_t h = XXH3_128bits_digest((const XXH3_state_t *)s);
  return (ck_hash128){h.low64, h.high64};
}
static ck_hash128 hash(const void *bytes, size_t count) {
  XXH128_hash_t h = XXH3_128bits(bytes, count);
  return (ck_hash128){h.low64, h.high64};
}
const ck_xxh3_build CK_BUILD = {create, destroy, reset, update, digest, hash};
