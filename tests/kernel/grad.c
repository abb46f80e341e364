/* SPDX-License-Identifier: MIT */
/* grad.c - mode grad: adjoints against finite differences of the forward kernels, in double.
 *
 * Convolution: E = sum gxs xs + gxv xv of random adjoints as a function of the positions, the
 * strain and the features, through pair_features, conv_*_fwd, conv_project_bwd, conv_*_bwd_pair,
 * conv_*_bwd_feature, pair_gather and pair_strain: one chain covers seven kernels.
 * Dense layers: E = sum gy y over inputs and biases.
 * Charge equilibration: E = sum gq q over raw charges, flexibilities and old charges.
 *
 * The derivative is (8 (f(h) - f(-h)) - f(2h) + f(-2h)) / 12 h with h = 5e-4 of variables of size
 * one; truncation h^4 f'''''/30 and rounding 1e-16 f/h stay below 1e-9 of the largest component. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernel_test.h"
#include "problem.h"

static const double STEP = 5e-4, TOLERANCE = 1e-8;

typedef double (*energy_fn)(void *ctx);

static double derivative(energy_fn energy, void *ctx, double *x)
{
    const double old = *x, steps[4] = {STEP, -STEP, 2 * STEP, -2 * STEP};
    double f[4];
    for (int k = 0; k < 4; k++) {
        *x = old + steps[k];
        f[k] = energy(ctx);
    }
    *x = old;
    return (8.0 * (f[0] - f[1]) - (f[2] - f[3])) / (12.0 * STEP);
}

/* Compares analytic[e] with the derivative by x[e]; returns 0 or 1 and says how well it went. */
static int compare(const char *isa, const char *what, energy_fn energy, void *ctx, double *x,
                   const double *analytic, size_t n)
{
    double worst = 0, size = 1e-30;
    for (size_t e = 0; e < n; e++) {
        const double error = fabs(derivative(energy, ctx, x + e) - analytic[e]);
        worst = error > worst || isnan(error) ? error : worst;
        size = fmax(size, fabs(analytic[e]));
    }
    const int bad = !(worst <= TOLERANCE * size);
    printf("%-4s %-6s grad %-52s %5zu components, error %.1e of %.1e\n", bad ? "FAIL" : "ok", isa,
           what, n, worst, size);
    return bad;
}

/* ---------------------------------------------------------------- convolution */

typedef void (*conv_fn)(const aim_conv_args *, int64_t, int64_t);

typedef struct chain {
    kt_problem *p;
    kt_geometry g;
    aim_pair_features_args features;
    aim_conv_args conv;
    conv_fn fwd, bwd_pair, bwd_feature; /* bwd_feature NULL: the embedding is a constant */
    double strain[9];                   /* applied to positions and cell: x (1 + e) */
    double *coord, *cell;               /* unstrained */
    size_t width;
    const double *gx;
} chain;

static void apply_strain(const chain *c, const double *from, double *to, size_t rows)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t b = 0; b < 3; b++) {
            to[3 * r + b] = from[3 * r + b];
            for (size_t a = 0; a < 3; a++)
                to[3 * r + b] += from[3 * r + a] * c->strain[3 * a + b];
        }
}

static double chain_energy(void *ctx)
{
    chain *c = ctx;
    const int64_t n = c->g.n_atoms;
    apply_strain(c, c->coord, c->g.coord, (size_t)n);
    apply_strain(c, c->cell, c->g.cell, (size_t)(3 * c->g.n_systems));
    c->p->k->pair_features(&c->features, 0, n);
    c->fwd(&c->conv, 0, n);
    double e = 0;
    for (size_t i = 0; i < (size_t)n * c->width; i++)
        e += c->gx[i] * c->conv.xs[i];
    return e;
}

