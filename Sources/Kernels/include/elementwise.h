// Arithmetic over whole tensors, element by element.
#ifndef CKPT_ELEMENTWISE_H
#define CKPT_ELEMENTWISE_H

#include <stddef.h>

void ck_add(float *to, const float *a, const float *b, size_t count);

#endif
