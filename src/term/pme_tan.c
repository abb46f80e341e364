/* SPDX-License-Identifier: MIT */
/* pme_tan.c - directional derivatives of the mesh energy of pme.c (docs/math/tangents.md).
 *
 * Under x -> x + eps (tx + x W), cell -> cell (1 + eps W) the mesh coordinates change by tu_d =
 * K_d (tx inverse)_d alone; k changes by -W k, the volume by its trace times tr W, alpha and the
 * mesh stay. With M the product of an atom's splines, B = 1/k^2 + 1/4a^2 and S = FFT(Q):
 *
 *     tQ     = sum_i tq_i M + q_i tu_i . dM,     tS = FFT(tQ),     tG = G (2 k W k B - tr W)
 *     tphi   = FFT^-1(G tS + tG S)
 *     tgq_i  = sum tphi M + tu_i . sum phi dM
 *     tg_i   = J [tq_i sum phi dM + q_i (sum tphi dM + (sum phi ddM) tu_i)] - W g_i,
 *     J_cd   = K_d inverse_cd
 *
 * The sums with phi belong to an atom and are computed once; a direction costs what an energy with
 * forces costs, twice the spreading. So a product with the Hessian is O(N log N), and it is the
 * derivative of PME's forces to rounding at every accuracy. */
#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "term/pme.h"
#include "term/rows.h"
#include "term/screened.h"

enum { LANES = AIM_MESH_LANES, MOMENTS = 10, SUMS = 7 };

/* of the moments: sum phi M, phi dM, phi ddM (xx yy zz xy xz yz) */
enum { VALUE = 0, FIRST = 1, SECOND = 4 };

typedef struct pme_tan {
    aim_pme m; /* first: aim_pme_potential_task takes the address */
    const aim_term_tan *tan;
    int32_t system;
    int dir, waves;  /* waves: S is kept */
    double *dw;      /* [n rounded up][3][padded] derivatives of the splines of the sorted atoms */
    double *g;       /* [K1][K0][columns] G */
    double *s;       /* [K1][K0][2][columns] S, or NULL */
    double *moment;  /* [n][MOMENTS] */
    double *tq, *tu; /* [n], [n][3] of the direction */
    double *plane_sums; /* [K1][SUMS] */
} pme_tan;

static void layout(pme_tan *c, aim_arena *a)
{
    const int *k = c->m.params.mesh;
    const size_t n = (size_t)c->m.n, rounded = (n + LANES - 1) / LANES * LANES,
                 half = (size_t)k[0] * (size_t)k[1] * (size_t)c->m.columns;
    aim_pme_layout(&c->m, a);
    c->dw = aim_take(a, "pme.dw", 3 * rounded * (size_t)c->m.padded, sizeof(double));
    c->g = aim_take(a, "pme.g", half, sizeof(double));
    c->s = c->waves ? aim_take(a, "pme.s", 2 * half, sizeof(double)) : NULL;
    c->moment = aim_take(a, "pme.moment", MOMENTS * n, sizeof(double));
    c->tq = aim_take(a, "pme.tq", n, sizeof(double));
    c->tu = aim_take(a, "pme.tu", 3 * n, sizeof(double));
    c->plane_sums = aim_take(a, "pme.plane_sums", SUMS * (size_t)k[1], sizeof(double));
}

/* ---------------------------------------------------------------- waves */

static double folded(int m, int n)
{
    return 2 * m > n ? m - n : m;
}

static void wave_vector(const aim_mesh_waves *w, int m0, int m1, int m2, double k[3])
{
    const double m[3] = {folded(m0, w->n[0]), folded(m1, w->n[1]), m2};
    for (int x = 0; x < 3; x++)
        k[x] = m[0] * w->b[x] + m[1] * w->b[3 + x] + m[2] * w->b[6 + x];
}

/* G of the waves of row m1. */
static void fill_g(const pme_tan *c, int m1)
{
    const aim_mesh_waves *w = &c->m.waves;
    for (int m0 = 0; m0 < w->n[0]; m0++) {
        double *g = c->g + ((size_t)m1 * (size_t)w->n[0] + (size_t)m0) * (size_t)c->m.columns;
        const double factor = w->prefactor * w->modulus[0][m0] * w->modulus[1][m1];
        for (int m2 = 0; m2 < c->m.columns; m2++) {
            double k[3];
            wave_vector(w, m0, m1, m2, k);
            const double k2 = aim_dot3(k, k);
            g[m2] = k2 > 0.0 && w->weight[m2] > 0.0
                        ? factor * w->modulus[2][m2] * exp(-k2 * w->quarter) / k2
                        : 0.0;
        }
    }
}

