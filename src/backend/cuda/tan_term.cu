/* SPDX-License-Identifier: MIT */
/* tan_term.cu - directional derivatives of Coulomb energies and D3 on the card (docs/math/tangents.md;
 * term/sweep.c, term/coulomb_tan.c and term/d3_tan.c are the same on the host), pair by pair (tan_term.h).
 *
 * D3 takes three sweeps: coordination numbers; the energy with them as parameter; then, together with
 * Coulomb, the forces through them. Everything is double. */
#include "backend/cuda/tan_term.h"
#include "point/coulomb.h"
#include "point/cutoff.h"
#include "point/d3_damping.h"
#include "point/units.h"

enum { REFS = CU_D3_ROW };

/* Rows of eight numbers that an atom keeps of its references: weight over the sum of weights with two
 * derivatives to the coordination number; exponent; logarithmic derivative of the weight. */
enum { VALUE, FIRST, SECOND, EXPONENT, LOGARITHMIC };

/* ---------------------------------------------------------------- C6 */

static __device__ __forceinline__ radial count_of(const struct cu_terms &t, int i, int j, double d,
                                                  double scale)
{
    const double rcov = t.d3.rcov[t.kind_number[t.kind[i]]] + t.d3.rcov[t.kind_number[t.kind[j]]];
    return radial_in_bohr(aim_d3_count(d * AIM_BOHR_INV, rcov), scale, d);
}

/* What an atom contributes to a pair with each kind of atom: sums over its own references. */
struct kind_row {
    double g[REFS][3], ratio, radius;
    int n;
};

static __device__ __forceinline__ const double *refs_of(const cu_term_tan &c, int i)
{
    return c.refs + (size_t)i * CU_TAN_REFS * REFS;
}

static __device__ void fill_rows(const cu_term_tan &c, int i, kind_row *rows)
{
    const struct cu_terms &t = c.of;
    const int z = t.kind_number[t.kind[i]], fi = t.d3.first[z], ni = t.d3.first[z + 1] - fi;
    const double *own = refs_of(c, i);
    for (int k = threadIdx.x % 32; k < t.kinds * REFS; k += 32) {
        const int b = k % REFS, zj = t.kind_number[k / REFS], fj = t.d3.first[zj],
                  nj = t.d3.first[zj + 1] - fj;
        kind_row *row = &rows[k / REFS];
        double g[3] = {0, 0, 0};
        for (int a = 0; a < ni && b < nj; a++) {
            const double c6 = t.d3.c6[(size_t)(fi + a) * t.d3.n_refs + fj + b];
            for (int m = 0; m < 3; m++)
                g[m] += own[m * REFS + a] * c6;
        }
        for (int m = 0; m < 3; m++)
            row->g[b][m] = g[m];
        if (b == 0) {
            row->n = nj;
            row->ratio = aim_d3_c8_ratio(t.d3.r4r2[z], t.d3.r4r2[zj]);
            row->radius = aim_d3_radius(row->ratio, t.a1, t.a2);
        }
    }
    __syncwarp();
}

/* C6 and its derivatives to both coordination numbers */
struct pair_c6 {
    double v, i, j, ii, ij;
};

/* where pairs of references are dropped */
static __device__ __noinline__ pair_c6 long_way(const cu_term_tan &c, int i, int j)
{
    const struct cu_terms &t = c.of;
    const double *own = refs_of(c, i), *other = refs_of(c, j);
    const int zi = t.kind_number[t.kind[i]], zj = t.kind_number[t.kind[j]], fi = t.d3.first[zi],
              ni = t.d3.first[zi + 1] - fi, fj = t.d3.first[zj], nj = t.d3.first[zj + 1] - fj;
    pair_c6 n = {}, d = {}, r;
    for (int a = 0; a < ni; a++)
        for (int b = 0; b < nj; b++) {
            const double e = own[EXPONENT * REFS + a] + other[EXPONENT * REFS + b];
            if (!(e >= t.d3.weight_floor))
                continue;
            const double c6 = t.d3.c6[(size_t)(fi + a) * t.d3.n_refs + fj + b], w = exp(e),
                         ui = own[LOGARITHMIC * REFS + a], uj = other[LOGARITHMIC * REFS + b],
                         x = w * ui, y = w * uj, xx = x * ui, xy = x * uj;
            d.v += w, d.i += x, d.j += y, d.ii += xx, d.ij += xy;
            n.v += w * c6, n.i += x * c6, n.j += y * c6, n.ii += xx * c6, n.ij += xy * c6;
        }
    const double inv = 1.0 / d.v;
    r.v = n.v * inv;
    r.i = (n.i - r.v * d.i) * inv;
    r.j = (n.j - r.v * d.j) * inv;
    r.ii = (n.ii - 2.0 * r.i * d.i - r.v * d.ii) * inv;
    r.ij = (n.ij - r.i * d.j - r.j * d.i - r.v * d.ij) * inv;
    return r;
}

