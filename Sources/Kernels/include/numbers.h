// Numbers of every element type: conversion, comparison, statistics.
#ifndef CKPT_NUMBERS_H
#define CKPT_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/// The element types that are numbers. Little-endian, without gaps; no alignment is asked for.
typedef enum {
  CK_F64, CK_F32, CK_F16, CK_BF16,
  CK_F8_E4M3FN, CK_F8_E5M2, CK_F8_E4M3FNUZ, CK_F8_E5M2FNUZ, CK_F8_E8M0FNU,
  CK_I64, CK_I32, CK_I16, CK_I8, CK_U64, CK_U32, CK_U16, CK_U8
} ck_number;

/// Bytes of one element.
size_t ck_number_size(ck_number type);

/// Turns `count` elements into doubles. 64-bit integers are rounded; everything else is exact.
void ck_to_double(const void *in, ck_number type, double *out, size_t count);

/// Turns `count` elements of one type into another; floats round to nearest, ties to even, in one step.
///
/// Gives the number of elements that were lost. Between floats: finite numbers that became infinite, and whatever
/// float8_e4m3fn, which has no infinity, had to replace by its largest number. Where an integer type is on either side: numbers that the target cannot hold
/// exactly (what is written there is not meaningful).
uint64_t ck_cast(const void *in, ck_number from, void *out, ck_number to, size_t count);

/// 1 when `count` bytes are the same.
int ck_same(const void *a, const void *b, size_t count);

typedef struct {
  uint64_t differing;  // elements that differ
  double max_abs;      // the largest |a - b| among them; NaN once a NaN met a number
  double max_rel;      // the largest |a - b| / |b|
} ck_difference;

/// Adds to `sum` how `count` elements of `a` and `b` differ. Without tolerances elements are equal when all their bits
/// are; with them also when |a - b| <= atol + rtol * |b|, when both are the same infinity, or when both are NaN.
void ck_compare(const void *a, const void *b, ck_number type, size_t count, int tolerant, double rtol, double atol,
                ck_difference *sum);

/// The same for complex numbers whose components have the float type `part`.
void ck_compare_complex(const void *a, const void *b, ck_number part, size_t count, int tolerant, double rtol,
                        double atol, ck_difference *sum);

typedef struct {
  uint64_t finite, nan, inf, zeros;
  double min, max;  // of the finite numbers; meaningless when there is none
  double mean, m2;  // mean of the finite numbers, and the sum of their squared distances from it
} ck_statistics;

/// Adds `count` elements to `sum`, which starts as all zeros.
void ck_describe(const void *in, ck_number type, size_t count, ck_statistics *sum);

/// Whether none of `count` floats (`CK_F64` to `CK_F8_E8M0FNU`) is NaN or infinite.
int ck_all_finite(const void *in, ck_number type, size_t count);

#endif
