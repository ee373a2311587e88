// A function compiled for several CPUs, chosen when the program is loaded.
#ifndef CKPT_CLONES_H
#define CKPT_CLONES_H

#if defined(__x86_64__) && defined(__linux__)
#define CK_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CK_CLONES
#endif

// Iterations do not depend on one another: what is written is an input of the same iteration at most.
#define CK_VECTORISE _Pragma("clang loop vectorize(assume_safety)")

// What clones call has to be compiled with them.
#define CK_INLINE static inline __attribute__((always_inline))

#endif