/* One row of waves, its columns of all planes: transformed along the first axis in place. */
static void transform_row(const pme_tan *c, int m1, int inverse, int worker)
{
    const aim_pme *m = &c->m;
    double *plane, *work = aim_pme_work(m, worker, &plane),
                   *re = m->mesh + (size_t)m1 * (size_t)m->columns,
                   *im = re + (size_t)m->params.mesh[1] * (size_t)m->columns;
    m->kernels->fft_columns(&m->plan[0], inverse, re, im, m->plane, m->columns, re, im, m->plane,
                            work);
}

/* x = G x for the columns of wave row (m0, m1), which stand at re and im. */
static void multiply(const double *g, int columns, double *re, double *im)
{
    for (int m2 = 0; m2 < columns; m2++) {
        re[m2] *= g[m2];
        im[m2] *= g[m2];
    }
}

static void primal_wave_task(void *ctx, int64_t m1, int worker)
{
    pme_tan *c = ctx;
    const aim_pme *m = &c->m;
    const size_t columns = (size_t)m->columns, half = (size_t)m->params.mesh[1] * columns,
                 n0 = (size_t)m->params.mesh[0];
    fill_g(c, (int)m1);
    transform_row(c, (int)m1, 0, worker);
    for (size_t m0 = 0; m0 < n0; m0++) {
        double *re = m->mesh + m0 * m->plane + (size_t)m1 * columns, *im = re + half;
        const size_t at = ((size_t)m1 * n0 + m0) * columns;
        if (c->s) {
            memcpy(c->s + 2 * at, re, columns * sizeof *re);
            memcpy(c->s + 2 * at + columns, im, columns * sizeof *im);
        }
        multiply(c->g + at, m->columns, re, im);
    }
    transform_row(c, (int)m1, 1, worker);
}

static const double *direction_strain(const pme_tan *c)
{
    const size_t systems = (size_t)c->m.io->batch->n_systems;
    return c->tan->w ? c->tan->w + 9 * ((size_t)c->dir * systems + (size_t)c->system) : NULL;
}

/* Adds one wave's part to the tangents of energy and strain: E (2 k k B - 1). */
static void add_wave(const pme_tan *c, const double *w, const double k[3], double e, double te,
                     double sum[SUMS])
{
    static const int row[6] = {0, 1, 2, 0, 0, 1}, column[6] = {0, 1, 2, 1, 2, 2};
    const double k2 = aim_dot3(k, k), b = 1.0 / k2 + c->m.waves.quarter;
    double tk[3] = {0};
    for (int x = 0; w && x < 3; x++)
        tk[x] = -aim_dot3(w + 3 * x, k);
    const double tb = -2.0 * aim_dot3(k, tk) / (k2 * k2);
    sum[0] += te;
    for (int x = 0; x < 6; x++) {
        const int p = row[x], q = column[x];
        sum[1 + x] += 2.0 * (te * b + e * tb) * k[p] * k[q] +
                      2.0 * e * b * (tk[p] * k[q] + k[p] * tk[q]) - (p == q ? te : 0.0);
    }
}

/* tS -> G tS + tG S, with the sums of energy and strain. */
static void strained_row(const pme_tan *c, int m0, int m1, double *re, double *im, double sum[SUMS])
{
    const aim_mesh_waves *waves = &c->m.waves;
    const double *w = direction_strain(c), trace = w ? w[0] + w[4] + w[8] : 0.0;
    const size_t columns = (size_t)c->m.columns,
                 at = ((size_t)m1 * (size_t)waves->n[0] + (size_t)m0) * columns;
    const double *g = c->g + at, *sre = c->s + 2 * at, *sim = sre + columns;
    for (int m2 = 0; m2 < c->m.columns; m2++) {
        double k[3], wk[3] = {0};
        if (g[m2] == 0.0) {
            re[m2] = im[m2] = 0.0;
            continue;
        }
        wave_vector(waves, m0, m1, m2, k);
        if (w)
            aim_vecmat3(k, w, wk);
        const double s2 = sre[m2] * sre[m2] + sim[m2] * sim[m2], weight = waves->weight[m2],
                     tg = g[m2] *
                          (2.0 * aim_dot3(wk, k) * (1.0 / aim_dot3(k, k) + waves->quarter) - trace);
        add_wave(c, w, k, 0.5 * weight * g[m2] * s2,
                 weight * (0.5 * tg * s2 + g[m2] * (sre[m2] * re[m2] + sim[m2] * im[m2])), sum);
        re[m2] = g[m2] * re[m2] + tg * sre[m2];
        im[m2] = g[m2] * im[m2] + tg * sim[m2];
    }
}

