/* SPDX-License-Identifier: MIT */
/* bind.c - tensors of the file to arrays of the model.
 *
 * While the architecture is read, aim_bind looks up each tensor that it implies and checks the
 * shape; aim_bind_finish then knows the size of all arrays, takes one block of memory and converts.
 * So nothing is allocated by the YAML's numbers alone: they must agree with tensors that are in the
 * file. Values are widened exactly; NaN and infinities are refused, except in rows of elements that
 * the model does not implement, which become zero. */
#include "model/build.h"
#include "model/origin.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *shape_text(char out[96], int ndim, const int64_t *shape)
{
    size_t used = (size_t)snprintf(out, 96, "[");
    for (int d = 0; d < ndim && used < 80; d++)
        used += (size_t)snprintf(out + used, 96 - used, shape[d] < 0 ? "%sn" : "%s%lld",
                                 d ? ", " : "", (long long)shape[d]);
    snprintf(out + used, 96 - used, "]");
    return out;
}

static int largest_element(const aim_model *m)
{
    return m->n_species ? (int)m->species[m->n_species - 1] : 0;
}

static aim_status check_shape(const aim_builder *b, const aim_expected *e, const aim_tensor *t)
{
    char found[96], expected[96];
    int same = t->ndim == e->ndim;
    for (int d = 0; d < e->ndim && same; d++)
        same = e->shape[d] < 0 || t->shape[d] == e->shape[d];
    if (!same)
        return AIM_FAIL(
            AIMNET_ERR_MODEL, "tensor '%s' has shape %s where the architecture needs %s", e->name,
            shape_text(found, t->ndim, t->shape), shape_text(expected, e->ndim, e->shape));
    if (e->per_element && (t->shape[0] <= largest_element(b->m) || t->shape[0] > AIM_MAX_SPECIES))
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "tensor '%s' has %lld rows; element %d needs more, and %d is the limit",
                        e->name, (long long)t->shape[0], largest_element(b->m), AIM_MAX_SPECIES);
    return AIMNET_OK;
}

const aim_tensor *aim_bind_find(aim_builder *b, const char *name)
{
    const size_t i = aim_names_find(b->file.names, (aim_slice){name, strlen(name)});
    if (i == AIM_NO_NAME)
        return NULL;
    b->used[i] = 1;
    return &b->file.tensor[i];
}

static aim_status add(aim_builder *b, const aim_binding *binding)
{
    if (b->n_bindings == b->binding_capacity) {
        const size_t grown = b->binding_capacity ? 2 * b->binding_capacity : 64;
        AIM_TRY(aim_grow(&b->m->alloc, b->n_bindings, grown, sizeof *b->binding, "list of weights",
                         &b->binding));
        b->binding_capacity = grown;
    }
    b->binding[b->n_bindings++] = *binding;
    return AIMNET_OK;
}

static aim_status bind_tensor(aim_builder *b, const aim_expected *e, const aim_tensor *t)
{
    AIM_TRY(check_shape(b, e, t));
    if (e->rows)
        *e->rows = (int)t->shape[0];
    return add(b, &(aim_binding){.tensor = *t,
                                 .into = e->into,
                                 .place = e->place,
                                 .per_element = e->per_element,
                                 .stored64 = e->stored64});
}

aim_status aim_bind(aim_builder *b, const aim_expected *e)
{
    const aim_tensor *t = aim_bind_find(b, e->name);
    if (!t)
        return AIM_FAIL(AIMNET_ERR_MODEL, "tensor '%s' is missing", e->name);
    return bind_tensor(b, e, t);
}

/* ---------------------------------------------------------------- what is left over */

/* The reference's exporters leave these in files whose YAML no longer has the module; it ignores
 * them as well. */
static int is_tolerated(aim_slice name)
{
    static const char *const prefixes[] = {"outputs.lrcoulomb.", "outputs.dftd3.", "outputs.d3bj."};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (aim_slice_starts(name, prefixes[i]))
            return 1;
    return aim_slice_is(name, "outputs.dipole.mass") ||
           aim_slice_is(name, "outputs.quadrupole.mass");
}