static __device__ __forceinline__ pair_c6 c6_of(const cu_term_tan &c, const kind_row *rows, int i,
                                                int j)
{
    if (c.low[i] + c.low[j] < c.of.d3.weight_floor)
        return long_way(c, i, j);
    const kind_row &row = rows[c.of.kind[j]];
    const double *other = refs_of(c, j);
    pair_c6 r = {};
    for (int b = 0; b < row.n; b++) {
        const double n0 = other[VALUE * REFS + b], n1 = other[FIRST * REFS + b];
        r.v += n0 * row.g[b][0];
        r.i += n0 * row.g[b][1];
        r.ii += n0 * row.g[b][2];
        r.j += n1 * row.g[b][0];
        r.ij += n1 * row.g[b][1];
    }
    return r;
}

/* Damping times switch of a pair, eV: what multiplies C6. */
static __device__ __forceinline__ radial damped_of(const struct cu_terms &t, const kind_row &row,
                                                   double d)
{
    const double u = d * AIM_BOHR_INV, off = fmin(t.cutoff * AIM_BOHR_INV, 1e20),
                 on = t.cutoff * (1.0 - t.smoothing) * AIM_BOHR_INV;
    aim_deriv e = {0.0, 0.0, 0.0};
    if (u < off) {
        e = aim_d3_damping(u, t.s6, t.s8, row.ratio, row.radius);
        if (isfinite(t.cutoff) && on < off)
            e = aim_deriv_mul(e, aim_cutoff_s5(u, on, off));
    }
    return radial_in_bohr(e, -AIM_HARTREE, d);
}

/* ---------------------------------------------------------------- D3 of the primal */

/* The rows of an atom's references from its coordination number; a lane per reference. */
static __device__ void set_refs(const cu_term_tan &c, int i, double cn)
{
    const struct cu_terms &t = c.of;
    const int lane = threadIdx.x % 32, z = t.kind_number[t.kind[i]], first = t.d3.first[z],
              n = t.d3.first[z + 1] - first, clamped = t.d3.cn_max && cn > t.d3.cn_max[z];
    cn = clamped ? t.d3.cn_max[z] : cn;
    const double own = lane < n ? aim_d3_exponent(cn, t.d3.cn[first + lane]) : -INFINITY;
    double top = own;
    for (int d = 4; d > 0; d >>= 1)
        top = fmax(top, __shfl_xor_sync(0xffffffffu, top, d));
    const int kept = lane < n && own - top >= t.d3.weight_floor;
    const double w = kept ? exp(own - top) : 0.0,
                 u = kept && !clamped ? -2.0 * AIM_D3_K3 * (cn - t.d3.cn[first + lane]) : 0.0;
    double sum = w, mean = w * u, low = kept ? own - top : 0.0;
    for (int d = 4; d > 0; d >>= 1) {
        sum += __shfl_xor_sync(0xffffffffu, sum, d);
        mean += __shfl_xor_sync(0xffffffffu, mean, d);
        low = fmin(low, __shfl_xor_sync(0xffffffffu, low, d));
    }
    mean /= sum;
    const double v = w / sum, x = u - mean;
    double square = v * x * x;
    for (int d = 4; d > 0; d >>= 1)
        square += __shfl_xor_sync(0xffffffffu, square, d);
    if (lane < REFS) {
        double *to = c.refs + (size_t)i * CU_TAN_REFS * REFS + lane;
        to[VALUE * REFS] = v;
        to[FIRST * REFS] = v * x;
        to[SECOND * REFS] = v * (x * x - square);
        to[EXPONENT * REFS] = kept ? own - top : -INFINITY;
        to[LOGARITHMIC * REFS] = u;
    }
    if (lane == 0)
        c.low[i] = low;
}

template <int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) keep_refs(const __grid_constant__ cu_term_tan c)
{
    share s;
    if (!find_share<CRYSTAL>(c, &s))
        return;
    double cn = 0;
    for_pairs<CRYSTAL>(c.of, s.place, s.i, c.of.reach, [&](int j, const double r[3]) {
        cn += count_of(c.of, s.i, j, length_of(r), 1.0).v;
    });
    set_refs(c, s.i, cu_warp_sum(cn));
}

