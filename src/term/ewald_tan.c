/* SPDX-License-Identifier: MIT */
/* ewald_tan.c - directional derivatives of Ewald sums (docs/math/tangents.md).
 *
 * Under x -> x + eps (tx + x W), cell -> cell (1 + eps W) the phase k r changes by k tx alone, k by
 * -W k, the volume by its trace times tr W; the splitting parameter stays. With P = 4 pi k_e/V,
 * F = A S, z = conj(F) exp(i k r), B = 1/k^2 + 1/4a^2 and sums over half of reciprocal space:
 *
 *     tS     = sum (tq + i q k tx) exp(i k r),   t(k^2) = -2 k W k,   tF = A tS - A B t(k^2) S
 *     tgq_i  = 2 P [sum Re conj(tF) exp(i k r) - tx sum k Im z] - tr W gq_i
 *     tg_i   = -2 P [tq_i sum k Im z + q_i (sum k Im conj(tF) exp(i k r) - W sum k Im z
 *              + (sum k k Re z) tx)] - tr W g_i
 *
 * The sums with F belong to an atom and are computed once; a direction costs one pass over atoms
 * and waves for tS and one for the potential of tF, both with the kernels of the energy's kind. */
#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "term/ewald.h"
#include "term/screened.h"

typedef struct ewald_tan {
    aim_ewald e;
    const aim_term_tan *tan;
    int32_t system;
    int dir;
    double prefactor;   /* P, eV A^2 */
    double *fre, *fim;  /* [n_waves] F, then tF */
    double *phi, *k_im; /* [n] sum Re z, [n][3] sum k Im z */
    double *kk_re;      /* [n][6] sum k k Re z: xx yy zz xy xz yz */
    double *tq, *theta; /* [n], [n][3] of the direction */
} ewald_tan;

static void layout(ewald_tan *c, aim_arena *a)
{
    const size_t n = (size_t)c->e.n, waves = (size_t)c->e.n_waves;
    aim_ewald_layout(&c->e, a);
    c->fre = aim_take(a, "ewald.fre", waves, sizeof(double));
    c->fim = aim_take(a, "ewald.fim", waves, sizeof(double));
    c->phi = aim_take(a, "ewald.phi", n, sizeof(double));
    c->k_im = aim_take(a, "ewald.k_im", 3 * n, sizeof(double));
    c->kk_re = aim_take(a, "ewald.kk_re", 6 * n, sizeof(double));
    c->tq = aim_take(a, "ewald.tq", n, sizeof(double));
    c->theta = aim_take(a, "ewald.theta", 3 * n, sizeof(double));
}

static const double *direction_strain(const ewald_tan *c)
{
    const size_t systems = (size_t)c->e.io->batch->n_systems;
    return c->tan->w ? c->tan->w + 9 * ((size_t)c->dir * systems + (size_t)c->system) : NULL;
}

/* Element [dir][first + i] of the directions' arrays over atoms. */
static size_t atom_at(const ewald_tan *c, int64_t i)
{
    return (size_t)c->dir * (size_t)c->e.io->batch->n_atoms + (size_t)(c->e.first + i);
}

/* sum k k Re z from the sums over indices: k = 2 pi inverse m */
static void to_cartesian(const aim_wave_box *b, const double m[6], double k[6])
{
    static const int place[9] = {0, 3, 4, 3, 1, 5, 4, 5, 2};
    static const int row[6] = {0, 1, 2, 0, 0, 1}, column[6] = {0, 1, 2, 1, 2, 2};
    for (int x = 0; x < 6; x++) {
        double sum = 0.0;
        for (int a = 0; a < 3; a++)
            for (int c = 0; c < 3; c++)
                sum += b->inverse[3 * row[x] + a] * b->inverse[3 * column[x] + c] *
                       m[place[3 * a + c]];
        k[x] = 4.0 * AIM_PI * AIM_PI * sum;
    }
}

static void atom_task(void *ctx, int64_t task, int worker)
{
    ewald_tan *c = ctx;
    const aim_ewald *e = &c->e;
    double sum[4], mm[6];
    (void)worker;
    e->kernels->ewald_potential(&e->phases, e->rod, e->n_rods, c->fre, c->fim, (int32_t)task, sum);
    c->phi[task] = sum[0];
    aim_wave_vector(&e->box, sum[1], sum[2], sum[3], c->k_im + 3 * task);
    e->kernels->ewald_curvature(&e->phases, e->rod, e->n_rods, c->fre, c->fim, (int32_t)task, mm);
    to_cartesian(&e->box, mm, c->kk_re + 6 * task);
}