static void chain_shapes(chain *c, int nf, int nshifts, int ncomb, int plain)
{
    kt_problem *p = c->p;
    const int gp = (nshifts + AIM_LANES - 1) / AIM_LANES * AIM_LANES,
              hp = (ncomb + AIM_LANES - 1) / AIM_LANES * AIM_LANES;
    const size_t n = (size_t)c->g.n_atoms, pairs = (size_t)c->g.row[n], feature = (size_t)(nf * gp);
    double *shifts = kt_doubles_f64(p, (size_t)gp),
           *agh = kt_block_f64(p, feature * (size_t)hp, sizeof *agh);
    double *agh_t = kt_block_f64(p, feature * (size_t)hp, sizeof *agh);
    for (int s = 0; s < nshifts; s++)
        shifts[s] = 0.8 + 0.6 * s;
    for (int f = 0; f < nf; f++)
        for (int g = 0; g < nshifts; g++)
            for (int h = 0; h < ncomb; h++)
                agh[(f * gp + g) * hp + h] = agh_t[(f * hp + h) * gp + g] = kt_uniform_f64(p);
    c->features = (aim_pair_features_args){.coord = c->g.coord,
                                           .cell = c->g.cell,
                                           .system = c->g.system,
                                           .row = c->g.row,
                                           .j = c->g.j,
                                           .shift = (const int32_t(*)[3])c->g.shift,
                                           .nshifts = nshifts,
                                           .gp = gp,
                                           .rc = 5.0,
                                           .eta = 2.0,
                                           .shifts = shifts,
                                           .u = kt_doubles_f64(p, 4 * pairs),
                                           .gs = kt_doubles_f64(p, pairs * (size_t)gp),
                                           .dgs = kt_doubles_f64(p, pairs * (size_t)gp)};
    c->width = feature + (size_t)(nf * ncomb);
    double *x = kt_block_f64(p, n * c->width, sizeof *x);
    int32_t *species = kt_block_f64(p, n, sizeof *species);
    for (size_t i = 0; i < n; i++)
        species[i] = kt_below_f64(p, 3);
    const size_t lda = plain ? (size_t)nf : feature;
    c->conv = (aim_conv_args){
        .row = c->g.row,
        .j = c->g.j,
        .u = c->features.u,
        .gs = c->features.gs,
        .dgs = c->features.dgs,
        .nf = nf,
        .gp = gp,
        .ncomb = ncomb,
        .agh = agh,
        .agh_t = agh_t,
        .hp = hp,
        .a = kt_doubles_f64(p, n * lda),
        .lda = lda,
        .emb = kt_doubles_f64(p, 3 * feature),
        .species = species,
        .n_species = 3,
        .xs = x,
        .xv = x + feature,
        .ldx = c->width,
        .v = kt_doubles_f64(p, n * (size_t)(3 * nf * hp)),
        .gs_adj = kt_doubles_f64(p, n * 4 * feature),
        .gr = kt_block_f64(p, 3 * pairs, sizeof(double)),
        .ga = kt_block_f64(p, n * lda, sizeof(double)),
        .ldga = lda,
        .scratch = kt_block_f64(p, aim_conv_scratch(gp, nf, 3, (int64_t)pairs), sizeof(double))};
    double *gx = kt_doubles_f64(p, n * c->width);
    c->conv.gxs = c->gx = gx;
    c->conv.gxv = gx + feature;
    c->conv.ldgx = c->width;
}

static int chain_grad(const aim_kernels *k, const char *kind, conv_fn fwd, conv_fn bwd_pair,
                      conv_fn bwd_feature, int nf, int plain)
{
    char what[96];
    kt_problem p;
    int failures = 0;
    kt_open_f64(&p, k, 77);
    chain c = {.p = &p,
               .g = kt_geometry_make_f64(&p, 7, 5.0, 1),
               .fwd = fwd,
               .bwd_pair = bwd_pair,
               .bwd_feature = bwd_feature};
    const int64_t n = c.g.n_atoms;
    c.coord = kt_block_f64(&p, (size_t)n * 3, sizeof(double));
    c.cell = kt_block_f64(&p, 27, sizeof(double));
    memcpy(c.coord, c.g.coord, (size_t)n * 3 * sizeof(double));
    memcpy(c.cell, c.g.cell, 27 * sizeof(double));
    chain_shapes(&c, nf, 7, 5, plain);
    chain_energy(&c);
    k->conv_project_bwd(&c.conv, 0, n);
    bwd_pair(&c.conv, 0, n);
    if (bwd_feature)
        bwd_feature(&c.conv, 0, n);
    double *grad = kt_block_f64(&p, (size_t)n * 3, sizeof(double)), strain[27] = {0}, sum[9];
    const aim_gather_args gather = {.coord = c.g.coord,
                                    .cell = c.g.cell,
                                    .system = c.g.system,
                                    .offset = c.g.offset,
                                    .row = c.g.row,
                                    .reverse = c.g.reverse,
                                    .j = c.g.j,
                                    .shift = (const int32_t(*)[3])c.g.shift,
                                    .gr = c.conv.gr,
                                    .grad = grad,
                                    .strain = strain};
    k->pair_gather(&gather, 0, n);
    k->pair_strain(&gather, 0, c.g.n_systems);
    for (int e = 0; e < 9; e++)
        sum[e] = strain[e] + strain[9 + e] + strain[18 + e];
    snprintf(what, sizeof what, "%s F %d by positions", kind, nf);
    failures += compare(k->isa, what, chain_energy, &c, c.coord, grad, (size_t)n * 3);
    snprintf(what, sizeof what, "%s F %d by strain", kind, nf);
    failures += compare(k->isa, what, chain_energy, &c, c.strain, sum, 9);
    snprintf(what, sizeof what, "%s F %d by features", kind, nf);
    if (bwd_feature)
        failures += compare(k->isa, what, chain_energy, &c, (double *)c.conv.a, c.conv.ga,
                            (size_t)n * c.conv.lda);
    kt_close_f64(&p);
    return failures;
}

