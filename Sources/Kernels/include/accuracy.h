// How often a classifier is right.
#ifndef CKPT_ACCURACY_H
#define CKPT_ACCURACY_H

#include <stddef.h>
#include <stdint.h>

/// Of `rows` rows of `columns` logits, those whose largest one (the first of equals) is their label's. Rows with a
/// negative label are passed over; `counted` are the others.
size_t ck_count_right(const float *logits, const int64_t *labels, size_t rows, size_t columns, size_t *counted);

#endif
