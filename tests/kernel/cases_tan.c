/* SPDX-License-Identifier: MIT */
/* cases_tan.c - problems for the tangents of everything but the convolution, in one to three
 * directions (compiled once per precision). */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "problem.h"

/* ---------------------------------------------------------------- pairs */

enum { PAIR_SIZES = 12 };
static const int ATOMS[] = {0, 1, 2, 7, 13, 28};
static const double RC = 5.0;

static kt_geometry build_geometry(kt_problem *p, int size, int *dirs)
{
    *dirs = size == KT_PERF ? 4 : 1 + size % 3;
    const kt_geometry g =
        AIM_NAMED(kt_geometry_make)(p, size == KT_PERF ? 300 : ATOMS[size / 2], RC, size % 2);
    snprintf(p->label, sizeof p->label, "n %d dirs %d", g.n_atoms, *dirs);
    p->pairs = (double)g.row[g.n_atoms] * *dirs;
    p->flops = 40.0 * p->pairs;
    return g;
}

static void build_features(kt_problem *p, int size)
{
    int dirs;
    const kt_geometry g = build_geometry(p, size, &dirs);
    const size_t n = (size_t)g.n_atoms, rows = n * (size_t)dirs, pairs = (size_t)g.row[n];
    int64_t *span = AIM_NAMED(kt_block)(p, rows + 1, sizeof *span);
    for (size_t r = 0; r <= rows && n > 0; r++)
        span[r] = (int64_t)(r / n * pairs) + (r < rows ? g.row[r % n] : 0);
    const size_t strains = 9 * (size_t)(dirs * g.n_systems);
    p->args.pair_tan =
        (aim_pair_tan_args){.coord = g.coord,
                            .cell = g.cell,
                            .system = g.system,
                            .row = g.row,
                            .j = g.j,
                            .shift = size % 2 ? (const int32_t(*)[3])g.shift : NULL,
                            .n_atoms = g.n_atoms,
                            .n_systems = g.n_systems,
                            .tx = size % 5 ? AIM_NAMED(kt_doubles)(p, 3 * rows) : NULL,
                            .w = size % 3 ? AIM_NAMED(kt_doubles)(p, strains) : NULL,
                            .tu = AIM_NAMED(kt_reals)(p, 4 * pairs * (size_t)dirs)};
    p->n = (int64_t)rows;
    AIM_NAMED(kt_add_output)(p, "tu", p->args.pair_tan.tu, sizeof(real), span, 4, RC);
}

static kt_geometry build_gather_args(kt_problem *p, int size, int *dirs)
{
    const kt_geometry g = build_geometry(p, size, dirs);
    const size_t rows = (size_t)(g.n_atoms * *dirs), pairs = (size_t)g.row[g.n_atoms],
                 strains = 9 * (size_t)(*dirs * g.n_systems);
    p->args.gather_tan =
        (aim_gather_tan_args){.of = {.coord = g.coord,
                                     .cell = g.cell,
                                     .system = g.system,
                                     .offset = g.offset,
                                     .row = g.row,
                                     .reverse = g.reverse,
                                     .j = g.j,
                                     .shift = size % 2 ? (const int32_t(*)[3])g.shift : NULL,
                                     .gr = AIM_NAMED(kt_reals)(p, 3 * pairs)},
                              .n_atoms = g.n_atoms,
                              .n_systems = g.n_systems,
                              .tx = AIM_NAMED(kt_doubles)(p, 3 * rows),
                              .w = size % 3 ? AIM_NAMED(kt_doubles)(p, strains) : NULL,
                              .tgr = AIM_NAMED(kt_reals)(p, 3 * pairs * (size_t)*dirs),
                              .tgrad = AIM_NAMED(kt_doubles)(p, 3 * rows),
                              .tstrain = AIM_NAMED(kt_doubles)(p, strains)};
    return g;
}

static void build_gather(kt_problem *p, int size)
{
    int dirs;
    const kt_geometry g = build_gather_args(p, size, &dirs);
    p->n = (int64_t)g.n_atoms * dirs;
    p->terms = 100;
    AIM_NAMED(kt_add_output)(p, "tgrad", p->args.gather_tan.tgrad, sizeof(double), NULL, 3, 0);
}

