/* SPDX-License-Identifier: MIT */
/* ewald.c - electrostatics of crystals by Ewald summation (P. P. Ewald, Ann. Phys. 369, 253 (1921);
 * docs/math/ewald.md).
 *
 *     E/k_e = 1/2 sum q_i q_j erfc(a d)/d + 2 pi/V sum_{k != 0} exp(-k^2/4a^2)/k^2 |S_k|^2
 *             - a/sqrt(pi) sum q^2 - pi Q^2/(2 V a^2),      S_k = sum q exp(i k r)
 * with tin-foil boundary; the last term is the neutralising background of a charged cell. The
 * real-space and self parts are the DSF loop with nothing shifted. Wave vectors k = 2 pi inv(cell)
 * m of half a sphere are ordered in rods of consecutive m3. Under strain x -> x (1 + e) at fixed a:
 * dE_k/de_ab = E_k (2 k_a k_b (1/k^2 + 1/4a^2) - delta_ab), background: -delta_ab E.
 * Both sums are cut where their Gaussian falls below accuracy/100, exp(-s^2). */
#include <math.h>
#include <string.h>

#include "backend/isa.h"
#include "base/vec3.h"
#include "term/ewald.h"
#include "term/screened.h"

static const double PI = 3.14159265358979323846;
/* time of one pair over time of one atom and wave vector, both sweeps */
static const double PAIRS_PER_WAVE = 8.0;
enum { PAD = 8, MAX_INDEX = 4096 };

aim_ewald_params aim_ewald_choose(const double cell[9], int32_t n_atoms, double accuracy)
{
    const double volume = fabs(aim_det3(cell)), s = sqrt(-log(0.01 * accuracy));
    const double alpha =
        pow(PI * PI * PI * PAIRS_PER_WAVE * n_atoms / (volume * volume), 1.0 / 6.0);
    return (aim_ewald_params){
        .alpha = alpha, .real_cutoff = s / alpha, .k_cutoff = 2.0 * alpha * s};
}

static aim_wave_box make_box(const double *cell, aim_ewald_params p)
{
    aim_wave_box b = {.k_cutoff = p.k_cutoff, .alpha = p.alpha};
    b.volume = fabs(aim_inverse3(cell, b.inverse));
    for (int d = 0; d < 3; d++) {
        const double m = p.k_cutoff * aim_norm3(cell + 3 * d) / (2.0 * PI);
        b.m[d] = m < MAX_INDEX ? (int)m : MAX_INDEX;
    }
    return b;
}

void aim_wave_vector(const aim_wave_box *b, double m1, double m2, double m3, double k[3])
{
    for (int d = 0; d < 3; d++)
        k[d] = 2.0 * PI *
               (m1 * b->inverse[3 * d] + m2 * b->inverse[3 * d + 1] + m3 * b->inverse[3 * d + 2]);
}

/* The stretch of m3 inside the sphere, for half of reciprocal space; n = 0: none. */
static aim_ewald_rod make_rod(const aim_wave_box *b, int m1, int m2)
{
    double k[3], step[3];
    aim_wave_vector(b, m1, m2, 0, k);
    aim_wave_vector(b, 0, 0, 1, step);
    const double kk = aim_dot3(k, k), ks = aim_dot3(k, step), ss = aim_dot3(step, step);
    const double discriminant = ks * ks - ss * (kk - b->k_cutoff * b->k_cutoff);
    aim_ewald_rod rod = {.m1 = m1, .m2 = m2};
    if (discriminant < 0)
        return rod;
    const double middle = -ks / ss, half = sqrt(discriminant) / ss;
    int lo = (int)ceil(middle - half), hi = (int)floor(middle + half);
    lo = lo < -b->m[2] ? -b->m[2] : lo;
    hi = hi > b->m[2] ? b->m[2] : hi;
    if (m1 == 0 && m2 == 0 && lo < 1)
        lo = 1;
    rod.lo = lo;
    rod.n = hi >= lo ? hi - lo + 1 : 0;
    return rod;
}

/* Lists the rods (out NULL: counts them). */
static int64_t list_rods(const aim_wave_box *b, aim_ewald_rod *out, int64_t *n_waves)
{
    int64_t n = 0;
    *n_waves = 0;
    for (int m1 = 0; m1 <= b->m[0]; m1++)
        for (int m2 = m1 == 0 ? 0 : -b->m[1]; m2 <= b->m[1]; m2++) {
            aim_ewald_rod rod = make_rod(b, m1, m2);
            if (rod.n == 0)
                continue;
            rod.start = *n_waves;
            *n_waves += (rod.n + PAD - 1) / PAD * PAD;
            if (out)
                out[n] = rod;
            n++;
        }
    return n;
}

