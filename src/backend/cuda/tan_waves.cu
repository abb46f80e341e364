/* SPDX-License-Identifier: MIT */
/* tan_waves.cu - directional derivatives of Ewald's waves and of the background (term/ewald_tan.c, with
 * the same letters):
 *
 *     tS     = sum (tq + i q k tx) exp(i k r),     tF = A tS + 2 B (k W k) F
 *     tgq_i  = 2 P [sum Re conj(tF) exp(i k r) - tx sum k Im z - tr W sum Re z]
 *     tg_i   = -2 P [tq_i sum k Im z + q_i (sum k Im conj(tF) exp(i k r) - W sum k Im z
 *              + (sum k k Re z) tx - tr W sum k Im z)],        z = conj(F) exp(i k r)
 *
 * A warp owns a wave, then an atom, and a few directions: a phase is evaluated once for them. */
#include <math.h>

#include "backend/cuda/ewald.h"
#include "backend/cuda/sums.h"
#include "backend/cuda/tan_waves.h"

enum { THREADS = 256, DIRS = 4, KEPT = 10 };
static const double MOST_WAVES = 4194304; /* times directions whose tF are there at once: 64 MB */

/* Of an atom: sum Re z, k Im z, k k Re z (xx yy zz xy xz yz). */
enum { RE = 0, K_IM = 1, KK_RE = 4 };

__global__ void __launch_bounds__(THREADS) keep_atoms(const cu_ewald e, double *kept)
{
    const int i = (blockIdx.x * THREADS + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= e.n)
        return;
    double sum[KEPT] = {};
    const double x[3] = {e.x[3 * (size_t)i], e.x[3 * (size_t)i + 1], e.x[3 * (size_t)i + 2]};
    for (int at = lane; at < e.waves; at += 32) {
        const double2 f = e.f[at];
        int m[3];
        double k[3], k2, s, c;
        if (!cu_ewald_wave(e, at, m, k, &k2))
            continue;
        cu_phase(m, x, &s, &c);
        const double re = f.x * c + f.y * s, im = f.x * s - f.y * c;
        sum[RE] += re;
        for (int d = 0; d < 3; d++) {
            sum[K_IM + d] += k[d] * im;
            sum[KK_RE + d] += k[d] * k[d] * re;
        }
        sum[KK_RE + 3] += k[0] * k[1] * re;
        sum[KK_RE + 4] += k[0] * k[2] * re;
        sum[KK_RE + 5] += k[1] * k[2] * re;
    }
    for (int k = 0; k < KEPT; k++) {
        const double total = cu_warp_sum(sum[k]);
        if (lane == 0)
            kept[KEPT * (size_t)i + k] = total;
    }
}

/* tf [directions][waves] of directions first .. first + n - 1 */
__global__ void __launch_bounds__(THREADS)
    structure_tan(const cu_ewald e, const cu_wave_tan c, int first, int n, double2 *tf)
{
    const int lane = threadIdx.x % 32, d0 = blockIdx.y * DIRS, dirs = min(DIRS, n - d0);
    const double *q = c.of.q + c.of.first;
    for (int at = (blockIdx.x * THREADS + threadIdx.x) / 32; at < e.waves;
         at += gridDim.x * THREADS / 32) {
        int m[3];
        double k[3], k2, re[DIRS] = {}, im[DIRS] = {};
        const int is_wave = cu_ewald_wave(e, at, m, k, &k2);
        for (int i = lane; is_wave && i < e.n; i += 32) {
            double sine, cosine;
            cu_phase(m, e.x + 3 * (size_t)i, &sine, &cosine);
#pragma unroll
            for (int d = 0; d < DIRS; d++)
                if (d < dirs) {
                    const size_t row = (size_t)(first + d0 + d) * c.n + c.of.first + i;
                    const double *tx = c.tx + 3 * row, tq = c.tq[row],
                                 turn = q[i] * (k[0] * tx[0] + k[1] * tx[1] + k[2] * tx[2]);
                    re[d] += tq * cosine - turn * sine;
                    im[d] += tq * sine + turn * cosine;
                }
        }
        const double a = is_wave ? exp(-k2 * e.quarter) / k2 : 0.0;
        const double2 f = e.f[at];
#pragma unroll
        for (int d = 0; d < DIRS; d++) {
            const double x = cu_warp_sum(re[d]), y = cu_warp_sum(im[d]);
            if (lane || d >= dirs)
                continue;
            const double more = is_wave ? 2.0 * (1.0 / k2 + e.quarter) *
                                              cu_stretch(k, cu_strain_of(c, first + d0 + d))
                                        : 0.0;
            tf[(size_t)(d0 + d) * e.waves + at] =
                make_double2(a * x + more * f.x, a * y + more * f.y);
        }
    }
}