/* dE/dCN */
template <int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) keep_slopes(const __grid_constant__ cu_term_tan c)
{
    extern __shared__ kind_row table[]; /* [warps][kinds] */
    share s;
    if (!find_share<CRYSTAL>(c, &s))
        return;
    kind_row *rows = table + threadIdx.x / 32 * c.of.kinds;
    fill_rows(c, s.i, rows);
    double slope = 0;
    for_pairs<CRYSTAL>(c.of, s.place, s.i, fmin(c.of.reach, c.of.cutoff),
                       [&](int j, const double r[3]) {
                           const radial e = damped_of(c.of, rows[c.of.kind[j]], length_of(r));
                           slope += e.v * c6_of(c, rows, s.i, j).i;
                       });
    slope = cu_warp_sum(slope);
    if (threadIdx.x % 32 == 0)
        c.slope[s.i] = slope;
}

/* ---------------------------------------------------------------- sweeps */

template <int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) tan_count(const __grid_constant__ cu_term_tan c)
{
    share s;
    if (!find_share<CRYSTAL>(c, &s))
        return;
    double sum[DIRS] = {};
    for_pairs<CRYSTAL>(c.of, s.place, s.i, c.of.reach, [&](int j, const double r[3]) {
        const radial e = count_of(c.of, s.i, j, length_of(r), -1.0);
#pragma unroll
        for (int d = 0; d < DIRS; d++)
            if (d < s.n) {
                double tr[3];
                move_pair(c, s, d, j, r, tr);
                sum[d] += e.f * (r[0] * tr[0] + r[1] * tr[1] + r[2] * tr[2]);
            }
    });
#pragma unroll
    for (int d = 0; d < DIRS; d++) {
        const double total = cu_warp_sum(sum[d]);
        if (d < s.n && threadIdx.x % 32 == 0)
            c.tcn[row_of(c, s, d, s.i)] = total;
    }
}

template <int CRYSTAL, int STRAIN>
__global__ void __launch_bounds__(WARPS * 32) tan_energy(const __grid_constant__ cu_term_tan c)
{
    extern __shared__ kind_row table[]; /* [warps][kinds] */
    share s;
    if (!find_share<CRYSTAL>(c, &s))
        return;
    kind_row *rows = table + threadIdx.x / 32 * c.of.kinds;
    fill_rows(c, s.i, rows);
    sums<STRAIN> x = {};
    for_pairs<CRYSTAL>(c.of, s.place, s.i, fmin(c.of.reach, c.of.cutoff),
                       [&](int j, const double r[3]) {
                           const radial e = damped_of(c.of, rows[c.of.kind[j]], length_of(r));
                           const pair_c6 c6 = c6_of(c, rows, s.i, j);
#pragma unroll
                           for (int d = 0; d < DIRS; d++)
                               if (d < s.n) {
                                   double tr[3];
                                   move_pair(c, s, d, j, r, tr);
                                   const double a = r[0] * tr[0] + r[1] * tr[1] + r[2] * tr[2],
                                                ti = c.tcn[row_of(c, s, d, s.i)],
                                                tj = c.tcn[row_of(c, s, d, j)],
                                                tf = e.h * c6.v * a +
                                                     e.f * (c6.i * ti + c6.j * tj);
                                   x.p[d] += e.v * (c6.ii * ti + c6.ij * tj) - e.f * c6.i * a;
                                   add_pull(&x, d, r, tr, tf, e.f * c6.v);
                               }
                       });
#pragma unroll
    for (int d = 0; d < DIRS; d++)
        if (d < s.n) {
            const double total = finish(c, s, x, d);
            if (threadIdx.x % 32 == 0)
                c.tslope[row_of(c, s, d, s.i)] = total;
        }
}

/* k_e times the Coulomb function of a pair, its short-range part taken off */
static __device__ __forceinline__ radial coulomb_of(const cu_term_tan &c, const aim_dsf &dsf, double d)
{
    const struct cu_terms &t = c.of;
    aim_deriv v = {0.0, 0.0, 0.0};
    if (t.coulomb == AIM_DEV_COULOMB_DSF || t.screening)
        v = aim_coulomb_dsf(d, &dsf);
    else if (t.coulomb == AIM_DEV_COULOMB_SIMPLE)
        v = aim_coulomb_simple(d);
    if (t.sr && d < c.near) {
        const aim_deriv off = aim_deriv_mul(
            aim_coulomb_simple(d), aim_cutoff_envelope(d, t.sr_rc, (aim_envelope)t.envelope));
        v.v -= off.v;
        v.d1 -= off.d1;
        v.d2 -= off.d2;
    }
    return radial_of(v, AIM_COULOMB_K, d);
}