static void build_strain(kt_problem *p, int size)
{
    int dirs;
    const kt_geometry g = build_gather_args(p, size, &dirs);
    p->n = (int64_t)g.n_systems * dirs;
    p->terms = 2.0 * p->pairs;
    AIM_NAMED(kt_add_output)
    (p, "tstrain", p->args.gather_tan.tstrain, sizeof(double), NULL, 9,
     2.0 * RC * sqrt(p->pairs + 1.0));
}

/* ---------------------------------------------------------------- dense layers */

typedef struct layer_size {
    int n, dirs, n_k, panels, slope;
} layer_size;

static const layer_size LAYERS[] = {
    {0, 2, 16, 1, 1},  {1, 1, 1, 1, 1},   {1, 7, 33, 2, 1},   {5, 3, 256, 1, 0},
    {7, 2, 257, 3, 1}, {13, 4, 64, 1, 1}, {25, 1, 513, 1, 0}, {11, 3, 100, 2, 1},
};
enum { LAYER_SIZES = (int)(sizeof LAYERS / sizeof *LAYERS), WIDTH = 32 };

static layer_size layer_of(int size)
{
    return size == KT_PERF ? (layer_size){24, 20, 512, 16, 1} : LAYERS[size];
}

static const real *packed(kt_problem *p, int n_k, int n_c)
{
    const size_t count = (size_t)n_k * (size_t)n_c;
    real *w = AIM_NAMED(kt_reals)(p, count), *out = AIM_NAMED(kt_block)(p, count, sizeof *out);
    for (size_t i = 0; i < count; i++)
        w[i] = (real)((double)w[i] / sqrt((double)n_k));
    p->k->pack(w, 1, (size_t)n_k, n_k, n_c, out);
    return out;
}

static void build_layer(kt_problem *p, int size)
{
    const layer_size s = layer_of(size);
    p->n = (int64_t)s.n * s.dirs;
    p->terms = s.n_k;
    p->flops = 2.0 * (double)p->n * s.n_k * s.panels * WIDTH;
    snprintf(p->label, sizeof p->label, "n %d dirs %d k %d out %d", s.n, s.dirs, s.n_k,
             s.panels * WIDTH);
}

static void build_layer_fwd(kt_problem *p, int size)
{
    const layer_size s = layer_of(size);
    const size_t columns = (size_t)(s.panels * WIDTH);
    build_layer(p, size);
    aim_linear_tan_args *a = &p->args.linear_tan;
    *a = (aim_linear_tan_args){.n_in = s.n_k,
                               .n_out = s.panels * WIDTH,
                               .w = packed(p, s.n_k, s.panels * WIDTH),
                               .n = s.n,
                               .ldslope = columns + 1,
                               .ldx = (size_t)s.n_k + 3,
                               .ldtz = columns + 2,
                               .ldy = columns + 5};
    const size_t rows = (size_t)p->n;
    a->slope = s.slope ? AIM_NAMED(kt_reals)(p, (size_t)s.n * a->ldslope) : NULL;
    real *x = AIM_NAMED(kt_reals)(p, rows * a->ldx);
    for (size_t r = 0; s.dirs > 1 && r < rows; r++) /* stretches of zeros, single ones, others */
        if (r % 11 > 3 || r % 23 == 2)
            memset(x + r * a->ldx, 0, (size_t)s.n_k * sizeof *x);
    a->x = x;
    a->y = AIM_NAMED(kt_reals)(p, rows * a->ldy);
    AIM_NAMED(kt_add_output)(p, "ty", a->y, sizeof(real), NULL, a->ldy, 0);
    if (s.dirs == 1)
        return;
    a->tz = AIM_NAMED(kt_reals)(p, rows * a->ldtz);
    AIM_NAMED(kt_add_output)(p, "tz", a->tz, sizeof(real), NULL, a->ldtz, 0);
}