void aim_ewald_layout(aim_ewald *e, aim_arena *arena)
{
    const size_t n = (size_t)e->n, waves = (size_t)e->n_waves;
    e->re = aim_take(arena, "ewald.re", n * e->phases.stride, sizeof(double));
    e->im = aim_take(arena, "ewald.im", n * e->phases.stride, sizeof(double));
    e->q = aim_take(arena, "ewald.q", n, sizeof(double));
    e->rod = aim_take(arena, "ewald.rods", (size_t)e->n_rods, sizeof *e->rod);
    e->sre = aim_take(arena, "ewald.sre", waves, sizeof(double));
    e->sim = aim_take(arena, "ewald.sim", waves, sizeof(double));
    e->a = aim_take(arena, "ewald.a", waves, sizeof(double));
}

/* exp(2 pi i m f) for all m of one atom and axis, each from its own angle: no recurrence, no growth
 * of errors */
static void phase_task(void *ctx, int64_t task, int worker)
{
    aim_ewald *e = ctx;
    (void)worker;
    const double *x = e->io->batch->coord + 3 * (size_t)(e->first + task);
    double *re = e->re + (size_t)task * e->phases.stride,
           *im = e->im + (size_t)task * e->phases.stride, f[3];
    e->q[task] = e->io->q[e->first + task];
    memset(re, 0, e->phases.stride * sizeof *re);
    memset(im, 0, e->phases.stride * sizeof *im);
    aim_vecmat3(x, e->box.inverse, f);
    for (int d = 0; d < 3; d++) {
        f[d] -= floor(f[d]);
        for (int m = 0; m <= e->box.m[d]; m++) {
            const double turns = m * f[d], angle = 2.0 * PI * (turns - floor(turns));
            const double c = cos(angle), s = sin(angle);
            re[e->phases.zero[d] + m] = re[e->phases.zero[d] - m] = c;
            im[e->phases.zero[d] + m] = s;
            im[e->phases.zero[d] - m] = -s;
        }
    }
}

static void structure_task(void *ctx, int64_t task, int worker)
{
    aim_ewald *e = ctx;
    (void)worker;
    const aim_ewald_rod *rod = &e->rod[task];
    e->kernels->ewald_structure(&e->phases, rod, e->sre + rod->start, e->sim + rod->start);
    for (int j = 0; j < (rod->n + PAD - 1) / PAD * PAD; j++) {
        double k[3];
        aim_wave_vector(&e->box, rod->m1, rod->m2, rod->lo + j, k);
        const double k2 = aim_dot3(k, k);
        e->a[rod->start + j] =
            j < rod->n ? exp(-k2 / (4.0 * e->box.alpha * e->box.alpha)) / k2 : 0.0;
    }
}

/* Energy and strain of the wave vectors in order; leaves F = A S in place of S. */
static double sum_waves(aim_ewald *e, double prefactor, double *strain)
{
    double total = 0, w[9] = {0};
    for (int64_t r = 0; r < e->n_rods; r++)
        for (int j = 0; j < (e->rod[r].n + PAD - 1) / PAD * PAD; j++) {
            const int64_t at = e->rod[r].start + j;
            if (j >= e->rod[r].n) {
                e->sre[at] = e->sim[at] = 0.0;
                continue;
            }
            double k[3];
            const double term =
                prefactor * e->a[at] * (e->sre[at] * e->sre[at] + e->sim[at] * e->sim[at]);
            total += term;
            e->sre[at] *= e->a[at];
            e->sim[at] *= e->a[at];
            if (!strain)
                continue;
            aim_wave_vector(&e->box, e->rod[r].m1, e->rod[r].m2, e->rod[r].lo + j, k);
            const double f =
                2.0 * term * (1.0 / aim_dot3(k, k) + 1.0 / (4.0 * e->box.alpha * e->box.alpha));
            for (int x = 0; x < 9; x++)
                w[x] += f * k[x / 3] * k[x % 3] - (x % 4 == 0 ? term : 0.0);
        }
    for (int x = 0; strain && x < 9; x++)
        strain[x] += w[x];
    return total;
}