static __device__ void add_atom(const cu_ewald &e, const cu_wave_tan &c, int dir, int i,
                                const double *kept, const double sum[4])
{
    const size_t row = (size_t)dir * c.n + c.of.first + i;
    const double *tx = c.tx + 3 * row, *im = kept + K_IM, *kk = kept + KK_RE,
                 *w = cu_strain_of(c, dir), q = c.of.q[c.of.first + i], trace = cu_trace(w);
    const double turned[3] = {kk[0] * tx[0] + kk[3] * tx[1] + kk[4] * tx[2],
                              kk[3] * tx[0] + kk[1] * tx[1] + kk[5] * tx[2],
                              kk[4] * tx[0] + kk[5] * tx[1] + kk[2] * tx[2]};
    c.tgq[row] += 2.0 * e.prefactor *
                  (sum[0] - (tx[0] * im[0] + tx[1] * im[1] + tx[2] * im[2]) - trace * kept[RE]);
    for (int d = 0; d < 3; d++) {
        const double wk =
            w ? w[3 * d] * im[0] + w[3 * d + 1] * im[1] + w[3 * d + 2] * im[2] : 0.0;
        c.tgrad[3 * row + d] -= 2.0 * e.prefactor *
                                (c.tq[row] * im[d] +
                                 q * (sum[1 + d] + turned[d] - wk - trace * im[d]));
    }
}

__global__ void __launch_bounds__(THREADS)
    potential_tan(const cu_ewald e, const cu_wave_tan c, int first, int n, const double2 *tf,
                  const double *kept)
{
    const int i = (blockIdx.x * THREADS + threadIdx.x) / 32, lane = threadIdx.x % 32,
              d0 = blockIdx.y * DIRS, dirs = min(DIRS, n - d0);
    if (i >= e.n)
        return;
    double sum[DIRS][4] = {};
    const double x[3] = {e.x[3 * (size_t)i], e.x[3 * (size_t)i + 1], e.x[3 * (size_t)i + 2]};
    for (int at = lane; at < e.waves; at += 32) {
        int m[3];
        double k[3], k2, sine, cosine;
        if (!cu_ewald_wave(e, at, m, k, &k2))
            continue;
        cu_phase(m, x, &sine, &cosine);
#pragma unroll
        for (int d = 0; d < DIRS; d++)
            if (d < dirs) {
                const double2 f = tf[(size_t)(d0 + d) * e.waves + at];
                const double im = f.x * sine - f.y * cosine;
                sum[d][0] += f.x * cosine + f.y * sine;
                for (int a = 0; a < 3; a++)
                    sum[d][1 + a] += k[a] * im;
            }
    }
#pragma unroll
    for (int d = 0; d < DIRS; d++) {
        for (int k = 0; k < 4; k++)
            sum[d][k] = cu_warp_sum(sum[d][k]);
        if (d < dirs && lane == 0)
            add_atom(e, c, first + d0 + d, i, kept + KEPT * (size_t)i, sum[d]);
    }
}

