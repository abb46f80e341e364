/* SPDX-License-Identifier: MIT */
/* cuda_conv_api.c - conv_sv_2d_sp on a card (aimnet_cuda.h): argument checks, and double backward
 * from the three sums. A sum that a NULL makes zero is a sum with nothing to add. */
#include <limits.h>

#include "aimnet_cuda.h"
#include "api/cuda_memory.h"
#include "base/alloc.h"

struct aimnet_cuda_conv {
    const aim_device_ops *ops;
    const int32_t *idx;
    int32_t card, n, m;
    aim_alloc alloc;
    _Alignas(16) unsigned char own[AIM_DEV_OP_SIZE];
};

aimnet_status aimnet_cuda_conv_create(int card, const int32_t *idx, int32_t n_atoms,
                                      int32_t n_neighbors, void *stream, aimnet_cuda_conv **op)
{
    aim_dev_error e = {0};
    aimnet_cuda_conv *c;
    if (!op)
        return AIM_FAIL(AIMNET_ERR_ARG, "op is NULL: expected where to put the operator");
    *op = NULL;
    if (n_atoms < 0 || n_neighbors < 0 ||
        (int64_t)n_atoms * (n_neighbors > 0 ? n_neighbors : 1) >= INT_MAX)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%d atoms with %d neighbours: expected no negative number, and fewer than "
                        "2^31 slots",
                        (int)n_atoms, (int)n_neighbors);
    if (!idx && (int64_t)n_atoms * n_neighbors > 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "idx is NULL: expected the neighbour matrix");
    const aim_device_ops *ops = aim_device_load(&e);
    if (!ops)
        return aim_cuda_error(&e);
    AIM_TRY(aim_cuda_can_wait(ops, card, stream));
    AIM_TRY(
        aim_cuda_check(ops, card, idx, (size_t)n_atoms * (size_t)n_neighbors * sizeof *idx, "idx"));
    const aim_alloc alloc = aim_alloc_default();
    AIM_TRY(aim_new0(&alloc, 1, sizeof *c, "operator", &c));
    *c = (aimnet_cuda_conv){
        .ops = ops, .card = card, .idx = idx, .n = n_atoms, .m = n_neighbors, .alloc = alloc};
    if (ops->op_create(c->own, card, idx, n_atoms, n_neighbors, stream, &e)) {
        aim_free(&alloc, c);
        return aim_cuda_error(&e);
    }
    *op = c;
    return AIMNET_OK;
}

void aimnet_cuda_conv_free(aimnet_cuda_conv *op)
{
    if (!op)
        return;
    const aim_alloc alloc = op->alloc;
    op->ops->op_free(op->own);
    aim_free(&alloc, op);
}

static aim_status run(aimnet_cuda_conv *op, const aim_dev_op *what)
{
    aim_dev_error e = {0};
    return op->ops->op_run(op->own, what, &e) ? aim_cuda_error(&e) : AIMNET_OK;
}

static aim_status check(const aimnet_cuda_conv *op, int channels, int shifts)
{
    if (!op)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "the operator is NULL: make one with aimnet_cuda_conv_create");
    if (channels < 0 || shifts < 0 || (int64_t)channels * shifts > INT_MAX / 4)
        return AIM_FAIL(
            AIMNET_ERR_ARG,
            "n_channels %d and n_shifts %d: expected no negative numbers, and a product "
            "below 2^29",
            channels, shifts);
    return AIMNET_OK;
}

static aim_status need(const void *array, const char *name, const char *purpose)
{
    return array ? AIMNET_OK
                 : AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL but needed for %s", name, purpose);
}

/* What every sum of a call shares. */
static aim_dev_op begin(const aimnet_cuda_conv *op, int is_double, int channels, int shifts,
                        void *stream)
{
    return (aim_dev_op){.is_double = is_double,
                        .channels = channels,
                        .shifts = shifts,
                        .idx = op->idx,
                        .stream = stream};
}

/* Arrays of a sum: memory of the operator's card, and long enough. */
static aim_status check_arrays(const aimnet_cuda_conv *op, const aim_dev_op *o)
{
    const size_t n = (size_t)op->n, real = o->is_double ? sizeof(double) : sizeof(float),
                 columns = (size_t)o->channels * (size_t)o->shifts * real,
                 features = (n + 1) * columns, sums = 4 * n * columns,
                 factors = 4 * n * (size_t)op->m * (size_t)o->shifts * real;
    const struct {
        const char *name;
        const void *array;
        size_t bytes;
    } of[] = {{"x or v_x", o->x, features},
              {"f or v_f", o->f, factors},
              {"g_out", o->g, sums},
              {"the result", o->out,
               o->kind == AIM_DEV_OP_FORWARD  ? sums
               : o->kind == AIM_DEV_OP_BACK_X ? features
                                              : factors}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++)
        if (of[k].array)
            AIM_TRY(aim_cuda_check(op->ops, op->card, of[k].array, of[k].bytes, of[k].name));
    return AIMNET_OK;
}

