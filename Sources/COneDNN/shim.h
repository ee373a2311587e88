#ifndef CKPT_ONEDNN_SHIM_H
#define CKPT_ONEDNN_SHIM_H
#include <oneapi/dnnl/dnnl.h>

#include "convolution.h"
#endif