static void wave_task(void *ctx, int64_t m1, int worker)
{
    pme_tan *c = ctx;
    const aim_pme *m = &c->m;
    const size_t columns = (size_t)m->columns, half = (size_t)m->params.mesh[1] * columns;
    double *sum = c->plane_sums + SUMS * m1;
    memset(sum, 0, SUMS * sizeof *sum);
    transform_row(c, (int)m1, 0, worker);
    for (int m0 = 0; m0 < m->params.mesh[0]; m0++) {
        double *re = m->mesh + (size_t)m0 * m->plane + (size_t)m1 * columns, *im = re + half;
        if (c->s)
            strained_row(c, m0, (int)m1, re, im, sum);
        else
            multiply(c->g + ((size_t)m1 * (size_t)m->params.mesh[0] + (size_t)m0) * columns,
                     m->columns, re, im);
    }
    transform_row(c, (int)m1, 1, worker);
}

static void add_sums(const pme_tan *c)
{
    static const int place[6] = {0, 4, 8, 1, 2, 5};
    const size_t at = (size_t)c->dir * (size_t)c->m.io->batch->n_systems + (size_t)c->system;
    double total[SUMS] = {0};
    for (int m1 = 0; m1 < c->m.params.mesh[1]; m1++)
        for (int k = 0; k < SUMS; k++)
            total[k] += c->plane_sums[SUMS * m1 + k];
    if (c->tan->tenergy)
        c->tan->tenergy[at] += total[0];
    double *strain = c->tan->tstrain ? c->tan->tstrain + 9 * at : NULL;
    for (int k = 0; strain && k < 6; k++) {
        strain[place[k]] += total[1 + k];
        if (k >= 3)
            strain[place[k] % 3 * 3 + place[k] / 3] += total[1 + k];
    }
}

/* ---------------------------------------------------------------- atoms and mesh */

/* tQ of plane o of an atom's tile: (a w1 + b w1') w2 + c w1 w2' */
static void spread_tangent(const pme_tan *c, int32_t at, int o, double *plane)
{
    const aim_pme *m = &c->m;
    const int32_t i = m->sorted[at];
    const int order = m->params.order;
    const size_t padded = (size_t)m->padded;
    const double *w = m->w + 3 * (size_t)at * padded, *dw = c->dw + 3 * (size_t)at * padded,
                 q = m->io->q[m->first + i], *tu = c->tu + 3 * i,
                 a = c->tq[i] * w[o] + q * tu[0] * dw[o], b = q * tu[1] * w[o],
                 third = q * tu[2] * w[o];
    double *tile = aim_pme_tile_start(m, i, plane), wy[AIM_BSPLINE_MAX];
    if (a != 0.0 || b != 0.0) {
        for (int j = 0; j < order; j++)
            wy[j] = a * w[padded + (size_t)j] + b * dw[padded + (size_t)j];
        m->kernels->mesh_spread(order, m->padded, 1.0, wy, w + 2 * padded, tile, m->row);
    }
    if (third != 0.0)
        m->kernels->mesh_spread(order, m->padded, third, w + padded, dw + 2 * padded, tile, m->row);
}

static void charge_task(void *ctx, int64_t x, int worker)
{
    const pme_tan *c = ctx;
    const aim_pme *m = &c->m;
    const int n = m->params.mesh[0];
    double *plane, *fft = aim_pme_work(m, worker, &plane);
    aim_pme_clear_plane(m, plane);
    for (int o = 0; o < m->params.order; o++) {
        const int from = (((int)x - o) % n + n) % n;
        for (int32_t at = m->bin[from]; at < m->bin[from + 1]; at++)
            spread_tangent(c, at, o, plane);
    }
    aim_pme_transform_plane(m, x, plane, fft);
}