/* -A B t(k^2) of one wave vector */
static double damping_tangent(const ewald_tan *c, const double *w, const double k[3], double a)
{
    double wk[3];
    aim_vecmat3(k, w, wk);
    const double k2 = aim_dot3(k, k), alpha = c->e.box.alpha;
    return 2.0 * a * (1.0 / k2 + 1.0 / (4.0 * alpha * alpha)) * aim_dot3(wk, k);
}

/* tF of one rod. */
static void rod_task(void *ctx, int64_t task, int worker)
{
    ewald_tan *c = ctx;
    const aim_ewald *e = &c->e;
    const aim_ewald_rod *rod = e->rod + task;
    const double *w = direction_strain(c);
    double *re = c->fre + rod->start, *im = c->fim + rod->start;
    (void)worker;
    e->kernels->ewald_structure_tan(&e->phases, c->tq, c->theta, rod, re, im);
    for (int j = 0; j < rod->n; j++) {
        const int64_t at = rod->start + j;
        double k[3], ta = 0.0;
        if (w) {
            aim_wave_vector(&e->box, rod->m1, rod->m2, rod->lo + j, k);
            ta = damping_tangent(c, w, k, e->a[at]);
        }
        re[j] = e->a[at] * re[j] + ta * e->sre[at];
        im[j] = e->a[at] * im[j] + ta * e->sim[at];
    }
    const int64_t end =
        task + 1 < e->n_rods ? e->rod[task + 1].start : e->n_waves; /* padding holds no waves */
    for (int64_t at = rod->start + rod->n; at < end; at++)
        c->fre[at] = c->fim[at] = 0.0;
}

static void output_task(void *ctx, int64_t task, int worker)
{
    ewald_tan *c = ctx;
    const aim_ewald *e = &c->e;
    const aim_term_tan *tan = c->tan;
    const double *w = direction_strain(c), trace = w ? w[0] + w[4] + w[8] : 0.0;
    const double *k_im = c->k_im + 3 * task, *kk = c->kk_re + 6 * task, zero[3] = {0};
    const size_t at = atom_at(c, task);
    const double *tx = tan->tx ? tan->tx + 3 * at : zero;
    double sum[4], moved[3];
    (void)worker;
    e->kernels->ewald_potential(&e->phases, e->rod, e->n_rods, c->fre, c->fim, (int32_t)task, sum);
    if (tan->tgq)
        tan->tgq[at] += 2.0 * c->prefactor * (sum[0] - aim_dot3(tx, k_im) - trace * c->phi[task]);
    if (!tan->tgrad)
        return;
    aim_wave_vector(&e->box, sum[1], sum[2], sum[3], moved);
    const double turned[3] = {kk[0] * tx[0] + kk[3] * tx[1] + kk[4] * tx[2],
                              kk[3] * tx[0] + kk[1] * tx[1] + kk[5] * tx[2],
                              kk[4] * tx[0] + kk[5] * tx[1] + kk[2] * tx[2]};
    for (int x = 0; x < 3; x++) {
        const double wk = w ? aim_dot3(w + 3 * x, k_im) : 0.0;
        tan->tgrad[3 * at + (size_t)x] -=
            2.0 * c->prefactor *
            (c->tq[task] * k_im[x] + e->q[task] * (moved[x] + turned[x] - wk - trace * k_im[x]));
    }
}

/* Adds the tangent of 2 k k B - 1 times the wave's energy. */
static void add_wave_strain(const ewald_tan *c, const double *w, const double k[3], double term,
                            double tterm, double strain[9])
{
    const double k2 = aim_dot3(k, k), alpha = c->e.box.alpha,
                 b = 1.0 / k2 + 1.0 / (4.0 * alpha * alpha);
    double tk[3] = {0};
    for (int x = 0; w && x < 3; x++)
        tk[x] = -aim_dot3(w + 3 * x, k);
    const double tb = -2.0 * aim_dot3(k, tk) / (k2 * k2);
    for (int x = 0; x < 9; x++) {
        const int p = x / 3, q = x % 3;
        strain[x] += 2.0 * (tterm * b + term * tb) * k[p] * k[q] +
                     2.0 * term * b * (tk[p] * k[q] + k[p] * tk[q]) - (p == q ? tterm : 0.0);
    }
}

