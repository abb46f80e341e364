/* SPDX-License-Identifier: MIT */
/* waves.cu - lattice sums over wave vectors: Ewald's (term/ewald.c, docs/math/ewald.md) written out,
 * PME's by mesh.cu; and what a charged cell's neutralising background adds.
 *
 * A warp owns a wave vector and adds its phases over the atoms, then an atom and adds over the
 * vectors: every phase is evaluated from its own angle. For the cells that Ewald sums are chosen for
 * that is less than the network costs. */
#include <math.h>

#include "backend/cuda/ewald.h"
#include "backend/cuda/sums.h"
#include "point/units.h"

enum { THREADS = 256, CHARGE_BLOCKS = 128 };

/* ---------------------------------------------------------------- background, sums */

/* charge[block]: of a stretch of atoms */
__global__ void __launch_bounds__(THREADS) sum_charge(const cu_wave_system w, double *charge)
{
    const int each = (w.n + CHARGE_BLOCKS - 1) / CHARGE_BLOCKS, from = blockIdx.x * each,
              to = min(from + each, w.n);
    double q = 0;
    for (int i = from + threadIdx.x; i < to; i += THREADS)
        q += w.q[w.first + i];
    q = cu_block_sum<THREADS>(q);
    if (threadIdx.x == 0)
        charge[blockIdx.x] = q;
}

/* -pi k_e Q^2 / (2 V a^2): its energy is half of c Q, its dE/dq c Q. prefactor = 4 pi k_e / V. */
static __device__ double background(const cu_wave_system &w, const double *charge, double *total)
{
    double q = 0;
    for (int k = 0; k < CHARGE_BLOCKS; k++)
        q += charge[k];
    *total = q;
    return -0.25 * w.prefactor / (w.alpha * w.alpha) * q;
}

__global__ void __launch_bounds__(THREADS)
    add_system(const cu_wave_system w, int n_blocks, const double *charge)
{
    double sum[CU_WAVE_SUMS] = {}, total;
    for (int b = threadIdx.x; b < n_blocks; b += THREADS)
        for (int k = 0; k < CU_WAVE_SUMS; k++)
            sum[k] += w.sums[(size_t)b * CU_WAVE_SUMS + k];
    for (int k = 0; k < CU_WAVE_SUMS; k++)
        sum[k] = cu_block_sum<THREADS>(sum[k]);
    if (threadIdx.x)
        return;
    const double half = 0.5 * background(w, charge, &total) * total, all = sum[0] + half;
    w.e[w.first] += all;
    if (!w.virial)
        return;
    const int place[6] = {0, 4, 8, 1, 2, 5};
    double *v = w.virial + 9 * (size_t)w.first;
    for (int k = 0; k < 6; k++) {
        v[place[k]] += sum[1 + k] - (k < 3 ? all : 0.0);
        if (k >= 3)
            v[place[k] % 3 * 3 + place[k] / 3] += sum[1 + k];
    }
}

__global__ void __launch_bounds__(THREADS) add_background(const cu_wave_system w,
                                                          const double *charge)
{
    __shared__ double shared;
    double total;
    if (threadIdx.x == 0)
        shared = background(w, charge, &total);
    __syncthreads();
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < w.n)
        w.gq[w.first + i] += shared;
}

void cu_waves_finish(cu_state *s, cudaStream_t stream, const cu_wave_system *w, int n_blocks)
{
    double *charge = w->sums + CU_WAVE_BLOCKS * CU_WAVE_SUMS;
    sum_charge<<<CHARGE_BLOCKS, THREADS, 0, stream>>>(*w, charge);
    add_system<<<1, THREADS, 0, stream>>>(*w, n_blocks, charge);
    if (w->want_grad)
        add_background<<<(w->n + THREADS - 1) / THREADS, THREADS, 0, stream>>>(*w, charge);
    cu_check(s, "the sums of waves");
}

/* ---------------------------------------------------------------- Ewald */