/* M_p'' at the points of the spline from the slopes of M_p-1. */
static void second_derivatives(int order, int padded, int n, const double *lower, double *ddw)
{
    for (int k = 0; k < n; k++) {
        const double *x = lower + (size_t)k * (size_t)padded;
        double *y = ddw + (size_t)k * (size_t)padded;
        memset(y, 0, (size_t)padded * sizeof *y);
        y[0] = -x[0];
        for (int j = 1; j < order - 1; j++)
            y[j] = x[j - 1] - x[j];
        y[order - 1] = x[order - 2];
    }
}

/* Values and both derivatives of the potential at one atom: first derivatives along an axis take
 * the place of the values there. */
static void moments_of_tile(const aim_pme *m, aim_mesh_tile *tile, const double *w[3],
                            const double *dw[3], const double *ddw[3], double moment[MOMENTS])
{
    double sum[4];
    for (int d = 0; d < 3; d++) {
        tile->w[d] = w[d];
        tile->dw[d] = dw[d];
    }
    m->kernels->mesh_interpolate(tile, m->mesh, sum);
    memcpy(moment, sum, sizeof sum);
    for (int d = 0; d < 3; d++) {
        tile->w[d] = dw[d];
        tile->dw[d] = ddw[d];
        m->kernels->mesh_interpolate(tile, m->mesh, sum);
        moment[SECOND + d] = sum[1 + d];
        for (int e = d + 1; e < 3; e++)
            moment[SECOND + 2 + d + e] = sum[1 + e];
        tile->w[d] = w[d];
        tile->dw[d] = dw[d];
    }
}

static void moment_task(void *ctx, int64_t block, int worker)
{
    pme_tan *c = ctx;
    const aim_pme *m = &c->m;
    const size_t padded = (size_t)m->padded, size = 3 * LANES * padded;
    double *t = m->work + (size_t)worker * m->work_size, *w = t + 3 * LANES, *lower = w + size,
           *slope = lower + size, *ddw = slope + size,
           *dw = c->dw + (size_t)block * size; /* kept for spreading */
    size_t plane[AIM_BSPLINE_MAX], row[AIM_BSPLINE_MAX];
    aim_pme_block_places(m, block, t);
    m->kernels->mesh_splines(m->params.order, m->padded, t, 3 * LANES, w, dw);
    m->kernels->mesh_splines(m->params.order - 1, m->padded, t, 3 * LANES, lower, slope);
    second_derivatives(m->params.order, m->padded, 3 * LANES, slope, ddw);
    for (int a = 0; a < LANES && block * LANES + a < m->n; a++) {
        const int32_t i = m->sorted[block * LANES + a];
        const double *x[3], *dx[3], *ddx[3];
        aim_mesh_tile tile;
        aim_pme_tile_place(m, i, plane, row, &tile);
        for (int d = 0; d < 3; d++) {
            const size_t at = (3 * (size_t)a + (size_t)d) * padded;
            x[d] = w + at;
            dx[d] = dw + at;
            ddx[d] = ddw + at;
        }
        moments_of_tile(m, &tile, x, dx, ddx, c->moment + MOMENTS * (size_t)i);
    }
}

/* J x */
static void to_cartesian(const aim_pme *m, const double x[3], double out[3])
{
    for (int c = 0; c < 3; c++) {
        out[c] = 0.0;
        for (int d = 0; d < 3; d++)
            out[c] += m->params.mesh[d] * m->inverse[3 * c + d] * x[d];
    }
}

static void add_atom(const pme_tan *c, int32_t i, const double sum[4])
{
    const aim_pme *m = &c->m;
    const aim_term_tan *tan = c->tan;
    const double *p = c->moment + MOMENTS * (size_t)i, *tu = c->tu + 3 * (size_t)i, *s = p + SECOND,
                 *w = direction_strain(c), q = m->io->q[m->first + i];
    const size_t at = (size_t)c->dir * (size_t)m->io->batch->n_atoms + (size_t)(m->first + i);
    if (tan->tgq)
        tan->tgq[at] += sum[0] + aim_dot3(tu, p + FIRST);
    if (!tan->tgrad)
        return;
    const double turned[3] = {s[0] * tu[0] + s[3] * tu[1] + s[4] * tu[2],
                              s[3] * tu[0] + s[1] * tu[1] + s[5] * tu[2],
                              s[4] * tu[0] + s[5] * tu[1] + s[2] * tu[2]};
    double x[3], tg[3], g[3];
    for (int d = 0; d < 3; d++)
        x[d] = c->tq[i] * p[FIRST + d] + q * (sum[1 + d] + turned[d]);
    to_cartesian(m, x, tg);
    to_cartesian(m, p + FIRST, g);
    for (int d = 0; d < 3; d++)
        tan->tgrad[3 * at + (size_t)d] += tg[d] - (w ? q * aim_dot3(w + 3 * d, g) : 0.0);
}

