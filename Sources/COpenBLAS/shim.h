#ifndef CKPT_OPENBLAS_SHIM_H
#define CKPT_OPENBLAS_SHIM_H
#include <cblas.h>
#endif
