/* SPDX-License-Identifier: MIT */
/* d3_tables.c - the reference data that an embedded DFTD3 module carries, from the file's layout to
 * one list of references.
 *
 * The file has c6ab[a][b][i][j] and cn_ref[a][b][i][j] (coordination number of the first atom) for
 * up to five references i, j of the elements a, b: either two 4-D tensors, or packed in one 5-D
 * tensor whose last axis is C6, CN of the first, CN of the second. A reference i of a exists if
 * some C6 with it is not zero. C6 must be symmetric and complete, and CN must depend on the element
 * and reference alone, as in every D3 table; then 254 references are all there is to 902,500
 * numbers.
 *
 * Models in TorchScript weight all five references of every element, also those that do not exist
 * (CN -1, C6 0), clamp coordination numbers to `cnmax`, and drop no small weight: their tables are
 * taken as they are. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/build.h"

enum { REFS = 5, PER_PAIR = REFS * REFS };

typedef struct tables {
    const aim_alloc *alloc;
    int n;                 /* elements, with row 0 */
    int script;            /* of a model in TorchScript */
    float *c6, *cn;        /* [n][n][5][5] of the file */
    unsigned char *exists; /* [n][5] */
} tables;

/* One number per element. */
typedef struct elements {
    double rcov[AIM_MAX_SPECIES], r4r2[AIM_MAX_SPECIES], cnmax[AIM_MAX_SPECIES];
} elements;

/* Everything of one module in one block behind the struct. */
typedef struct block {
    aim_d3_data data;
    double values[];
} block;

static size_t at(const tables *t, int a, int b, int i, int j)
{
    return (((size_t)a * (size_t)t->n + (size_t)b) * REFS + (size_t)i) * REFS + (size_t)j;
}

static aim_status read_row(aim_builder *b, const char *prefix, const char *name, int *n,
                           double out[AIM_MAX_SPECIES])
{
    char full[AIM_NAME_SIZE];
    snprintf(full, sizeof full, "%.150s.%s", prefix, name);
    const aim_tensor *t = aim_bind_find(b, full);
    const int largest = (int)b->m->species[b->m->n_species - 1];
    if (!t)
        return AIM_FAIL(AIMNET_ERR_MODEL, "tensor '%s' is missing", full);
    if (t->ndim != 1 || t->shape[0] <= largest || t->shape[0] > AIM_MAX_SPECIES ||
        (*n != 0 && t->shape[0] != *n))
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "tensor '%s' must have one row per element, at least up to %d", full,
                        largest);
    *n = (int)t->shape[0];
    AIM_TRY(aim_tensor_to_double(t, out));
    for (int z = 0; z < *n; z++)
        if (!isfinite(out[z]))
            return AIM_FAIL(AIMNET_ERR_MODEL, "tensor '%s': row %d is NaN or infinite", full, z);
    return AIMNET_OK;
}

/* Reads a table of n x n x 5 x 5 numbers; the tensor may have a fifth axis, of which `part` is
 * taken. */
static aim_status read_table(aim_builder *b, const char *name, const tables *t, int part,
                             float *out)
{
    const aim_tensor *found = aim_bind_find(b, name);
    if (!found)
        return AIM_FAIL(AIMNET_ERR_MODEL, "tensor '%s' is missing", name);
    aim_tensor view = *found;
    if (view.ndim == 5 && view.shape[4] == 3) {
        view.ndim = 4;
        view.count /= 3;
        view.data += (size_t)(part * view.stride[4]) * aim_dtype_size(view.dtype);
    }
    if (view.ndim != 4 || view.shape[0] != t->n || view.shape[1] != t->n || view.shape[2] != REFS ||
        view.shape[3] != REFS)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "tensor '%s' must have shape [%d, %d, 5, 5] or [%d, %d, 5, 5, 3]", name,
                        t->n, t->n, t->n, t->n);
    const aim_status status = aim_tensor_to_float(&view, out);
    return status == AIMNET_OK ? status : aim_fail_prefix(status, "tensor '%s'", name);
}

static aim_status wrong(const char *what, int a, int i)
{
    return AIM_FAIL(AIMNET_ERR_MODEL, "embedded D3 tables: %s (element %d, reference %d)", what, a,
                    i);
}

/* Which references exist, and whether what they say is consistent. */
static aim_status check_entry(const tables *t, const double *cn_of, int a, int b, int i, int j)
{
    const float c6 = t->c6[at(t, a, b, i, j)], cn = t->cn[at(t, a, b, i, j)];
    if (c6 == 0.0f && !t->script && t->exists[a * REFS + i] && t->exists[b * REFS + j])
        return wrong("a C6 is missing", a, i);
    if (c6 == 0.0f && !t->script)
        return AIMNET_OK;
    if (!((c6 > 0.0f || t->script) && c6 >= 0.0f && c6 < 1e7f) || c6 != t->c6[at(t, b, a, j, i)])
        return wrong("a C6 is not positive or not symmetric", a, i);
    if (!((cn >= 0.0f || (t->script && cn == -1.0f)) && cn < 100.0f) ||
        (double)cn != cn_of[a * REFS + i])
        return wrong("coordination numbers are inconsistent", a, i);
    return AIMNET_OK;
}