static void atom_task(void *ctx, int64_t block, int worker)
{
    const pme_tan *c = ctx;
    const aim_pme *m = &c->m;
    const size_t padded = (size_t)m->padded;
    size_t plane[AIM_BSPLINE_MAX], row[AIM_BSPLINE_MAX];
    (void)worker;
    for (int a = 0; a < LANES && block * LANES + a < m->n; a++) {
        const int64_t at = block * LANES + a;
        aim_mesh_tile tile;
        double sum[4];
        aim_pme_tile_place(m, m->sorted[at], plane, row, &tile);
        for (int d = 0; d < 3; d++) {
            tile.w[d] = m->w + (3 * (size_t)at + (size_t)d) * padded;
            tile.dw[d] = c->dw + (3 * (size_t)at + (size_t)d) * padded;
        }
        m->kernels->mesh_interpolate(&tile, m->mesh, sum);
        add_atom(c, m->sorted[at], sum);
    }
}

/* ---------------------------------------------------------------- flow */

static void set_direction(pme_tan *c, int dir)
{
    const aim_pme *m = &c->m;
    c->dir = dir;
    for (int32_t i = 0; i < m->n; i++) {
        const size_t at = (size_t)dir * (size_t)m->io->batch->n_atoms + (size_t)(m->first + i);
        double *tu = c->tu + 3 * (size_t)i;
        c->tq[i] = c->tan->tq ? c->tan->tq[at] : 0.0;
        memset(tu, 0, 3 * sizeof *tu);
        if (c->tan->tx)
            aim_vecmat3(c->tan->tx + 3 * at, m->inverse, tu);
        for (int d = 0; d < 3; d++)
            tu[d] *= m->params.mesh[d];
    }
}

static aim_status reciprocal(aim_term_io *io, const aim_term_tan *tan, int32_t s, double accuracy)
{
    pme_tan c = {.tan = tan, .system = s, .waves = tan->w || tan->tenergy || tan->tstrain};
    aim_pme *m = &c.m;
    aim_pme_begin(m, io, s, accuracy);
    aim_arena measure = {0};
    layout(&c, &measure);
    AIM_TRY(aim_pme_reserve(m, &measure));
    layout(&c, io->scratch);
    aim_pme_start(m);
    const int64_t blocks = ((int64_t)m->n + LANES - 1) / LANES;
    aim_parallel_for(io->team, m->params.mesh[0], aim_pme_charge_task, m);
    aim_parallel_for(io->team, m->params.mesh[1], primal_wave_task, &c);
    aim_parallel_for(io->team, m->params.mesh[0], aim_pme_potential_task, m);
    aim_parallel_for(io->team, blocks, moment_task, &c);
    for (int d = 0; d < tan->n_dir; d++) {
        set_direction(&c, d);
        aim_parallel_for(io->team, m->params.mesh[0], charge_task, &c);
        aim_parallel_for(io->team, m->params.mesh[1], wave_task, &c);
        if (tan->tenergy || tan->tstrain)
            add_sums(&c);
        if (!tan->tgq && !tan->tgrad)
            continue;
        aim_parallel_for(io->team, m->params.mesh[0], aim_pme_potential_task, m);
        aim_parallel_for(io->team, blocks, atom_task, &c);
    }
    aim_term_background_tan(io, tan, s, m->params.alpha);
    return AIMNET_OK;
}

aim_status aim_term_coulomb_pme_tan(aim_term_io *io, const aim_term_tan *tan, double accuracy)
{
    if (!(accuracy > 0 && accuracy < 1))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "PME accuracy %g: expected a number between 0 and 1, for example 1e-6",
                        accuracy);
    AIM_TRY(aim_term_coulomb_screened_tan(io, tan, aim_pme_splitting, accuracy));
    for (int32_t s = 0; s < io->batch->n_systems; s++)
        if (aim_rows_active(io, s))
            AIM_TRY(reciprocal(io, tan, s, accuracy));
    return AIMNET_OK;
}