/* Coulomb, and D3's forces through the coordination numbers. */
template <int CRYSTAL, int STRAIN>
__global__ void __launch_bounds__(WARPS * 32)
    tan_pairs(const __grid_constant__ cu_term_tan c, const aim_dsf all)
{
    const struct cu_terms &t = c.of;
    share s;
    if (!find_share<CRYSTAL>(c, &s))
        return;
    const aim_dsf dsf = t.screening ? t.screening[t.system[s.i]] : all;
    const double reach_cn = t.d3_ran ? t.reach : 0.0,
                 reach_q = fmax(t.coulomb == AIM_DEV_COULOMB_SIMPLE ? INFINITY : dsf.rc,
                                t.sr ? c.near : 0.0),
                 q = t.q[s.i], slope = t.d3_ran ? c.slope[s.i] : 0.0;
    sums<STRAIN> x = {};
    for_pairs<CRYSTAL>(
        t, s.place, s.i, fmax(reach_cn, reach_q), [&](int j, const double r[3]) {
            const double dist = length_of(r), qj = t.q[j];
            radial e = {}, n = {};
            if (dist < reach_q)
                e = coulomb_of(c, dsf, dist);
            if (dist < reach_cn)
                n = count_of(t, s.i, j, dist, 1.0);
            const double both = reach_cn > 0.0 ? slope + c.slope[j] : 0.0,
                         f = q * qj * e.f + both * n.f, h = q * qj * e.h + both * n.h;
#pragma unroll
            for (int d = 0; d < DIRS; d++)
                if (d < s.n) {
                    double tr[3];
                    move_pair(c, s, d, j, r, tr);
                    const size_t own = row_of(c, s, d, s.i), other = row_of(c, s, d, j);
                    const double a = r[0] * tr[0] + r[1] * tr[1] + r[2] * tr[2], ti = c.tq[own],
                                 tj = c.tq[other];
                    double tf = h * a + e.f * (qj * ti + q * tj);
                    if (reach_cn > 0.0)
                        tf += n.f * (c.tslope[own] + c.tslope[other]);
                    x.p[d] += e.v * tj - qj * e.f * a;
                    add_pull(&x, d, r, tr, tf, f);
                }
        });
#pragma unroll
    for (int d = 0; d < DIRS; d++)
        if (d < s.n) {
            const size_t row = row_of(c, s, d, s.i);
            const double total = finish(c, s, x, d);
            if (threadIdx.x % 32 == 0)
                c.tgq[row] += total + 2.0 * AIM_COULOMB_K * dsf.self * c.tq[row] +
                              (c.weight ? c.weight[t.system[s.i]] * t.gq[s.i] : 0.0);
        }
}

/* ---------------------------------------------------------------- launches */

static size_t table_bytes(const cu_term_tan *c)
{
    return (size_t)WARPS * (size_t)c->of.kinds * sizeof(kind_row);
}

template <int CRYSTAL> static void launch_keep(cudaStream_t stream, const cu_term_tan *c)
{
    const unsigned blocks = blocks_of(c);
    keep_refs<CRYSTAL><<<blocks, WARPS * 32, 0, stream>>>(*c);
    keep_slopes<CRYSTAL><<<blocks, WARPS * 32, table_bytes(c), stream>>>(*c);
}

void cu_term_keep(cu_state *s, cudaStream_t stream, const cu_term_tan *c)
{
    if (c->of.cells.grid)
        launch_keep<1>(stream, c);
    else
        launch_keep<0>(stream, c);
    cu_check(s, "the coordination numbers of second derivatives");
}

template <int CRYSTAL, int STRAIN>
static void launch_tangents(cudaStream_t stream, const cu_term_tan *c)
{
    const unsigned blocks = blocks_of(c);
    aim_dsf dsf = {};
    if (c->of.coulomb == AIM_DEV_COULOMB_DSF)
        dsf = aim_dsf_make(c->of.rc, c->of.alpha);
    if (c->of.d3_ran) {
        tan_count<CRYSTAL><<<blocks, WARPS * 32, 0, stream>>>(*c);
        tan_energy<CRYSTAL, STRAIN><<<blocks, WARPS * 32, table_bytes(c), stream>>>(*c);
    }
    tan_pairs<CRYSTAL, STRAIN><<<blocks, WARPS * 32, 0, stream>>>(*c, dsf);
}

void cu_term_tangents(cu_state *s, cudaStream_t stream, const cu_term_tan *c)
{
    if (!c->of.cells.grid)
        launch_tangents<0, 0>(stream, c);
    else if (c->tvirial)
        launch_tangents<1, 1>(stream, c);
    else
        launch_tangents<1, 0>(stream, c);
    cu_check(s, "the tangents of the terms");
}

void cu_term_tan_prepare(cu_state *s)
{
    const int bytes = WARPS * AIM_DEV_SPECIES * (int)sizeof(kind_row);
    cudaFuncSetAttribute(keep_slopes<0>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncSetAttribute(keep_slopes<1>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncSetAttribute(tan_energy<0, 0>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncSetAttribute(tan_energy<1, 0>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncSetAttribute(tan_energy<1, 1>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cu_check(s, "the shared memory of second derivatives");
}