static aim_status check(const tables *t, double *cn_of)
{
    const int n = t->n;
    for (int a = 1; a < n; a++)
        for (int k = 0; k < n * PER_PAIR; k++) {
            const int b = k / PER_PAIR, i = k / REFS % REFS, j = k % REFS;
            if (b == 0 || (t->c6[at(t, a, b, i, j)] == 0.0f && !t->script))
                continue;
            t->exists[a * REFS + i] = 1;
            cn_of[a * REFS + i] = (double)t->cn[at(t, a, b, i, j)];
        }
    for (int a = 1; a < n; a++)
        for (int k = PER_PAIR; k < n * PER_PAIR; k++)
            AIM_TRY(check_entry(t, cn_of, a, k / PER_PAIR, k / REFS % REFS, k % REFS));
    return AIMNET_OK;
}

/* Packs the existing references. */
static aim_status pack(const tables *t, const double *cn_of, const elements *e, aim_output *out)
{
    const size_t n = (size_t)t->n;
    size_t n_refs = 0, row = 0;
    for (size_t k = 0; k < n * REFS; k++)
        n_refs += t->exists[k];
    if (n_refs == 0)
        return AIM_FAIL(AIMNET_ERR_MODEL, "embedded D3 tables: all C6 are 0");
    block *x = NULL;
    const size_t values = 3 * n + n_refs + n_refs * n_refs + (n + 2) / 2;
    AIM_TRY(aim_new(t->alloc, 1, sizeof *x + values * sizeof(double), "D3 tables", &x));
    double *c6 = x->values, *cn = c6 + n_refs * n_refs, *radii = cn + n_refs, *ratios = radii + n,
           *clamp = ratios + n;
    int32_t *first = (int32_t *)(void *)(clamp + n);
    memcpy(radii, e->rcov, n * sizeof *radii);
    memcpy(ratios, e->r4r2, n * sizeof *ratios);
    memcpy(clamp, e->cnmax, n * sizeof *clamp);
    for (int a = 0; a < t->n; a++) {
        first[a] = (int32_t)row;
        for (int i = 0; i < REFS; i++) {
            if (!t->exists[a * REFS + i])
                continue;
            cn[row++] = cn_of[a * REFS + i];
            for (int b = 1; b < t->n; b++)
                for (int j = 0; j < REFS; j++)
                    if (t->exists[b * REFS + j])
                        *c6++ = (double)t->c6[at(t, a, b, i, j)];
        }
    }
    first[t->n] = (int32_t)row;
    x->data = (aim_d3_data){t->n,  (int)n_refs, radii,     ratios,
                            first, cn,          x->values, t->script ? clamp : NULL};
    out->d3 = &x->data;
    return AIMNET_OK;
}

static aim_status read_tables(aim_builder *b, const char *prefix, tables *t, double *cn_of)
{
    char c6_name[AIM_NAME_SIZE], cn_name[AIM_NAME_SIZE];
    const size_t n = (size_t)t->n, count = n * n * PER_PAIR;
    snprintf(c6_name, sizeof c6_name, "%.150s.c6ab", prefix);
    snprintf(cn_name, sizeof cn_name, "%.150s.cn_ref", prefix);
    const aim_tensor *c6 = aim_bind_find(b, c6_name);
    const int packed = c6 && c6->ndim == 5;
    AIM_TRY(aim_new(t->alloc, count, sizeof *t->c6, c6_name, &t->c6));
    AIM_TRY(aim_new(t->alloc, count, sizeof *t->cn, cn_name, &t->cn));
    AIM_TRY(aim_new0(t->alloc, n * REFS, 1, c6_name, &t->exists));
    AIM_TRY(read_table(b, c6_name, t, 0, t->c6));
    AIM_TRY(read_table(b, packed ? c6_name : cn_name, t, 1, t->cn));
    return check(t, cn_of);
}

aim_status aim_d3_read(aim_builder *b, const char *prefix, aim_output *out)
{
    elements e = {.cnmax = {0}};
    double cn_of[AIM_MAX_SPECIES * REFS] = {0};
    char cnmax[AIM_NAME_SIZE];
    tables t = {.alloc = &b->m->alloc, .script = b->file.format == AIM_FORMAT_SCRIPT};
    AIM_TRY(read_row(b, prefix, "rcov", &t.n, e.rcov));
    AIM_TRY(read_row(b, prefix, "r4r2", &t.n, e.r4r2));
    snprintf(cnmax, sizeof cnmax, "%.150s.cnmax", prefix);
    (void)aim_bind_find(b, cnmax); /* older files have it, and only TorchScript uses it */
    if (t.script)
        AIM_TRY(read_row(b, prefix, "cnmax", &t.n, e.cnmax));
    aim_status status = read_tables(b, prefix, &t, cn_of);
    if (status == AIMNET_OK)
        status = pack(&t, cn_of, &e, out);
    aim_free(t.alloc, t.c6);
    aim_free(t.alloc, t.cn);
    aim_free(t.alloc, t.exists);
    return status;
}
