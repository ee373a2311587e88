// Arithmetic over whole tensors, element by element.
#ifndef CKPT_ELEMENTWISE_H
#define CKPT_ELEMENTWISE_H

#include <stddef.h>

/// a += b
void ck_add(float *a, const float *b, size_t count);

#endif
