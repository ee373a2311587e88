// What a thread knows of the computation that it records.
#ifndef CKPT_GRAPH_H
#define CKPT_GRAPH_H

/// How many calls on this thread have asked that nothing be recorded.
int ck_gradient_depth(void);
void ck_add_gradient_depth(int change);

#endif
