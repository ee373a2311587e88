#include "graph.h"

static _Thread_local int depth;

int ck_gradient_depth(void) { return depth; }
void ck_add_gradient_depth(int change) { depth += change; }