static cu_ewald make_ewald(const aim_dev_waves *p, int n, char *base)
{
    cu_ewald e = {};
    for (int d = 0; d < 3; d++) {
        const double *a = p->frame + 3 * d,
                     m = p->k_cutoff * sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]) /
                         (2.0 * AIM_PI);
        e.m[d] = (int)m;
    }
    e.waves = (e.m[0] + 1) * (2 * e.m[1] + 1) * (2 * e.m[2] + 1);
    e.n = n;
    e.f = (double2 *)base;
    e.x = (double *)(base + (size_t)e.waves * sizeof(double2));
    return e;
}

size_t cu_ewald_bytes(const aim_dev_waves *p, int n)
{
    return (size_t)make_ewald(p, n, NULL).waves * sizeof(double2) + 3 * (size_t)n * sizeof(double);
}

__global__ void fractional(const cu_ewald e, const double *coord)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= e.n)
        return;
    const double *r = coord + 3 * (size_t)i;
    for (int d = 0; d < 3; d++) {
        const double f = r[0] * e.inverse[d] + r[1] * e.inverse[3 + d] + r[2] * e.inverse[6 + d];
        e.x[3 * (size_t)i + d] = f - floor(f);
    }
}

__global__ void __launch_bounds__(THREADS) structure(const cu_ewald e, const double *q, double *sums)
{
    const int lane = threadIdx.x % 32;
    double x[CU_WAVE_SUMS] = {};
    for (int at = (blockIdx.x * THREADS + threadIdx.x) / 32; at < e.waves;
         at += gridDim.x * THREADS / 32) {
        int m[3];
        double k[3], k2, re = 0, im = 0, a = 0;
        if (cu_ewald_wave(e, at, m, k, &k2)) {
            for (int i = lane; i < e.n; i += 32) {
                double s, c;
                cu_phase(m, e.x + 3 * (size_t)i, &s, &c);
                re += q[i] * c;
                im += q[i] * s;
            }
            re = cu_warp_sum(re);
            im = cu_warp_sum(im);
            a = exp(-k2 * e.quarter) / k2;
            if (lane == 0)
                cu_add_wave(x, e.prefactor * a * (re * re + im * im), k, k2, e.quarter);
        }
        if (lane == 0)
            e.f[at] = make_double2(a * re, a * im);
    }
    cu_wave_sums(x, sums);
}

/* One warp per atom. */
__global__ void __launch_bounds__(THREADS)
    potential(const cu_ewald e, const double *q, double *grad, double *gq)
{
    const int i = (blockIdx.x * THREADS + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= e.n)
        return;
    double sum[4] = {0, 0, 0, 0};
    const double x[3] = {e.x[3 * (size_t)i], e.x[3 * (size_t)i + 1], e.x[3 * (size_t)i + 2]};
    for (int at = lane; at < e.waves; at += 32) {
        const double2 f = e.f[at];
        int m[3];
        double k[3], k2, s, c;
        if ((f.x == 0.0 && f.y == 0.0) || !cu_ewald_wave(e, at, m, k, &k2))
            continue;
        cu_phase(m, x, &s, &c);
        sum[0] += f.x * c + f.y * s;
        for (int d = 0; d < 3; d++)
            sum[1 + d] += k[d] * (f.y * c - f.x * s);
    }
    for (int k = 0; k < 4; k++)
        sum[k] = cu_warp_sum(sum[k]);
    if (lane)
        return;
    gq[i] += 2.0 * e.prefactor * sum[0];
    for (int d = 0; d < 3; d++)
        grad[3 * (size_t)i + d] += 2.0 * e.prefactor * q[i] * sum[1 + d];
}