/* ---------------------------------------------------------------- dense layers */

typedef struct layer {
    const aim_kernels *k;
    aim_linear_args args;
    const double *gy;
    int64_t rows;
} layer;

static double layer_energy(void *ctx)
{
    layer *l = ctx;
    l->k->linear_fwd(&l->args, 0, l->rows);
    double e = 0;
    for (size_t i = 0; i < (size_t)l->rows * l->args.ldy; i++)
        e += l->gy[i] * l->args.y[i];
    return e;
}

enum { ROWS = 7, IN = 37, COLUMNS = 32, IN_PADDED = 64 };

static int layer_grad(const aim_kernels *k, int gelu)
{
    kt_problem p;
    kt_open_f64(&p, k, 5);
    double *dense = kt_doubles_f64(&p, COLUMNS * IN_PADDED),
           *fwd = kt_block_f64(&p, COLUMNS * IN_PADDED, sizeof *fwd);
    double *bwd = kt_block_f64(&p, COLUMNS * IN_PADDED, sizeof *bwd),
           *x = kt_doubles_f64(&p, ROWS * IN_PADDED);
    double *bias = kt_doubles_f64(&p, ROWS * COLUMNS), *gy = kt_doubles_f64(&p, ROWS * COLUMNS),
           *gx = kt_doubles_f64(&p, ROWS * IN_PADDED);
    int32_t *bias_row = kt_block_f64(&p, ROWS, sizeof *bias_row);
    for (size_t c = 0; c < COLUMNS; c++)
        memset(dense + c * IN_PADDED + IN, 0, (IN_PADDED - IN) * sizeof *dense);
    for (int r = 0; r < ROWS; r++)
        bias_row[r] = ROWS - 1 - r;
    k->pack(dense, 1, IN_PADDED, IN, COLUMNS, fwd);
    k->pack(dense, IN_PADDED, 1, COLUMNS, IN_PADDED, bwd);
    layer l = {k,
               {.n_in = IN,
                .n_out = COLUMNS,
                .w = fwd,
                .bias = bias,
                .bias_row = bias_row,
                .ldbias = COLUMNS,
                .x = x,
                .ldx = IN_PADDED,
                .y = kt_doubles_f64(&p, ROWS * COLUMNS),
                .ldy = COLUMNS,
                .slope = kt_doubles_f64(&p, ROWS * COLUMNS),
                .ldslope = COLUMNS,
                .gelu = gelu},
               gy,
               ROWS};
    layer_energy(&l);
    double *adjoint = kt_block_f64(&p, ROWS * COLUMNS, sizeof *adjoint),
           *by_bias = kt_block_f64(&p, ROWS * COLUMNS, sizeof *by_bias);
    memcpy(adjoint, gy, ROWS * COLUMNS * sizeof *gy);
    const aim_linear_args back = {.n_in = IN_PADDED,
                                  .n_out = COLUMNS,
                                  .w = bwd,
                                  .y = adjoint,
                                  .ldy = COLUMNS,
                                  .slope = gelu ? l.args.slope : NULL,
                                  .ldslope = COLUMNS,
                                  .gx = gx,
                                  .ldgx = IN_PADDED};
    k->linear_bwd(&back, 0, ROWS);
    for (size_t r = 0; r < ROWS; r++)
        memcpy(by_bias + (size_t)bias_row[r] * COLUMNS, adjoint + r * COLUMNS,
               COLUMNS * sizeof *adjoint);
    int failures = compare(k->isa, gelu ? "linear with GELU by input" : "linear by input",
                           layer_energy, &l, x, gx, ROWS * IN_PADDED);
    failures += compare(k->isa, gelu ? "linear with GELU by bias" : "linear by bias", layer_energy,
                        &l, bias, by_bias, ROWS * COLUMNS);
    kt_close_f64(&p);
    return failures;
}

