/* SPDX-License-Identifier: MIT */
/* cases_linear.c - problems for the dense layers: 0 to 25 and more rows, lengths around the
 * summation chunk (compiled once per precision).
 *
 * Weights are scaled by 1/sqrt(k) and biases by 3, so that arguments of GELU cover both tails; one
 * size has biases up to 45. */
#include <math.h>
#include <stdio.h>

#include "problem.h"

enum { ROWS = 26, TABLE_ROWS = 4 }; /* sizes 0 .. 25 have as many rows; the others are listed */

typedef struct layer_size {
    int rows, n_k, panels, gelu, table, slope;
    double bias;
} layer_size;

static const layer_size MORE[] = {
    {25, 255, 1, 1, 0, 1, 3}, {25, 256, 2, 1, 1, 1, 3}, {25, 257, 3, 0, 1, 0, 3},
    {49, 513, 1, 1, 0, 0, 3}, {11, 32, 1, 0, 0, 1, 3},  {11, 33, 1, 1, 0, 1, 3},
    {7, 1029, 2, 0, 0, 0, 3}, {97, 16, 1, 1, 1, 1, 45}, {13, 448, 4, 1, 0, 1, 3},
    {24, 128, 1, 0, 0, 1, 3},
};
enum { SIZES = ROWS + (int)(sizeof MORE / sizeof *MORE) };

static layer_size size_of(int size)
{
    if (size == KT_PERF)
        return (layer_size){480, 512, 16, 1, 0, 1, 3};
    if (size < ROWS)
        return (layer_size){
            size, 1 + 3 * size, 1 + size % 3, size % 2, size % 3 == 0, size % 5 != 0, 3};
    return MORE[size - ROWS];
}

static real *packed_weights(kt_problem *p, int n_k, int n_c)
{
    const size_t count = (size_t)n_k * (size_t)n_c;
    real *w = AIM_NAMED(kt_reals)(p, count),
         *packed = AIM_NAMED(kt_block)(p, count, sizeof *packed);
    const double scale = 1.0 / sqrt((double)n_k);
    for (size_t i = 0; i < count; i++)
        w[i] = (real)((double)w[i] * scale);
    p->k->pack(w, 1, (size_t)n_k, n_k, n_c, packed);
    return packed;
}

/* 32 columns are a whole number of panels for every table */
enum { WIDTH = 32 };

static void build_fwd(kt_problem *p, int size)
{
    const layer_size s = size_of(size);
    const size_t rows = (size_t)s.rows, columns = (size_t)(s.panels * WIDTH);
    aim_linear_args *a = &p->args.linear;
    *a = (aim_linear_args){.n_in = s.n_k,
                           .n_out = s.panels * WIDTH,
                           .ldx = (size_t)s.n_k + 3,
                           .ldy = columns + 5,
                           .ldslope = columns + 1,
                           .ldbias = columns + 2,
                           .gelu = s.gelu};
    a->w = packed_weights(p, s.n_k, a->n_out);
    a->x = AIM_NAMED(kt_reals)(p, rows * a->ldx);
    real *bias = AIM_NAMED(kt_reals)(p, TABLE_ROWS * a->ldbias);
    for (size_t i = 0; i < TABLE_ROWS * a->ldbias; i++)
        bias[i] = (real)(s.bias * (double)bias[i]);
    a->bias = bias;
    if (s.table) {
        int32_t *which = AIM_NAMED(kt_block)(p, rows, sizeof *which);
        for (size_t r = 0; r < rows; r++)
            which[r] = AIM_NAMED(kt_below)(p, TABLE_ROWS);
        a->bias_row = which;
    }
    p->n = s.rows;
    p->terms = s.n_k;
    a->y = AIM_NAMED(kt_reals)(p, rows * a->ldy);
    AIM_NAMED(kt_add_output)(p, "y", a->y, sizeof *a->y, NULL, a->ldy, 0);
    if (s.slope) {
        a->slope = AIM_NAMED(kt_reals)(p, rows * a->ldslope);
        AIM_NAMED(kt_add_output)(p, "slope", a->slope, sizeof *a->slope, NULL, a->ldslope, s.bias);
    }
    if (s.slope && size % 2) {
        a->curve = AIM_NAMED(kt_reals)(p, rows * a->ldslope);
        AIM_NAMED(kt_add_output)
        (p, "curve", a->curve, sizeof *a->curve, NULL, a->ldslope, s.bias * s.bias);
    }
    p->flops = 2.0 * s.rows * s.n_k * a->n_out;
    snprintf(p->label, sizeof p->label, "rows %d in %d out %d%s%s", s.rows, s.n_k, a->n_out,
             s.gelu ? " gelu" : "", s.table ? " table" : "");
}

