/* SPDX-License-Identifier: MIT */
/* tensor.h - a named tensor as a model file holds it: type, shape, strides and a place in the
 * file's bytes. */
#ifndef AIM_IO_TENSOR_H
#define AIM_IO_TENSOR_H

#include "io/names.h"

typedef enum aim_dtype {
    AIM_FLOAT32,
    AIM_FLOAT64,
    AIM_FLOAT16,
    AIM_BFLOAT16,
    AIM_INT64,
    AIM_INT32,
    AIM_INT16,
    AIM_INT8,
    AIM_UINT8,
    AIM_BOOL
} aim_dtype;

enum { AIM_MAX_DIMS = 8 };

typedef struct aim_tensor {
    aim_slice name;
    aim_dtype dtype;
    int ndim;
    int64_t shape[AIM_MAX_DIMS];
    int64_t stride[AIM_MAX_DIMS]; /* in elements, not negative */
    int64_t count;                /* elements */
    const unsigned char *data;    /* first element; every element was checked to lie inside its
                                     storage; any alignment */
} aim_tensor;

size_t aim_dtype_size(aim_dtype dtype);
const char *aim_dtype_name(aim_dtype dtype); /* "float32", ... */

/* Sets count and checks shape and strides: sizes not negative, elements distinct, everything inside
 * `room` elements. Errors: FORMAT. */
AIM_NODISCARD aim_status aim_tensor_check(aim_tensor *t, int64_t room);

/* Whether the elements lie in row-major order without gaps. */
int aim_tensor_is_packed(const aim_tensor *t);
/* Copies the elements as they are, in row-major order. out: count * aim_dtype_size bytes */
void aim_tensor_pack(const aim_tensor *t, unsigned char *out);

/* Copies the elements in row-major order, widened exactly; float64 to float32 only where every
 * value is a float32 (or NaN). out: [count]. Errors: MODEL for integers and for values that would
 * change. */
AIM_NODISCARD aim_status aim_tensor_to_float(const aim_tensor *t, float *out);
AIM_NODISCARD aim_status aim_tensor_to_double(const aim_tensor *t, double *out);

#endif
