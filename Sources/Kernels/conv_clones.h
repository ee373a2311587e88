// One function compiled for several CPUs; which is chosen when the program is loaded.
#ifndef CKPT_CONV_CLONES_H
#define CKPT_CONV_CLONES_H

#if defined(__x86_64__) && defined(__linux__)
#define CK_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CK_CLONES
#endif

#endif