static aim_status check_extra(const aim_builder *b)
{
    char shown[AIM_SHOWN_SIZE];
    for (size_t i = 0; i < b->file.n_tensors; i++)
        if (!b->used[i] && !is_tolerated(b->file.tensor[i].name))
            return AIM_FAIL(AIMNET_ERR_MODEL, "tensor '%s' belongs to nothing in model_yaml",
                            aim_shown(shown, b->file.tensor[i].name));
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- values */

static size_t row_size(const aim_binding *x)
{
    return x->per_element && x->tensor.shape[0] > 0 ? (size_t)(x->tensor.count / x->tensor.shape[0])
                                                    : (size_t)x->tensor.count;
}

/* Zeroes the row of an element that is not implemented, else fails. */
static aim_status mend_row(const aim_model *m, const aim_binding *x, size_t row, size_t element)
{
    const size_t n = row_size(x);
    if (!x->per_element)
        return AIM_FAIL(AIMNET_ERR_MODEL, "element %zu is NaN or infinite", element);
    if (m->implemented[row])
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "the row of atomic number %zu is NaN or infinite although that element is implemented",
            row);
    if (x->into == AIM_INTO_FLOATS)
        memset((float *)x->block + row * n, 0, n * sizeof(float));
    else
        memset((double *)x->block + row * n, 0, n * sizeof(double));
    return AIMNET_OK;
}

static aim_status check_finite(const aim_model *m, const aim_binding *x)
{
    const size_t n = row_size(x), count = (size_t)x->tensor.count;
    for (size_t i = 0; i < count; i++) {
        const int finite = x->into == AIM_INTO_FLOATS ? isfinite(((const float *)x->block)[i])
                                                      : isfinite(((const double *)x->block)[i]);
        if (!finite)
            AIM_TRY(mend_row(m, x, i / n, i));
    }
    return AIMNET_OK;
}

/* A double array that the reference keeps in float32: values that it would round are refused. */
static aim_status check_float32(const aim_binding *x)
{
    const double *v = x->block;
    if (x->tensor.dtype != AIM_FLOAT64 || x->stored64)
        return AIMNET_OK;
    for (int64_t i = 0; i < x->tensor.count; i++)
        if (isfinite(v[i]) && (fabs(v[i]) > (double)3.402823466e38f || (double)(float)v[i] != v[i]))
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "float64 element %lld (%.17g) is not a float32 number: rounding would "
                            "change the model; save the weights as "
                            "float32",
                            (long long)i, v[i]);
    return AIMNET_OK;
}

static aim_status convert(const aim_model *m, aim_binding *x)
{
    switch (x->into) {
    case AIM_INTO_FLOATS:
        *(const float **)x->place = x->block;
        AIM_TRY(aim_tensor_to_float(&x->tensor, x->block));
        return check_finite(m, x);
    case AIM_INTO_DOUBLES:
        *(const double **)x->place = x->block;
        AIM_TRY(aim_tensor_to_double(&x->tensor, x->block));
        AIM_TRY(check_float32(x));
        return check_finite(m, x);
    default:
        x->block = x->place;
        AIM_TRY(aim_tensor_to_double(&x->tensor, x->block));
        AIM_TRY(check_float32(x));
        return check_finite(m, x);
    }
}

static void place_blocks(aim_builder *b, aim_arena *arena)
{
    for (size_t i = 0; i < b->n_bindings; i++) {
        aim_binding *x = &b->binding[i];
        const size_t count = (size_t)x->tensor.count;
        if (x->into != AIM_INTO_SCALAR)
            x->block = aim_take(arena, x->tensor.name.text, count,
                                x->into == AIM_INTO_DOUBLES ? sizeof(double) : sizeof(float));
    }
}

aim_status aim_bind_finish(aim_builder *b)
{
    aim_arena measure = {0}, *arena = &b->origin->weights;
    char shown[AIM_SHOWN_SIZE];
    AIM_TRY(check_extra(b));
    place_blocks(b, &measure);
    AIM_TRY(aim_arena_reserve(arena, &b->m->alloc, measure.used, "weights"));
    place_blocks(b, arena);
    b->m->weights = arena->base;
    for (size_t i = 0; i < b->n_bindings; i++) {
        const aim_status status = convert(b->m, &b->binding[i]);
        if (status == AIMNET_ERR_MODEL)
            return aim_fail_prefix(status, "tensor '%s'",
                                   aim_shown(shown, b->binding[i].tensor.name));
        AIM_TRY(status);
    }
    return AIMNET_OK;
}
