// What a thread knows of the computation that it records, and of what it is freeing.
#ifndef CKPT_GRAPH_H
#define CKPT_GRAPH_H

/// How many calls on this thread have asked that nothing be recorded.
int ck_gradient_depth(void);
void ck_add_gradient_depth(int change);

/// Whether nodes are being freed on this thread.
int ck_is_freeing(void);
void ck_set_freeing(int freeing);

/// The last of this thread's nodes that wait to be freed; NULL when there is none.
void *ck_unfreed(void);
void ck_set_unfreed(void *node);

#endif
