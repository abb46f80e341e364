/* SPDX-License-Identifier: MIT */
/* cases_conv_tan.c - problems for the tangents of the convolution: the inputs of cases_conv.c in one to
 * three directions (compiled once per precision). Of the pairs of a direction all, some or none move. */
#include <string.h>

#include "problem.h"

typedef struct tan_shape {
    size_t n, rows, scalars, width; /* atoms, rows, F gp, F gp + F H */
    int dirs;
} tan_shape;

static real *random_rows(kt_problem *p, size_t rows, size_t width)
{
    return AIM_NAMED(kt_reals)(p, rows * width);
}

static tan_shape build_inputs(kt_problem *p, int size, int plain)
{
    aim_conv_tan_args *t = &p->args.conv_tan;
    aim_conv_args of;
    AIM_NAMED(kt_conv_inputs)(p, &of, size, plain);
    const int dirs = size == KT_PERF ? 4 : 1 + size % 3;
    const size_t n = (size_t)p->n, pairs = (size_t)p->pairs, scalars = (size_t)(of.nf * of.gp),
                 vectors = (size_t)(of.nf * of.ncomb);
    const tan_shape s = {n, n * (size_t)dirs, scalars, scalars + vectors, dirs};
    const size_t keep = aim_conv_tan_scratch(of.gp, of.nf, of.n_species, 75);
    of.scratch = AIM_NAMED(kt_block)(p, keep, sizeof(real));
    of.v = random_rows(p, n, (size_t)(3 * of.nf * of.hp));
    of.gxv = random_rows(p, n, vectors + 1);
    of.ldgx = vectors + 1;
    of.gs_adj = random_rows(p, n, 4 * scalars);
    of.sums = random_rows(p, pairs, AIM_PAIR_SUMS);
    real *tu = random_rows(p, pairs * (size_t)dirs, 4);
    for (size_t k = 0; k < pairs * (size_t)dirs; k++)
        if (size % 4 == 3 || (size % 4 == 1 && AIM_NAMED(kt_below)(p, 3)))
            memset(tu + 4 * k, 0, 4 * sizeof *tu);
    *t = (aim_conv_tan_args){.of = of, .n_atoms = (int32_t)n, .tu = tu, .ldta = of.lda};
    t->ta = random_rows(p, s.rows, t->ldta);
    t->tv = random_rows(p, s.rows, (size_t)(3 * of.nf * of.hp));
    t->tgs_adj = random_rows(p, s.rows, 4 * scalars);
    p->pairs *= dirs;
    p->n = (int64_t)s.rows;
    return s;
}

static void build_forward(kt_problem *p, int size, int plain)
{
    const tan_shape s = build_inputs(p, size, plain);
    aim_conv_tan_args *t = &p->args.conv_tan;
    t->ldtx = s.width + 5;
    real *x = random_rows(p, s.rows, t->ldtx);
    t->txs = x;
    t->txv = x + s.scalars;
    AIM_NAMED(kt_add_output)(p, "txs txv", x, sizeof *x, NULL, t->ldtx, 0);
    const size_t parts[KT_PARTS] = {s.scalars, s.width, t->ldtx};
    memcpy(p->out[0].part, parts, sizeof parts);
    const size_t v_width = (size_t)(3 * t->of.nf * t->of.hp);
    AIM_NAMED(kt_add_output)(p, "tv", t->tv, sizeof *x, NULL, v_width, 0);
    if (size % 3 == 1) {
        t->ts = random_rows(p, s.rows, 4 * s.scalars);
        AIM_NAMED(kt_add_output)(p, "tS", t->ts, sizeof *x, NULL, 4 * s.scalars, 0);
    }
    p->terms *= 4;
    p->flops = 16.0 * p->pairs * (double)s.scalars;
}

static void build_fwd(kt_problem *p, int size)
{
    build_forward(p, size, 0);
}
static void build_plain_fwd(kt_problem *p, int size)
{
    build_forward(p, size, 1);
}

static void build_project_bwd(kt_problem *p, int size)
{
    const tan_shape s = build_inputs(p, size, 0);
    aim_conv_tan_args *t = &p->args.conv_tan;
    t->ldtgx = s.width + 3;
    const real *x = random_rows(p, s.rows, t->ldtgx);
    t->tgxs = x;
    t->tgxv = x + s.scalars;
    AIM_NAMED(kt_add_output)(p, "tgS", t->tgs_adj, sizeof *x, NULL, 4 * s.scalars, 0);
    p->flops = 12.0 * (double)s.rows * (double)s.scalars * t->of.ncomb;
}