static void build_bwd(kt_problem *p, int size)
{
    const layer_size s = size_of(size);
    const size_t rows = (size_t)s.rows, columns = (size_t)(s.panels * WIDTH),
                 padded = ((size_t)s.n_k + WIDTH - 1) / WIDTH * WIDTH;
    aim_linear_args *a = &p->args.linear;
    *a = (aim_linear_args){.n_in = s.panels * WIDTH,
                           .n_out = s.n_k,
                           .ldy = padded + 3,
                           .ldslope = padded + 1,
                           .ldgx = columns + 5};
    a->w = packed_weights(p, s.n_k, a->n_in);
    p->n = s.rows;
    p->terms = s.n_k;
    a->y = AIM_NAMED(kt_reals)(p, rows * a->ldy);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = (size_t)s.n_k; c < a->ldy; c++)
            a->y[r * a->ldy + c] =
                0; /* the padding of an adjoint is zero, and may be multiplied by the slope */
    if (s.gelu)
        a->slope = AIM_NAMED(kt_reals)(p, rows * a->ldslope);
    if (s.gelu && s.slope) {
        a->curve = AIM_NAMED(kt_reals)(p, rows * a->ldslope);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = (size_t)s.n_k; c < a->ldslope; c++)
                a->curve[r * a->ldslope + c] = 0;
        AIM_NAMED(kt_add_output)(p, "curve", a->curve, sizeof *a->curve, NULL, a->ldslope, 0);
    }
    a->gx = AIM_NAMED(kt_reals)(p, rows * a->ldgx);
    AIM_NAMED(kt_add_output)(p, "gx", a->gx, sizeof *a->gx, NULL, a->ldgx, 0);
    AIM_NAMED(kt_add_output)(p, "gy", a->y, sizeof *a->y, NULL, a->ldy, 0);
    p->flops = 2.0 * s.rows * s.n_k * a->n_in;
    snprintf(p->label, sizeof p->label, "rows %d out %d in %d%s", s.rows, s.n_k, a->n_in,
             s.gelu ? " slope" : "");
}

static void build_out(kt_problem *p, int size)
{
    const layer_size s = size_of(size);
    const size_t rows = (size_t)s.rows, n_k = (size_t)s.n_k;
    aim_linear_out_args *a = &p->args.linear_out;
    *a = (aim_linear_out_args){.n_in = s.n_k, .n_out = s.panels, .ldx = n_k + 3};
    a->w = AIM_NAMED(kt_reals)(p, n_k * (size_t)s.panels);
    a->bias = AIM_NAMED(kt_reals)(p, (size_t)s.panels);
    a->x = AIM_NAMED(kt_reals)(p, rows * a->ldx);
    a->out = AIM_NAMED(kt_block)(p, rows * (size_t)s.panels, sizeof *a->out);
    p->n = s.rows;
    p->terms = s.n_k;
    AIM_NAMED(kt_add_output)(p, "out", a->out, sizeof *a->out, NULL, (size_t)s.panels, 0);
    p->flops = 2.0 * s.rows * s.n_k * s.panels;
    snprintf(p->label, sizeof p->label, "rows %d in %d out %d", s.rows, s.n_k, s.panels);
}

const kt_case AIM_NAMED(kt_linear_cases)[] = {
    {"linear_fwd", SIZES, build_fwd},
    {"linear_bwd", SIZES, build_bwd},
    {"linear_out", SIZES, build_out},
    {NULL, 0, NULL},
};
