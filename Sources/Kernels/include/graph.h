// What a thread knows of the computation that it records.
#ifndef CKPT_GRAPH_H
#define CKPT_GRAPH_H

#include <stddef.h>
#include <stdint.h>

/// How many calls on this thread have asked that nothing be recorded.
int ck_gradient_depth(void);
void ck_add_gradient_depth(int change);

/// A number larger than those this thread had before.
uint64_t ck_next_node(void);

#endif