cu_ewald cu_ewald_start(cu_state *s, cudaStream_t stream, const aim_dev_waves *p,
                        const cu_wave_system *w, char *space, int *n_blocks)
{
    cu_ewald e = make_ewald(p, w->n, space);
    e.k2_most = p->k_cutoff * p->k_cutoff;
    e.quarter = 0.25 / (w->alpha * w->alpha);
    e.prefactor = w->prefactor;
    for (int k = 0; k < 9; k++)
        e.inverse[k] = w->inverse[k];
    const int blocks = (e.waves + THREADS / 32 - 1) / (THREADS / 32);
    *n_blocks = blocks < CU_WAVE_BLOCKS ? blocks : CU_WAVE_BLOCKS;
    fractional<<<(w->n + THREADS - 1) / THREADS, THREADS, 0, stream>>>(
        e, w->coord + 3 * (size_t)w->first);
    structure<<<*n_blocks, THREADS, 0, stream>>>(e, w->q + w->first, w->sums);
    cu_check(s, "the structure factors");
    return e;
}

static void ewald_sum(cu_state *s, cudaStream_t stream, const aim_dev_waves *p,
                      const cu_wave_system *w, char *space)
{
    int n_blocks;
    const cu_ewald e = cu_ewald_start(s, stream, p, w, space, &n_blocks);
    if (w->want_grad)
        potential<<<(w->n * 32 + THREADS - 1) / THREADS, THREADS, 0, stream>>>(
            e, w->q + w->first, w->grad + 3 * (size_t)w->first, w->gq + w->first);
    cu_waves_finish(s, stream, w, n_blocks);
    cu_check(s, "the Ewald sum");
}

/* ---------------------------------------------------------------- all systems */

enum { SUMS_BYTES = (CU_WAVE_BLOCKS * CU_WAVE_SUMS + CHARGE_BLOCKS) * (int)sizeof(double) };

size_t cu_waves_bytes(const aim_dev_job *job)
{
    size_t most = 0;
    for (int32_t s = 0; job->waves && s < job->n_systems; s++) {
        const int n = job->offset[s + 1] - job->offset[s];
        const aim_dev_waves *p = &job->waves[s];
        const size_t own = p->order ? cu_mesh_bytes(p, n) : cu_ewald_bytes(p, n);
        most = own > most ? own : most;
    }
    return job->waves ? most + SUMS_BYTES : 0;
}

static double invert(const double h[9], double inverse[9])
{
    double cross[3][3], det = 0;
    for (int a = 0; a < 3; a++) {
        const double *b = h + 3 * ((a + 1) % 3), *c = h + 3 * ((a + 2) % 3);
        for (int d = 0; d < 3; d++)
            cross[a][d] = b[(d + 1) % 3] * c[(d + 2) % 3] - b[(d + 2) % 3] * c[(d + 1) % 3];
    }
    for (int d = 0; d < 3; d++)
        det += h[d] * cross[0][d];
    for (int a = 0; a < 3; a++)
        for (int d = 0; d < 3; d++)
            inverse[3 * d + a] = cross[a][d] / det;
    return det;
}

cu_wave_system cu_wave_system_of(const aim_dev_job *job, const struct cu_terms *t, int k, char *space)
{
    const aim_dev_waves *p = &job->waves[k];
    cu_wave_system w = {};
    w.system = k;
    w.first = job->offset[k];
    w.n = job->offset[k + 1] - w.first;
    w.alpha = p->alpha;
    w.prefactor = 4.0 * AIM_PI * AIM_COULOMB_K / fabs(invert(p->frame, w.inverse));
    w.coord = t->coord;
    w.q = t->q;
    w.e = t->e;
    w.grad = t->grad;
    w.gq = t->gq;
    w.virial = t->want_strain ? t->virial : NULL;
    w.sums = (double *)space;
    w.want_grad = t->want_grad;
    return w;
}

void cu_waves(cu_state *s, cudaStream_t stream, const aim_dev_job *job, const struct cu_terms *t,
              char *space)
{
    for (int32_t k = 0; k < job->n_systems; k++) {
        const aim_dev_waves *p = &job->waves[k];
        const cu_wave_system w = cu_wave_system_of(job, t, k, space);
        if (p->order)
            cu_mesh(s, stream, p, &w, space + SUMS_BYTES);
        else
            ewald_sum(s, stream, p, &w, space + SUMS_BYTES);
    }
}
