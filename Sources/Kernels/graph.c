#include "graph.h"

static _Thread_local int depth;
static _Thread_local uint64_t nodes;

int ck_gradient_depth(void) { return depth; }
void ck_add_gradient_depth(int change) { depth += change; }
uint64_t ck_next_node(void) { return ++nodes; }
