#ifndef CKPT_HDF5_SHIM_H
#define CKPT_HDF5_SHIM_H
#if __has_include(<hdf5/serial/hdf5.h>)
#include <hdf5/serial/hdf5.h>
#else
#include <hdf5.h>
#endif
#endif
