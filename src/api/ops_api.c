/* SPDX-License-Identifier: MIT */
/* ops_api.c - forward, backward and double backward of conv_sv_2d_sp: argument checks and a
 * parallel loop over atoms around the kernels conv_op_* (aimnet_ops.h has the formulas). Compiled
 * twice; the entry points end in _f32 and _f64. */
#include <string.h>

#include "api/conv_plan.h"
#include "backend/isa.h"
#include "backend/kernels.h"

enum { ATOMS_PER_TASK = 16 };

typedef void (*conv_op_fn)(const aim_conv_op_args *, int64_t first, int64_t last);

typedef struct conv_loop {
    conv_op_fn kernel;
    aim_conv_op_args args;
    int64_t n;
} conv_loop;

static void conv_task(void *ctx, int64_t task, int worker)
{
    const conv_loop *loop = ctx;
    const int64_t first = task * ATOMS_PER_TASK, last = first + ATOMS_PER_TASK;
    (void)worker;
    loop->kernel(&loop->args, first, last < loop->n ? last : loop->n);
}

static void run(const aimnet_conv_sv_2d_sp *op, conv_op_fn kernel, const aim_conv_op_args *args)
{
    conv_loop loop = {kernel, *args, op->n_atoms};
    aim_parallel_for(op->team, (loop.n + ATOMS_PER_TASK - 1) / ATOMS_PER_TASK, conv_task, &loop);
}

/* Whether a product of sizes stays below the largest array. */
static int fits(const int64_t *size, int n)
{
    int64_t product = (int64_t)sizeof(real);
    for (int k = 0; k < n; k++) {
        if (size[k] != 0 && product > (int64_t)PTRDIFF_MAX / size[k])
            return 0;
        product *= size[k];
    }
    return 1;
}

static aim_status begin(const aimnet_conv_sv_2d_sp *op, int n_channels, int n_shifts,
                        aim_conv_op_args *args)
{
    if (!op)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "the operator is NULL: make one with aimnet_conv_sv_2d_sp_create");
    if (n_channels < 0 || n_shifts < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "n_channels %d and n_shifts %d must not be negative",
                        n_channels, n_shifts);
    const int64_t features[] = {(int64_t)op->n_atoms + 1, n_channels, n_shifts, 4},
                  factors[] = {op->n_atoms, op->n_slots, n_shifts, 4};
    if (!fits(features, 4) || !fits(factors, 4))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%d atoms, %d neighbours, %d channels and %d shifts: the arrays do not fit "
                        "into memory; use fewer atoms",
                        (int)op->n_atoms, (int)op->n_slots, n_channels, n_shifts);
    *args = (aim_conv_op_args){.row = op->row,
                               .j = op->j,
                               .slot = op->slot,
                               .reverse_row = op->reverse_row,
                               .reverse = op->reverse,
                               .n_slots = op->n_slots,
                               .n_channels = n_channels,
                               .n_shifts = n_shifts};
    return AIMNET_OK;
}

/* An array may be NULL when it has no elements. */
static aim_status need(const void *array, int64_t elements, const char *name, const char *purpose)
{
    if (array || elements == 0)
        return AIMNET_OK;
    return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL but needed for %s", name, purpose);
}

static int64_t n_features(const aimnet_conv_sv_2d_sp *op, const aim_conv_op_args *a)
{
    return (int64_t)op->n_atoms * a->n_channels * a->n_shifts;
}

static int64_t n_factors(const aimnet_conv_sv_2d_sp *op, const aim_conv_op_args *a)
{
    return (int64_t)op->n_atoms * op->n_slots * a->n_shifts;
}

static const aim_kernels *kernels(void)
{
    return AIM_NAMED(aim_kernels_open)(aim_cpu_isa());
}

/* g_x of g_out and f, with its padding row */
static void feature_gradient(const aimnet_conv_sv_2d_sp *op, aim_conv_op_args args, const real *f,
                             const real *g_out, real *g_x)
{
    args.g = f;
    args.gout = g_out;
    args.gx = g_x;
    run(op, kernels()->conv_op_bwd_x, &args);
    memset(g_x + n_features(op, &args), 0,
           (size_t)args.n_channels * (size_t)args.n_shifts * sizeof *g_x);
}