static void potential_task(void *ctx, int64_t task, int worker)
{
    const aim_ewald *e = ctx;
    (void)worker;
    const double prefactor = 4.0 * PI * AIM_COULOMB_K / e->box.volume;
    const size_t i = (size_t)(e->first + task);
    double sum[4], g[3];
    e->kernels->ewald_potential(&e->phases, e->rod, e->n_rods, e->sre, e->sim, (int32_t)task, sum);
    if (e->io->gq)
        e->io->gq[i] += 2.0 * prefactor * sum[0];
    if (!e->io->grad)
        return;
    aim_wave_vector(&e->box, sum[1], sum[2], sum[3], g); /* sum of k Im z */
    for (int d = 0; d < 3; d++)
        e->io->grad[3 * i + (size_t)d] -= 2.0 * prefactor * e->q[task] * g[d];
}

void aim_ewald_begin(aim_ewald *e, aim_term_io *io, int32_t s, aim_ewald_params params)
{
    *e = (aim_ewald){.io = io,
                     .kernels = io->kernels ? io->kernels : aim_term_kernels_select(aim_cpu_isa()),
                     .box = make_box(io->batch->cell + 9 * (size_t)s, params),
                     .first = io->batch->offset[s]};
    e->n = io->batch->offset[s + 1] - e->first;
    e->n_rods = list_rods(&e->box, NULL, &e->n_waves);
    int end = 0;
    for (int d = 0; d < 3; d++) {
        e->phases.zero[d] = end + e->box.m[d];
        end += 2 * e->box.m[d] + 1;
    }
    e->phases.stride = (size_t)end + PAD;
}

aim_status aim_ewald_reserve(const aim_ewald *e, const aim_arena *measured)
{
    const int *m = e->box.m;
    if (m[0] >= MAX_INDEX || m[1] >= MAX_INDEX || m[2] >= MAX_INDEX)
        return AIM_FAIL(
            AIMNET_ERR_SYSTEM,
            "the cell is too long or too skewed for an Ewald sum (%d waves or more along "
            "one vector): use an equivalent cell with shorter vectors, PME or DSF",
            MAX_INDEX);
    if (measured->overflow)
        return AIM_FAIL(
            AIMNET_ERR_MEMORY,
            "the Ewald sum of this cell needs too much memory: use DSF or a lower accuracy");
    return aim_arena_reserve(e->io->scratch, e->io->alloc, measured->used, "Ewald workspace");
}

void aim_ewald_structure(aim_ewald *e)
{
    list_rods(&e->box, e->rod, &e->n_waves);
    e->phases.n_atoms = e->n;
    e->phases.re = e->re;
    e->phases.im = e->im;
    e->phases.q = e->q;
    aim_parallel_for(e->io->team, e->n, phase_task, e);
    aim_parallel_for(e->io->team, e->n_rods, structure_task, e);
}

static aim_status reciprocal(aim_term_io *io, int32_t s, aim_ewald_params params)
{
    aim_ewald e;
    aim_ewald_begin(&e, io, s, params);
    aim_arena measure = {0};
    aim_ewald_layout(&e, &measure);
    AIM_TRY(aim_ewald_reserve(&e, &measure));
    aim_ewald_layout(&e, io->scratch);
    aim_ewald_structure(&e);
    double *strain = io->strain ? io->strain + 9 * (size_t)s : NULL;
    const double waves = sum_waves(&e, 4.0 * PI * AIM_COULOMB_K / e.box.volume, strain);
    if (io->gq || io->grad)
        aim_parallel_for(io->team, e.n, potential_task, &e);
    if (io->energy)
        io->energy[s] += waves;
    aim_term_background(io, s, params.alpha);
    return AIMNET_OK;
}

aim_ewald_params aim_ewald_of_system(const aim_batch *b, int32_t s, double accuracy)
{
    return aim_ewald_choose(b->cell + 9 * (size_t)s, b->offset[s + 1] - b->offset[s], accuracy);
}

aim_splitting aim_ewald_splitting(const aim_batch *b, int32_t s, double accuracy)
{
    const aim_ewald_params p = aim_ewald_of_system(b, s, accuracy);
    return (aim_splitting){.alpha = p.alpha, .real_cutoff = p.real_cutoff};
}

aim_status aim_ewald_check(double accuracy)
{
    if (!(accuracy > 0 && accuracy < 1))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "Ewald accuracy %g: expected a number between 0 and 1, for example 1e-8",
                        accuracy);
    return AIMNET_OK;
}

aim_status aim_term_coulomb_ewald(aim_term_io *io, double accuracy)
{
    AIM_TRY(aim_ewald_check(accuracy));
    AIM_TRY(aim_term_coulomb_screened(io, aim_ewald_splitting, accuracy));
    for (int32_t s = 0; s < io->batch->n_systems; s++)
        if (!io->active || io->active[s])
            AIM_TRY(reciprocal(io, s, aim_ewald_of_system(io->batch, s, accuracy)));
    return AIMNET_OK;
}
