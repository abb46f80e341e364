/* SPDX-License-Identifier: MIT */
/* tensor.c - bounds of strided tensors, and their elements as float or double.
 *
 * A tensor's elements are distinct if, with the dimensions sorted by stride, each stride is larger
 * than the span of all smaller ones. That is sufficient and holds for everything that slicing and
 * transposing make; expanded tensors (stride 0) and windows fail it. Half precision is widened by
 * bits: sign, 5 exponent bits (bias 15), 10 fraction bits; bfloat16 is the upper half of a float32.
 */
#include "io/tensor.h"

#include <math.h>
#include <string.h>

#include "io/little.h"

size_t aim_dtype_size(aim_dtype dtype)
{
    static const unsigned char sizes[] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1};
    return sizes[dtype];
}

const char *aim_dtype_name(aim_dtype dtype)
{
    static const char *const names[] = {"float32", "float64", "float16", "bfloat16", "int64",
                                        "int32",   "int16",   "int8",    "uint8",    "bool"};
    return names[dtype];
}

/* ---------------------------------------------------------------- bounds */

static aim_status count_elements(aim_tensor *t)
{
    t->count = 1;
    for (int d = 0; d < t->ndim; d++) {
        if (t->shape[d] < 0 || t->stride[d] < 0)
            return AIM_FAIL(AIMNET_ERR_FORMAT, "negative size or stride");
        if (t->shape[d] > 0 && t->count > INT64_MAX / t->shape[d])
            return AIM_FAIL(AIMNET_ERR_FORMAT, "the number of elements overflows");
        t->count *= t->shape[d];
    }
    return AIMNET_OK;
}

aim_status aim_tensor_check(aim_tensor *t, int64_t room)
{
    int order[AIM_MAX_DIMS], n = 0;
    int64_t span = 0; /* distance from the first to the last element of the dimensions seen */
    AIM_TRY(count_elements(t));
    if (t->count > room)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%lld elements in a storage with room for %lld",
                        (long long)t->count, (long long)room);
    if (t->count == 0)
        return AIMNET_OK;
    for (int d = 0; d < t->ndim; d++) {
        if (t->shape[d] == 1)
            continue;
        int at = n++;
        for (; at > 0 && t->stride[order[at - 1]] > t->stride[d]; at--)
            order[at] = order[at - 1];
        order[at] = d;
    }
    for (int k = 0; k < n; k++) {
        const int64_t stride = t->stride[order[k]], steps = t->shape[order[k]] - 1;
        if (stride <= span)
            return AIM_FAIL(AIMNET_ERR_FORMAT, "elements overlap (expanded tensors are not read)");
        if (stride > (room - 1 - span) / steps)
            return AIM_FAIL(AIMNET_ERR_FORMAT, "strides lead outside of the storage");
        span += stride * steps;
    }
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- values */

static float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 0x1f,
                   fraction = h & 0x3ff;
    if (exponent == 0x1f)
        return float_from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent != 0)
        return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    const float subnormal = (float)fraction * 0x1p-24f;
    return sign ? -subnormal : subnormal;
}

static double element(const aim_tensor *t, const unsigned char *p)
{
    uint64_t bits;
    double value;
    switch (t->dtype) {
    case AIM_FLOAT64:
        bits = aim_le64(p);
        memcpy(&value, &bits, sizeof value);
        return value;
    case AIM_FLOAT16:
        return half_to_float(aim_le16(p));
    case AIM_BFLOAT16:
        return float_from_bits((uint32_t)aim_le16(p) << 16);
    default:
        return float_from_bits(aim_le32(p));
    }
}

/* Odometer over the elements in row-major order. */
typedef struct walk {
    int64_t index[AIM_MAX_DIMS], at;
} walk;

static void advance(const aim_tensor *t, walk *w)
{
    for (int d = t->ndim; d-- > 0;) {
        w->at += t->stride[d];
        if (++w->index[d] < t->shape[d])
            return;
        w->at -= t->stride[d] * t->shape[d];
        w->index[d] = 0;
    }
}

static aim_status require_floats(const aim_tensor *t)
{
    if (t->dtype > AIM_BFLOAT16)
        return AIM_FAIL(AIMNET_ERR_MODEL, "type %s where floating-point weights belong",
                        aim_dtype_name(t->dtype));
    return AIMNET_OK;
}

int aim_tensor_is_packed(const aim_tensor *t)
{
    int64_t expected = 1;
    for (int d = t->ndim; d-- > 0;) {
        if (t->shape[d] != 1 && t->stride[d] != expected)
            return 0;
        expected *= t->shape[d];
    }
    return 1;
}

void aim_tensor_pack(const aim_tensor *t, unsigned char *out)
{
    walk w = {{0}, 0};
    const size_t size = aim_dtype_size(t->dtype);
    for (int64_t i = 0; i < t->count; i++, advance(t, &w))
        memcpy(out + (size_t)i * size, t->data + (size_t)w.at * size, size);
}

static int is_little_endian(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

/* Whether the bytes are the row-major elements of `dtype` already, as this machine stores them. */
static int is_plain(const aim_tensor *t, aim_dtype dtype)
{
    return t->dtype == dtype && aim_tensor_is_packed(t) && is_little_endian();
}

aim_status aim_tensor_to_double(const aim_tensor *t, double *out)
{
    AIM_TRY(require_floats(t));
    if (is_plain(t, AIM_FLOAT64)) {
        memcpy(out, t->data, (size_t)t->count * sizeof *out);
        return AIMNET_OK;
    }
    walk w = {{0}, 0};
    const int64_t size = (int64_t)aim_dtype_size(t->dtype);
    for (int64_t i = 0; i < t->count; i++, advance(t, &w))
        out[i] = element(t, t->data + w.at * size);
    return AIMNET_OK;
}

aim_status aim_tensor_to_float(const aim_tensor *t, float *out)
{
    AIM_TRY(require_floats(t));
    if (is_plain(t, AIM_FLOAT32)) {
        memcpy(out, t->data, (size_t)t->count * sizeof *out);
        return AIMNET_OK;
    }
    walk w = {{0}, 0};
    const int64_t size = (int64_t)aim_dtype_size(t->dtype);
    for (int64_t i = 0; i < t->count; i++, advance(t, &w)) {
        const double value = element(t, t->data + w.at * size);
        if (fabs(value) <= (double)3.402823466e38f || !isfinite(value))
            out[i] = (float)value;
        else
            out[i] = 0.0f;
        if (isfinite(value) && (double)out[i] != value)
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "float64 element %lld (%.17g) is not a float32 number: rounding would "
                            "change the model; "
                            "save the weights as float32",
                            (long long)i, value);
    }
    return AIMNET_OK;
}