/* g_f of g_out and x */
static void factor_gradient(const aimnet_conv_sv_2d_sp *op, aim_conv_op_args args, const real *x,
                            const real *g_out, real *g_f)
{
    args.x = x;
    args.gout = g_out;
    args.gg = g_f;
    run(op, kernels()->conv_op_bwd_g, &args);
}

static void convolve(const aimnet_conv_sv_2d_sp *op, aim_conv_op_args args, const real *x,
                     const real *f, int add, real *out)
{
    args.x = x;
    args.g = f;
    args.add = add;
    args.out = out;
    run(op, kernels()->conv_op_fwd, &args);
}

aimnet_status AIM_NAMED(aimnet_conv_sv_2d_sp_forward)(aimnet_conv_sv_2d_sp *op, int n_channels,
                                                      int n_shifts, const real *x, const real *f,
                                                      real *out)
{
    aim_conv_op_args args;
    AIM_TRY(begin(op, n_channels, n_shifts, &args));
    AIM_TRY(need(x, n_features(op, &args), "x", "out"));
    AIM_TRY(need(f, n_factors(op, &args), "f", "out"));
    AIM_TRY(need(out, n_features(op, &args), "out", "the result"));
    convolve(op, args, x, f, 0, out);
    return AIMNET_OK;
}

aimnet_status AIM_NAMED(aimnet_conv_sv_2d_sp_backward)(aimnet_conv_sv_2d_sp *op, int n_channels,
                                                       int n_shifts, const real *x, const real *f,
                                                       const real *g_out, real *g_x, real *g_f)
{
    aim_conv_op_args args;
    AIM_TRY(begin(op, n_channels, n_shifts, &args));
    if (g_x || g_f)
        AIM_TRY(need(g_out, n_features(op, &args), "g_out", "every gradient"));
    if (g_x)
        AIM_TRY(need(f, n_factors(op, &args), "f", "g_x"));
    if (g_f)
        AIM_TRY(need(x, n_features(op, &args), "x", "g_f"));
    if (g_x)
        feature_gradient(op, args, f, g_out, g_x);
    if (g_f)
        factor_gradient(op, args, x, g_out, g_f);
    return AIMNET_OK;
}

aimnet_status AIM_NAMED(aimnet_conv_sv_2d_sp_double_backward)(
    aimnet_conv_sv_2d_sp *op, int n_channels, int n_shifts, const real *x, const real *f,
    const real *g_out, const real *v_x, const real *v_f, real *d_out, real *d_x, real *d_f)
{
    aim_conv_op_args args;
    AIM_TRY(begin(op, n_channels, n_shifts, &args));
    const int64_t features = n_features(op, &args), factors = n_factors(op, &args);
    if (d_out && v_x)
        AIM_TRY(need(f, factors, "f", "d_out"));
    if (d_out && v_f)
        AIM_TRY(need(x, features, "x", "d_out"));
    if ((d_x && v_f) || (d_f && v_x))
        AIM_TRY(need(g_out, features, "g_out", "d_x and d_f"));
    if (d_out && !v_x && !v_f)
        memset(d_out, 0, (size_t)features * 4 * sizeof *d_out);
    if (d_out && v_x)
        convolve(op, args, v_x, f, 0, d_out);
    if (d_out && v_f)
        convolve(op, args, x, v_f, v_x != NULL, d_out);
    if (d_x && v_f)
        feature_gradient(op, args, v_f, g_out, d_x);
    else if (d_x)
        memset(d_x, 0,
               ((size_t)op->n_atoms + 1) * (size_t)n_channels * (size_t)n_shifts * sizeof *d_x);
    if (d_f && v_x)
        factor_gradient(op, args, v_x, g_out, d_f);
    else if (d_f)
        memset(d_f, 0, (size_t)factors * 4 * sizeof *d_f);
    return AIMNET_OK;
}