static void build_layer_bwd(kt_problem *p, int size)
{
    const layer_size s = layer_of(size);
    const size_t columns = (size_t)(s.panels * WIDTH),
                 padded = ((size_t)s.n_k + WIDTH - 1) / WIDTH * WIDTH;
    build_layer(p, size);
    aim_linear_tan_args *a = &p->args.linear_tan;
    *a = (aim_linear_tan_args){.n_in = s.panels * WIDTH,
                               .n_out = s.n_k,
                               .w = packed(p, s.n_k, s.panels * WIDTH),
                               .n = s.n,
                               .ldslope = padded + 1,
                               .ldtz = padded + 2,
                               .ldy = padded + 3,
                               .ldgx = columns + 5};
    const size_t rows = (size_t)p->n;
    real *tz = AIM_NAMED(kt_reals)(p, rows * a->ldtz);
    a->y = AIM_NAMED(kt_reals)(p, rows * a->ldy);
    for (size_t r = 0; r < rows; r++) /* the padding of adjoints and of z's tangent is zero */
        for (size_t c = (size_t)s.n_k; c < a->ldy; c++) {
            a->y[r * a->ldy + c] = 0;
            if (c < a->ldtz)
                tz[r * a->ldtz + c] = 0;
        }
    a->tz = tz;
    a->slope = s.slope ? AIM_NAMED(kt_reals)(p, (size_t)s.n * a->ldslope) : NULL;
    a->bend = AIM_NAMED(kt_reals)(p, (size_t)s.n * a->ldslope);
    a->gx = AIM_NAMED(kt_reals)(p, rows * a->ldgx);
    AIM_NAMED(kt_add_output)(p, "tgx", a->gx, sizeof(real), NULL, a->ldgx, 0);
    AIM_NAMED(kt_add_output)(p, "tgz", a->y, sizeof(real), NULL, a->ldy, 0);
}

static void build_weight(kt_problem *p, int size)
{
    const layer_size s = layer_of(size);
    const size_t rows = (size_t)(s.n * s.dirs * (size == 6 ? 30 : 1)), columns = (size_t)s.n_k;
    build_layer(p, size);
    aim_weight_tan_args *a = &p->args.weight_tan;
    *a = (aim_weight_tan_args){.rows = (int64_t)rows,
                               .n_in = s.panels * WIDTH,
                               .ldx = (size_t)(s.panels * WIDTH + 3),
                               .ldz = columns + 1};
    a->x = AIM_NAMED(kt_reals)(p, rows * a->ldx);
    a->tx = AIM_NAMED(kt_reals)(p, rows * a->ldx);
    a->gz = AIM_NAMED(kt_reals)(p, rows * a->ldz);
    a->tgz = AIM_NAMED(kt_reals)(p, rows * a->ldz);
    a->gw = AIM_NAMED(kt_doubles)(p, columns * (size_t)a->n_in);
    p->n = s.n_k;
    p->terms = 2.0 * (double)rows;
    p->flops = 4.0 * (double)rows * s.n_k * a->n_in;
    /* a double that is a sum in the working precision */
    const double size_of_sum = sqrt((double)rows + 1.0),
                 scale =
                     sizeof(real) == sizeof(float) ? size_of_sum * FLT_EPSILON / DBL_EPSILON : 0;
    AIM_NAMED(kt_add_output)(p, "gw", a->gw, sizeof(double), NULL, (size_t)a->n_in, scale);
    if (size % 2)
        return;
    a->gb = AIM_NAMED(kt_doubles)(p, columns);
    AIM_NAMED(kt_add_output)(p, "gb", a->gb, sizeof(double), NULL, 1, sqrt((double)rows + 1.0));
}

/* ---------------------------------------------------------------- charge equilibration */

enum { SYSTEMS = 7, CHARGE_SIZES = 8 };
/* The charge of a lone atom is the total charge whatever its tangents are: numbers of this size,
 * the ratio of missing charge and flexibility, cancel. */
static const double CANCELLED = 60.0;
static const int SYSTEM_ATOMS[SYSTEMS] = {3, 1, 0, 7, 2, 41, 13};