/* sums [directions][gridDim.x][CU_WAVE_SUMS]; of a wave with |S| = |F|/A */
__global__ void __launch_bounds__(THREADS)
    strain_tan(const cu_ewald e, const cu_wave_tan c, int first, const double2 *tf, double *sums)
{
    const double *w = cu_strain_of(c, first + blockIdx.y), trace = cu_trace(w);
    double x[CU_WAVE_SUMS] = {};
    for (int at = blockIdx.x * THREADS + threadIdx.x; at < e.waves; at += gridDim.x * THREADS) {
        int m[3];
        double k[3], k2;
        if (!cu_ewald_wave(e, at, m, k, &k2))
            continue;
        const double2 f = e.f[at], t = tf[(size_t)blockIdx.y * e.waves + at];
        const double scale = e.prefactor * k2 * exp(k2 * e.quarter),
                     energy = scale * (f.x * f.x + f.y * f.y),
                     te = 2.0 * scale * (f.x * t.x + f.y * t.y) -
                          energy * (2.0 * (1.0 / k2 + e.quarter) * cu_stretch(k, w) + trace);
        cu_add_wave_tan(x, w, k, k2, e.quarter, energy, te);
    }
    cu_wave_sums(x, sums + (size_t)blockIdx.y * gridDim.x * CU_WAVE_SUMS);
}

__global__ void __launch_bounds__(THREADS)
    add_strain(const cu_wave_tan c, int first, int blocks, const double *sums)
{
    double sum[CU_WAVE_SUMS] = {};
    for (int b = threadIdx.x; b < blocks; b += THREADS)
        for (int k = 1; k < CU_WAVE_SUMS; k++)
            sum[k] += sums[((size_t)blockIdx.x * blocks + b) * CU_WAVE_SUMS + k];
    for (int k = 1; k < CU_WAVE_SUMS; k++)
        sum[k] = cu_block_sum<THREADS>(sum[k]);
    if (threadIdx.x)
        return;
    const int place[6] = {0, 4, 8, 1, 2, 5};
    double *v = c.tvirial + 9 * ((size_t)(first + blockIdx.x) * c.n + c.of.first);
    for (int k = 0; k < 6; k++) {
        v[place[k]] += sum[1 + k];
        if (k >= 3)
            v[place[k] % 3 * 3 + place[k] / 3] += sum[1 + k];
    }
}

void cu_wave_tan_finish(cu_state *s, cudaStream_t stream, const cu_wave_tan *c, int first, int n,
                        int blocks, const double *sums)
{
    add_strain<<<n, THREADS, 0, stream>>>(*c, first, blocks, sums);
    cu_check(s, "the strain of waves");
}

/* ---------------------------------------------------------------- background */

/* Of the energy c Q^2 / 2 with c ~ 1/V, a block for a direction. */
__global__ void __launch_bounds__(THREADS) background_tan(const cu_wave_tan c)
{
    const int dir = blockIdx.x;
    const size_t first = (size_t)dir * c.n + c.of.first;
    const double *w = cu_strain_of(c, dir), trace = cu_trace(w),
                 factor = -0.25 * c.of.prefactor / (c.of.alpha * c.of.alpha);
    double q = 0, tq = 0;
    for (int i = threadIdx.x; i < c.of.n; i += THREADS) {
        q += c.of.q[c.of.first + i];
        tq += c.tq[first + i];
    }
    q = cu_block_sum<THREADS>(q);
    tq = cu_block_sum<THREADS>(tq);
    for (int i = threadIdx.x; i < c.of.n; i += THREADS)
        c.tgq[first + i] += factor * (tq - trace * q);
    if (threadIdx.x == 0 && c.tvirial)
        for (int k = 0; k < 9; k += 4)
            c.tvirial[9 * first + k] -= factor * q * (tq - 0.5 * trace * q);
}

/* ---------------------------------------------------------------- one system, all systems */

