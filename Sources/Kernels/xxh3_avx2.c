#include "xxh3_builds.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>
#include <limits.h>
#include <stdint.h>
#include <stddef.h>
// The pragma gives every function of xxhash.h AVX2; XXH_VECTOR makes it use it.
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#define XXH_VECTOR 2
#define CK_BUILD ck_xxh3_avx2
#include "xxh3_functions.h"
#pragma clang attribute pop
#endif
