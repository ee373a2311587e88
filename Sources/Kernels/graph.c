#include "graph.h"

static _Thread_local int depth;
static _Thread_local int is_freeing;
static _Thread_local void *unfreed;

int ck_gradient_depth(void) { return depth; }
void ck_add_gradient_depth(int change) { depth += change; }

int ck_is_freeing(void) { return is_freeing; }
void ck_set_freeing(int freeing) { is_freeing = freeing; }

void *ck_unfreed(void) { return unfreed; }
void ck_set_unfreed(void *node) { unfreed = node; }