/* Directions of which tF are there at once. */
static int directions_at_once(int waves, int n_dir)
{
    const int most = (int)(MOST_WAVES / waves) / DIRS * DIRS;
    return most < DIRS ? (n_dir < DIRS ? n_dir : DIRS) : most < n_dir ? most : n_dir;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static int waves_of(const aim_dev_waves *p, int n)
{
    return (int)((cu_ewald_bytes(p, n) - 3 * (size_t)n * sizeof(double)) / sizeof(double2));
}

static size_t ewald_tan_bytes(const aim_dev_waves *p, int n, int n_dir)
{
    const int waves = waves_of(p, n), at_once = directions_at_once(waves, n_dir);
    return rounded(cu_ewald_bytes(p, n)) + rounded(KEPT * (size_t)n * sizeof(double)) +
           rounded((size_t)at_once * CU_WAVE_BLOCKS * CU_WAVE_SUMS * sizeof(double)) +
           (size_t)at_once * (size_t)waves * sizeof(double2);
}

static void ewald_tan(cu_state *s, cudaStream_t stream, const aim_dev_waves *p,
                      const cu_wave_tan *c, char *space)
{
    const int n = c->of.n, at_once = directions_at_once(waves_of(p, n), c->n_dir);
    double *kept = (double *)(space + rounded(cu_ewald_bytes(p, n))),
           *sums = (double *)((char *)kept + rounded(KEPT * (size_t)n * sizeof(double)));
    double2 *tf = (double2 *)((char *)sums + rounded((size_t)at_once * CU_WAVE_BLOCKS *
                                                     CU_WAVE_SUMS * sizeof(double)));
    int blocks;
    const cu_ewald e = cu_ewald_start(s, stream, p, &c->of, space, &blocks);
    const unsigned warps = (unsigned)((n * 32 + THREADS - 1) / THREADS);
    keep_atoms<<<warps, THREADS, 0, stream>>>(e, kept);
    for (int first = 0; first < c->n_dir; first += at_once) {
        const int dirs = c->n_dir - first < at_once ? c->n_dir - first : at_once;
        const unsigned groups = (unsigned)((dirs + DIRS - 1) / DIRS);
        structure_tan<<<dim3((unsigned)blocks, groups), THREADS, 0, stream>>>(e, *c, first, dirs, tf);
        potential_tan<<<dim3(warps, groups), THREADS, 0, stream>>>(e, *c, first, dirs, tf, kept);
        if (!c->tvirial)
            continue;
        strain_tan<<<dim3((unsigned)blocks, (unsigned)dirs), THREADS, 0, stream>>>(e, *c, first, tf,
                                                                                  sums);
        cu_wave_tan_finish(s, stream, c, first, dirs, blocks, sums);
    }
    cu_check(s, "the tangents of an Ewald sum");
}

/* The energy's sums of a system, which nobody reads, stand first. */
enum { SUMS_BYTES = CU_WAVE_BLOCKS * CU_WAVE_SUMS * (int)sizeof(double) };

size_t cu_wave_tan_bytes(const aim_dev_job *job, int n_dir)
{
    size_t most = 0;
    for (int32_t k = 0; job->waves && k < job->n_systems; k++) {
        const int n = job->offset[k + 1] - job->offset[k];
        const aim_dev_waves *p = &job->waves[k];
        const size_t own = p->order ? cu_mesh_tan_bytes(p, n, n_dir) : ewald_tan_bytes(p, n, n_dir);
        most = own > most ? own : most;
    }
    return job->waves ? most + SUMS_BYTES : 0;
}

void cu_wave_tangents(cu_state *s, cudaStream_t stream, const aim_dev_job *job,
                      const struct cu_term_tan *terms, char *space)
{
    for (int32_t k = 0; k < job->n_systems; k++) {
        const aim_dev_waves *p = &job->waves[k];
        cu_wave_tan c = {};
        c.of = cu_wave_system_of(job, &terms->of, k, space);
        c.n = terms->of.n;
        c.systems = terms->systems;
        c.n_dir = terms->n_dir;
        c.tx = terms->tx;
        c.w = terms->w;
        c.tq = terms->tq;
        c.tgrad = terms->tgrad;
        c.tvirial = terms->tvirial;
        c.tgq = terms->tgq;
        if (p->order)
            cu_mesh_tan(s, stream, p, &c, space + SUMS_BYTES);
        else
            ewald_tan(s, stream, p, &c, space + SUMS_BYTES);
        background_tan<<<c.n_dir, THREADS, 0, stream>>>(c);
    }
    cu_check(s, "the tangents of waves");
}