/* ---------------------------------------------------------------- charge equilibration */

typedef struct charges {
    const aim_kernels *k;
    aim_charge_args args;
} charges;

enum { CHARGE_ATOMS = 13, CHARGE_SYSTEMS = 4 };

static double charge_energy(void *ctx)
{
    charges *c = ctx;
    c->k->charge_eq_fwd(&c->args, 0, CHARGE_SYSTEMS);
    double e = 0;
    for (int i = 0; i < CHARGE_ATOMS * c->args.n_channels; i++)
        e += c->args.gq[i] * c->args.q[i];
    return e;
}

static int charge_grad(const aim_kernels *k, int channels)
{
    static const int32_t offset[CHARGE_SYSTEMS + 1] = {0, 5, 5, 6, CHARGE_ATOMS};
    static const double mult[CHARGE_SYSTEMS] = {1, 1, 2, 3};
    kt_problem p;
    kt_open_f64(&p, k, 9);
    const size_t c = (size_t)channels, n = CHARGE_ATOMS * c;
    double *y = kt_doubles_f64(&p, 2 * n), *old = kt_doubles_f64(&p, n),
           *gy = kt_doubles_f64(&p, 2 * n), *gold = kt_block_f64(&p, n, sizeof *gold);
    /* the flexibility of a lone atom is not small here: the epsilon of the sum makes sharp
     * functions of small ones */
    for (size_t i = 0; i < CHARGE_ATOMS; i++)
        for (size_t m = 0; m < c; m++)
            y[2 * c * i + c + m] = 1.0 + 0.5 * y[2 * c * i + c + m];
    charges q = {k,
                 {.offset = offset,
                  .n_channels = channels,
                  .charge = kt_doubles_f64(&p, CHARGE_SYSTEMS),
                  .mult = mult,
                  .epsilon = 1e-6,
                  .y = y,
                  .ldy = 2 * c,
                  .q_old = old,
                  .ldq_old = c,
                  .q = kt_doubles_f64(&p, n),
                  .ldq = c,
                  .gq = kt_doubles_f64(&p, n),
                  .gy = gy,
                  .ldgy = 2 * c,
                  .gq_old = gold}};
    k->charge_eq_bwd(&q.args, 0, CHARGE_SYSTEMS);
    const char *const what[2][2] = {
        {"charges, 1 channel, by raw values", "charges, 1 channel, by old charges"},
        {"charges, 2 channels, by raw values", "charges, 2 channels, by old charges"}};
    int failures = compare(k->isa, what[channels - 1][0], charge_energy, &q, y, gy, 2 * n);
    failures += compare(k->isa, what[channels - 1][1], charge_energy, &q, old, gold, n);
    kt_close_f64(&p);
    return failures;
}

int kt_grad_f64(int isa)
{
    const aim_kernels *k = aim_kernels_open_f64(isa);
    int failures = 0;
    for (int nf = 1; nf <= 9; nf += 4) {
        failures +=
            chain_grad(k, "embedding", k->conv_embed_fwd, k->conv_embed_bwd_pair, NULL, nf, 0);
        failures +=
            chain_grad(k, "features", k->conv_fwd, k->conv_bwd_pair, k->conv_bwd_feature, nf, 0);
        failures += chain_grad(k, "plain features", k->conv_plain_fwd, k->conv_plain_bwd_pair,
                               k->conv_plain_bwd_feature, nf, 1);
    }
    for (int gelu = 0; gelu < 2; gelu++)
        failures += layer_grad(k, gelu);
    for (int channels = 1; channels < 3; channels++)
        failures += charge_grad(k, channels);
    return failures;
}