static void build_charge(kt_problem *p, int size, int backward)
{
    const int perf = size == KT_PERF, channels = perf ? 1 : 1 + size % 2,
              old = perf || size / 2 % 2, dirs = perf ? 4 : 1 + size % 3,
              systems = size % 4 == 1 ? 4 : SYSTEMS;
    int32_t *offset = AIM_NAMED(kt_block)(p, SYSTEMS + 1, sizeof *offset);
    double *mult = AIM_NAMED(kt_doubles)(p, SYSTEMS);
    for (int s = 0; s < systems; s++) {
        offset[s + 1] = offset[s] + SYSTEM_ATOMS[s];
        mult[s] = 1 + s % 3;
    }
    const size_t n = (size_t)offset[systems], c = (size_t)channels, rows = n * (size_t)dirs;
    int64_t *span = AIM_NAMED(kt_block)(p, (size_t)(systems * dirs) + 1, sizeof *span);
    for (int r = 0; r <= systems * dirs; r++)
        span[r] = (int64_t)(r / systems) * (int64_t)n + offset[r % systems];
    aim_charge_tan_args *a = &p->args.charge_tan;
    *a = (aim_charge_tan_args){.of = {.offset = offset,
                                      .n_channels = channels,
                                      .charge = AIM_NAMED(kt_doubles)(p, SYSTEMS),
                                      .mult = mult,
                                      .epsilon = 1e-6,
                                      .y = AIM_NAMED(kt_reals)(p, n * (2 * c + 1)),
                                      .ldy = 2 * c + 1,
                                      .q_old = old ? AIM_NAMED(kt_reals)(p, n * c) : NULL,
                                      .ldq_old = c,
                                      .gq = AIM_NAMED(kt_reals)(p, n * c)},
                               .n_systems = systems,
                               .ty = AIM_NAMED(kt_reals)(p, rows * (2 * c + 2)),
                               .ldty = 2 * c + 2,
                               .tq_old = old ? AIM_NAMED(kt_reals)(p, rows * c) : NULL,
                               .tq = AIM_NAMED(kt_reals)(p, rows * c),
                               .tgq = AIM_NAMED(kt_reals)(p, rows * c),
                               .tgy = AIM_NAMED(kt_reals)(p, rows * (2 * c + 3)),
                               .ldtgy = 2 * c + 3,
                               .tgq_old = old ? AIM_NAMED(kt_reals)(p, rows * c) : NULL};
    p->n = (int64_t)systems * dirs;
    p->flops = 20.0 * (double)rows;
    snprintf(p->label, sizeof p->label, "systems %d channels %d dirs %d%s", systems, channels, dirs,
             old ? " old charges" : "");
    if (!backward) {
        AIM_NAMED(kt_add_output)(p, "tq", a->tq, sizeof(real), span, c, CANCELLED);
        return;
    }
    AIM_NAMED(kt_add_output)(p, "tgy", a->tgy, sizeof(real), span, a->ldtgy, CANCELLED);
    if (old)
        AIM_NAMED(kt_add_output)(p, "tgq_old", a->tgq_old, sizeof(real), span, c, CANCELLED);
}

static void build_charge_fwd(kt_problem *p, int size)
{
    build_charge(p, size, 0);
}
static void build_charge_bwd(kt_problem *p, int size)
{
    build_charge(p, size, 1);
}

const kt_case AIM_NAMED(kt_tan_cases)[] = {
    {"pair_features_tan", PAIR_SIZES, build_features},
    {"pair_gather_tan", PAIR_SIZES, build_gather},
    {"pair_strain_tan", PAIR_SIZES, build_strain},
    {"linear_fwd_tan", LAYER_SIZES, build_layer_fwd},
    {"linear_bwd_tan", LAYER_SIZES, build_layer_bwd},
    {"linear_weight_tan", LAYER_SIZES, build_weight},
    {"charge_eq_fwd_tan", CHARGE_SIZES, build_charge_fwd},
    {"charge_eq_bwd_tan", CHARGE_SIZES, build_charge_bwd},
    {NULL, 0, NULL},
};