static aim_status sum(aimnet_cuda_conv *op, aim_dev_op o, aim_dev_op_kind kind, const void *x,
                      const void *f, const void *g, void *out, int add)
{
    o.kind = kind;
    o.x = x;
    o.f = f;
    o.g = g;
    o.out = out;
    o.add = add;
    AIM_TRY(check_arrays(op, &o));
    return run(op, &o);
}

static aim_status forward(aimnet_cuda_conv *op, int is_double, int channels, int shifts,
                          const void *x, const void *f, void *out, void *stream)
{
    AIM_TRY(check(op, channels, shifts));
    if (channels == 0 || shifts == 0)
        return AIMNET_OK;
    AIM_TRY(need(x, "x", "out"));
    AIM_TRY(need(f, "f", "out"));
    AIM_TRY(need(out, "out", "the result"));
    return sum(op, begin(op, is_double, channels, shifts, stream), AIM_DEV_OP_FORWARD, x, f, NULL,
               out, 0);
}

static aim_status backward(aimnet_cuda_conv *op, int is_double, int channels, int shifts,
                           const void *x, const void *f, const void *g_out, void *g_x, void *g_f,
                           void *stream)
{
    AIM_TRY(check(op, channels, shifts));
    if (channels == 0 || shifts == 0)
        return AIMNET_OK;
    const aim_dev_op o = begin(op, is_double, channels, shifts, stream);
    AIM_TRY(need(g_out, "g_out", "the gradients"));
    if (g_x) {
        AIM_TRY(need(f, "f", "g_x"));
        AIM_TRY(sum(op, o, AIM_DEV_OP_BACK_X, NULL, f, g_out, g_x, 0));
    }
    if (g_f) {
        AIM_TRY(need(x, "x", "g_f"));
        AIM_TRY(sum(op, o, AIM_DEV_OP_BACK_F, x, NULL, g_out, g_f, 0));
    }
    return AIMNET_OK;
}

static aim_status double_backward(aimnet_cuda_conv *op, int is_double, int channels, int shifts,
                                  const void *x, const void *f, const void *g_out, const void *v_x,
                                  const void *v_f, void *d_out, void *d_x, void *d_f, void *stream)
{
    AIM_TRY(check(op, channels, shifts));
    if (channels == 0 || shifts == 0)
        return AIMNET_OK;
    const aim_dev_op o = begin(op, is_double, channels, shifts, stream);
    AIM_TRY(need(v_x ? v_x : v_f, "v_x and v_f", "the second derivatives: give one of them"));
    if (d_out && v_x) {
        AIM_TRY(need(f, "f", "d_out"));
        AIM_TRY(sum(op, o, AIM_DEV_OP_FORWARD, v_x, f, NULL, d_out, 0));
    }
    if (d_out && v_f) {
        AIM_TRY(need(x, "x", "d_out"));
        AIM_TRY(sum(op, o, AIM_DEV_OP_FORWARD, x, v_f, NULL, d_out, v_x != NULL));
    }
    if (d_x || d_f)
        AIM_TRY(need(g_out, "g_out", "d_x and d_f"));
    if (d_x) {
        AIM_TRY(need(v_f, "v_f", "d_x"));
        AIM_TRY(sum(op, o, AIM_DEV_OP_BACK_X, NULL, v_f, g_out, d_x, 0));
    }
    if (d_f) {
        AIM_TRY(need(v_x, "v_x", "d_f"));
        AIM_TRY(sum(op, o, AIM_DEV_OP_BACK_F, v_x, NULL, g_out, d_f, 0));
    }
    return AIMNET_OK;
}

#define PRECISION(suffix, real, is_double)                                                         \
    aimnet_status aimnet_cuda_conv_forward_##suffix(aimnet_cuda_conv *op, int n_channels,          \
                                                    int n_shifts, const real *x, const real *f,    \
                                                    real *out, void *stream)                       \
    {                                                                                              \
        return forward(op, is_double, n_channels, n_shifts, x, f, out, stream);                    \
    }                                                                                              \
    aimnet_status aimnet_cuda_conv_backward_##suffix(                                              \
        aimnet_cuda_conv *op, int n_channels, int n_shifts, const real *x, const real *f,          \
        const real *g_out, real *g_x, real *g_f, void *stream)                                     \
    {                                                                                              \
        return backward(op, is_double, n_channels, n_shifts, x, f, g_out, g_x, g_f, stream);       \
    }                                                                                              \
    aimnet_status aimnet_cuda_conv_double_backward_##suffix(                                       \
        aimnet_cuda_conv *op, int n_channels, int n_shifts, const real *x, const real *f,          \
        const real *g_out, const real *v_x, const real *v_f, real *d_out, real *d_x, real *d_f,    \
        void *stream)                                                                              \
    {                                                                                              \
        return double_backward(op, is_double, n_channels, n_shifts, x, f, g_out, v_x, v_f, d_out,  \
                               d_x, d_f, stream);                                                  \
    }

PRECISION(f32, float, 0)
PRECISION(f64, double, 1)
