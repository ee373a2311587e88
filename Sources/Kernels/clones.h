// Hot loops are compiled for several generations of x86-64 and chosen when the program is loaded.
#ifndef CKPT_CLONES_H
#define CKPT_CLONES_H

#if defined(__x86_64__) && defined(__linux__)
#define CK_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CK_CLONES
#endif

#define CK_INLINE static inline __attribute__((always_inline))

#endif