static void build_bwd_pair(kt_problem *p, int size, int plain)
{
    const tan_shape s = build_inputs(p, size, plain);
    aim_conv_tan_args *t = &p->args.conv_tan;
    const int64_t pairs = t->of.row[s.n];
    int64_t *span = AIM_NAMED(kt_block)(p, s.rows + 1, sizeof *span);
    for (size_t r = 0; r <= s.rows && s.n > 0; r++)
        span[r] = (int64_t)(r / s.n) * pairs + (r < s.rows ? t->of.row[r % s.n] : 0);
    t->tgr = random_rows(p, (size_t)s.dirs * (size_t)pairs, 3);
    AIM_NAMED(kt_add_output)(p, "tgr", t->tgr, sizeof *t->tgr, span, 3, 0);
    p->terms *= 4;
    p->flops = 16.0 * p->pairs * (double)s.scalars;
}

static void build_full_bwd_pair(kt_problem *p, int size)
{
    build_bwd_pair(p, size, 0);
}
static void build_plain_bwd_pair(kt_problem *p, int size)
{
    build_bwd_pair(p, size, 1);
}

static void build_bwd_feature(kt_problem *p, int size, int plain)
{
    const tan_shape s = build_inputs(p, size, plain);
    aim_conv_tan_args *t = &p->args.conv_tan;
    t->ldtga = (size_t)t->of.nf * (size_t)(plain ? 1 : t->of.gp) + 3;
    t->tga = random_rows(p, s.rows, t->ldtga);
    AIM_NAMED(kt_add_output)(p, "tga", t->tga, sizeof *t->tga, NULL, t->ldtga, 0);
    p->terms = 8.0 * 70 * (plain ? t->of.gp : 1);
    p->flops = 16.0 * p->pairs * (double)s.scalars;
}

static void build_full_bwd_feature(kt_problem *p, int size)
{
    build_bwd_feature(p, size, 0);
}
static void build_plain_bwd_feature(kt_problem *p, int size)
{
    build_bwd_feature(p, size, 1);
}

static void build_agh(kt_problem *p, int size)
{
    aim_conv_args of;
    AIM_NAMED(kt_conv_inputs)(p, &of, size, 0);
    const size_t n = (size_t)p->n, s = (size_t)(4 * of.nf * of.gp), v = (size_t)(3 * of.nf * of.hp),
                 x = (size_t)(of.nf * of.ncomb), width = (size_t)(of.gp * of.hp);
    p->args.agh_tan = (aim_agh_tan_args){.n = p->n,
                                         .nf = of.nf,
                                         .gp = of.gp,
                                         .ncomb = of.ncomb,
                                         .hp = of.hp,
                                         .s = random_rows(p, n, s),
                                         .ts = random_rows(p, n, s),
                                         .v = random_rows(p, n, v),
                                         .tv = random_rows(p, n, v),
                                         .gxv = random_rows(p, n, x),
                                         .tgxv = random_rows(p, n, x)};
    p->args.agh_tan.gagh = AIM_NAMED(kt_doubles)(p, (size_t)of.nf * width);
    p->n = of.nf;
    p->terms = 9.0 * (double)n;
    AIM_NAMED(kt_add_output)
    (p, "gagh", p->args.agh_tan.gagh, sizeof(double), NULL, width, 0);
    p->flops = 12.0 * (double)n * of.nf * of.gp * of.ncomb;
}

const kt_case AIM_NAMED(kt_conv_tan_cases)[] = {
    {"conv_embed_fwd_tan", KT_CONV_SIZES, build_fwd},
    {"conv_fwd_tan", KT_CONV_SIZES, build_fwd},
    {"conv_plain_fwd_tan", KT_CONV_SIZES, build_plain_fwd},
    {"conv_project_bwd_tan", KT_CONV_SIZES, build_project_bwd},
    {"conv_embed_bwd_pair_tan", KT_CONV_SIZES, build_full_bwd_pair},
    {"conv_bwd_pair_tan", KT_CONV_SIZES, build_full_bwd_pair},
    {"conv_plain_bwd_pair_tan", KT_CONV_SIZES, build_plain_bwd_pair},
    {"conv_bwd_feature_tan", KT_CONV_SIZES, build_full_bwd_feature},
    {"conv_plain_bwd_feature_tan", KT_CONV_SIZES, build_plain_bwd_feature},
    {"conv_agh_tan", KT_CONV_SIZES, build_agh},
    {NULL, 0, NULL},
};