/* Energy and strain of one direction, waves in order. */
static void sum_waves(const ewald_tan *c)
{
    const aim_ewald *e = &c->e;
    const size_t at = (size_t)c->dir * (size_t)e->io->batch->n_systems + (size_t)c->system;
    const double *w = direction_strain(c), trace = w ? w[0] + w[4] + w[8] : 0.0;
    double total = 0.0, strain[9] = {0};
    for (int64_t r = 0; r < e->n_rods; r++)
        for (int j = 0; j < e->rod[r].n; j++) {
            const int64_t v = e->rod[r].start + j;
            double k[3];
            aim_wave_vector(&e->box, e->rod[r].m1, e->rod[r].m2, e->rod[r].lo + j, k);
            const double s2 = e->sre[v] * e->sre[v] + e->sim[v] * e->sim[v],
                         ta = w ? damping_tangent(c, w, k, e->a[v]) : 0.0,
                         term = c->prefactor * e->a[v] * s2;
            const double tterm =
                c->prefactor * (2.0 * (e->sre[v] * c->fre[v] + e->sim[v] * c->fim[v]) - ta * s2) -
                trace * term;
            total += tterm;
            if (c->tan->tstrain)
                add_wave_strain(c, w, k, term, tterm, strain);
        }
    if (c->tan->tenergy)
        c->tan->tenergy[at] += total;
    for (size_t x = 0; c->tan->tstrain && x < 9; x++)
        c->tan->tstrain[9 * at + x] += strain[x];
}

static void set_direction(ewald_tan *c, int dir)
{
    const aim_ewald *e = &c->e;
    c->dir = dir;
    for (int64_t i = 0; i < e->n; i++) {
        const size_t at = atom_at(c, i);
        double *theta = c->theta + 3 * i;
        c->tq[i] = c->tan->tq ? c->tan->tq[at] : 0.0;
        memset(theta, 0, 3 * sizeof *theta);
        if (c->tan->tx)
            aim_vecmat3(c->tan->tx + 3 * at, e->box.inverse, theta);
        for (int x = 0; x < 3; x++)
            theta[x] *= 2.0 * AIM_PI;
    }
}

static aim_status reciprocal(aim_term_io *io, const aim_term_tan *tan, int32_t s,
                             aim_ewald_params params)
{
    ewald_tan c = {.tan = tan, .system = s};
    aim_ewald *e = &c.e;
    aim_ewald_begin(e, io, s, params);
    aim_arena measure = {0};
    layout(&c, &measure);
    AIM_TRY(aim_ewald_reserve(e, &measure));
    layout(&c, io->scratch);
    aim_ewald_structure(e);
    c.prefactor = 4.0 * AIM_PI * AIM_COULOMB_K / e->box.volume;
    for (int64_t v = 0; v < e->n_waves; v++) {
        c.fre[v] = e->a[v] * e->sre[v];
        c.fim[v] = e->a[v] * e->sim[v];
    }
    aim_parallel_for(io->team, e->n, atom_task, &c);
    for (int d = 0; d < tan->n_dir; d++) {
        set_direction(&c, d);
        aim_parallel_for(io->team, e->n_rods, rod_task, &c);
        if (tan->tgq || tan->tgrad)
            aim_parallel_for(io->team, e->n, output_task, &c);
        if (tan->tenergy || tan->tstrain)
            sum_waves(&c);
    }
    aim_term_background_tan(io, tan, s, params.alpha);
    return AIMNET_OK;
}

aim_status aim_term_coulomb_ewald_tan(aim_term_io *io, const aim_term_tan *tan, double accuracy)
{
    AIM_TRY(aim_ewald_check(accuracy));
    AIM_TRY(aim_term_coulomb_screened_tan(io, tan, aim_ewald_splitting, accuracy));
    for (int32_t s = 0; s < io->batch->n_systems; s++)
        if (!io->active || io->active[s])
            AIM_TRY(reciprocal(io, tan, s, aim_ewald_of_system(io->batch, s, accuracy)));
    return AIMNET_OK;
}
