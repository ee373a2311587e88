#ifndef CKPT_DEFLATE_SHIM_H
#define CKPT_DEFLATE_SHIM_H
#include <libdeflate.h>
#endif
