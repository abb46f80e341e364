/* SPDX-License-Identifier: MIT */
/* term.cu - Coulomb energies and DFT-D3 in double; formulas of point/. One warp per atom, its lanes
 * share the neighbours: all atoms of a molecule (lane k takes the atoms k, k + 32, ...), or a walk over
 * the bins of a crystal (cells.h), on the fly: no list of the long range is stored. The lanes are added
 * as a balanced tree, so a sum depends on the system alone.
 *
 * D3 in three sweeps as on the CPU (term/d3.c): coordination numbers and weights, energy with the
 * derivative to the coordination numbers, forces through them. C6 is bilinear in the two atoms'
 * normalised weights as long as no pair of references falls below the floor; whether one can is
 * known from each atom's smallest exponent, and only such pairs take the long way. */
#include "backend/cuda/cuda.h"
#include "point/coulomb.h"
#include "point/cutoff.h"
#include "point/d3_damping.h"
#include "point/units.h"

enum { WARPS = 4 };

/* ---------------------------------------------------------------- the neighbours of an atom */

/* Which atom a warp works on; -1: none left. */
static __device__ __forceinline__ int warp_atom(const struct cu_terms &t, int *place)
{
    const int k = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    *place = k;
    if (k >= t.n)
        return -1;
    return t.cells.grid ? t.cells.order[k] : k;
}

/* Calls f(j, r, d) in the lanes, every neighbour of atom i closer than `reach` in one of them. */
template <int CRYSTAL, typename F>
static __device__ __forceinline__ void for_neighbours(const struct cu_terms &t, int i, int place,
                                                      double reach, F f)
{
    const int s = t.system[i];
    if (CRYSTAL) {
        /* Neighbours wait until there is one for every lane: the bins hold as many again that are
         * too far. */
        __shared__ double waiting[WARPS][64][4];
        __shared__ int waiting_j[WARPS][64];
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        double(*queue)[4] = waiting[warp];
        int *queue_j = waiting_j[warp], n = 0;
        cu_walk(t.cells, t.cells.grid[s], place, reach,
                [&](int k, const double r[3], double d2, int) {
                    const unsigned hits = __ballot_sync(0xffffffffu, k >= 0);
                    if (k >= 0) {
                        const int to = n + __popc(hits & ((1u << lane) - 1));
                        queue[to][0] = r[0], queue[to][1] = r[1], queue[to][2] = r[2];
                        queue[to][3] = d2;
                        queue_j[to] = t.cells.order[k];
                    }
                    n += __popc(hits);
                    __syncwarp();
                    if (n < 32)
                        return;
                    const double own[3] = {queue[lane][0], queue[lane][1], queue[lane][2]};
                    f(queue_j[lane], own, sqrt(queue[lane][3]));
                    __syncwarp();
                    n -= 32;
                    if (lane < n) {
                        for (int m = 0; m < 4; m++)
                            queue[lane][m] = queue[32 + lane][m];
                        queue_j[lane] = queue_j[32 + lane];
                    }
                    __syncwarp();
                });
        if (lane < n) {
            const double own[3] = {queue[lane][0], queue[lane][1], queue[lane][2]};
            f(queue_j[lane], own, sqrt(queue[lane][3]));
        }
        return;
    }
    const double x = t.coord[3 * i], y = t.coord[3 * i + 1], z = t.coord[3 * i + 2];
    for (int j = t.offset[s] + threadIdx.x % 32; j < t.offset[s + 1]; j += 32) {
        const double r[3] = {t.coord[3 * j] - x, t.coord[3 * j + 1] - y, t.coord[3 * j + 2] - z};
        const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
        if (j != i && d < reach)
            f(j, r, d);
    }
}

/* sum of force r and of force r r (xx yy zz xy xz yz) */
typedef struct pull {
    double g[3], w[6];
} pull;

static __device__ __forceinline__ void add_pull(pull *p, const double r[3], double force,
                                                int strain)
{
#pragma unroll
    for (int k = 0; k < 3; k++)
        p->g[k] += force * r[k];
    if (!strain)
        return;
#pragma unroll
    for (int k = 0; k < 3; k++)
        p->w[k] += force * r[k] * r[k];
    p->w[3] += force * r[0] * r[1];
    p->w[4] += force * r[0] * r[2];
    p->w[5] += force * r[1] * r[2];
}

/* Gradient and virial of atom i from all lanes, = or +=. */
static __device__ __forceinline__ void finish_pull(const pull &p, int i, double factor, int add,
                                                   int strain, double *grad, double *virial)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < 3; k++) {
        const double g = factor * cu_warp_sum(p.g[k]);
        if (lane == 0)
            grad[3 * (size_t)i + k] = add ? grad[3 * (size_t)i + k] + g : g;
    }
    if (!strain)
        return;
    double w[6];
#pragma unroll
    for (int k = 0; k < 6; k++)
        w[k] = -0.5 * factor * cu_warp_sum(p.w[k]);
    const double full[9] = {w[0], w[3], w[4], w[3], w[1], w[5], w[4], w[5], w[2]};
    if (lane == 0)
#pragma unroll
        for (int k = 0; k < 9; k++)
            virial[9 * (size_t)i + k] = add ? virial[9 * (size_t)i + k] + full[k] : full[k];
}

/* ---------------------------------------------------------------- Coulomb */

/* The short-range part, over the network's list. */
static __device__ __forceinline__ double short_range(const struct cu_terms &t, int i, pull *p)
{
    const double *x = t.shift ? t.cells.wrapped : t.coord;
    double phi = 0;
    for (int m = threadIdx.x % 32; m < t.count[i]; m += 32) {
        const size_t at = (size_t)i * t.capacity + m;
        const int j = t.j[at];
        double r[3] = {x[3 * j] - x[3 * i], x[3 * j + 1] - x[3 * i + 1],
                       x[3 * j + 2] - x[3 * i + 2]};
        if (t.shift) {
            const int s = t.shift[at];
            const double *h = t.cells.grid[t.system[i]].cell;
            for (int d = 0; d < 3; d++)
                r[d] += (double)(signed char)(s & 255) * h[d] +
                        (double)(signed char)(s >> 8 & 255) * h[3 + d] +
                        (double)(signed char)(s >> 16 & 255) * h[6 + d];
        }
        const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
        const aim_deriv f = aim_deriv_mul(
            aim_coulomb_simple(d), aim_cutoff_envelope(d, t.sr_rc, (aim_envelope)t.envelope));
        phi -= t.q[j] * f.v;
        add_pull(p, r, t.q[j] * f.d1 / d, t.want_strain);
    }
    return cu_warp_sum(phi);
}

template <int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) coulomb(const struct cu_terms t, const aim_dsf dsf)
{
    int place;
    const int i = warp_atom(t, &place);
    if (i < 0)
        return;
    pull p = {};
    double phi = 0;
    if (t.coulomb == AIM_DEV_COULOMB_SIMPLE && !CRYSTAL)
        for_neighbours<0>(t, i, place, INFINITY, [&](int j, const double r[3], double d) {
            const aim_deriv f = aim_coulomb_simple(d);
            phi += t.q[j] * f.v;
            add_pull(&p, r, -t.q[j] * f.d1 / d, t.want_strain);
        });
    else if (t.coulomb == AIM_DEV_COULOMB_DSF)
        for_neighbours<CRYSTAL>(t, i, place, dsf.rc, [&](int j, const double r[3], double d) {
            const aim_deriv f = aim_coulomb_dsf(d, &dsf);
            phi += t.q[j] * f.v;
            add_pull(&p, r, -t.q[j] * f.d1 / d, t.want_strain);
        });
    phi = cu_warp_sum(phi);
    const double phi_sr = t.sr ? short_range(t, i, &p) : 0.0;
    const double q = t.q[i], kq = AIM_COULOMB_K * q;
    if (t.coulomb == AIM_DEV_COULOMB_DSF)
        phi += 2.0 * dsf.self * q;
    if (t.want_grad)
        finish_pull(p, i, kq, 0, t.want_strain, t.grad, t.virial);
    if (threadIdx.x % 32)
        return;
    t.e[i] = 0.5 * kq * phi;
    t.e[t.n + i] = 0.5 * kq * phi_sr;
    if (t.want_grad)
        t.gq[i] = AIM_COULOMB_K * (phi + phi_sr);
}

void cu_coulomb(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    aim_dsf dsf = {};
    if (t->coulomb == AIM_DEV_COULOMB_DSF)
        dsf = aim_dsf_make(t->rc, t->alpha);
    if (t->cells.grid)
        coulomb<1><<<(t->n + WARPS - 1) / WARPS, WARPS * 32, 0, stream>>>(*t, dsf);
    else
        coulomb<0><<<(t->n + WARPS - 1) / WARPS, WARPS * 32, 0, stream>>>(*t, dsf);
    cu_check(s, "the Coulomb energy");
}

/* ---------------------------------------------------------------- D3 */

/* Normalised weights of atom i's references, their slopes and exponents, from its coordination
 * number; a lane per reference. */
static __device__ void set_weights(const struct cu_terms &t, int i, int z, double cn)
{
    const int lane = threadIdx.x % 32, first = t.d3.first[z], n = t.d3.first[z + 1] - first;
    const double own = lane < n ? aim_d3_exponent(cn, t.d3.cn[first + lane]) : -INFINITY;
    double top = own;
    for (int d = 4; d > 0; d >>= 1)
        top = fmax(top, __shfl_xor_sync(0xffffffffu, top, d));
    const double e = own - top;
    const int kept = lane < n && e >= t.d3.weight_floor;
    const double w = kept ? exp(e) : 0.0,
                 slope = kept ? -2.0 * AIM_D3_K3 * (cn - t.d3.cn[first + lane]) : 0.0;
    double sum = w, dsum = w * slope, low = kept ? e : 0.0;
    for (int d = 4; d > 0; d >>= 1) {
        sum += __shfl_xor_sync(0xffffffffu, sum, d);
        dsum += __shfl_xor_sync(0xffffffffu, dsum, d);
        low = fmin(low, __shfl_xor_sync(0xffffffffu, low, d));
    }
    if (lane < CU_D3_REFS) {
        const size_t k = (size_t)i * CU_D3_REFS + lane;
        t.w[k] = lane < n ? w / sum : 0.0;
        t.dw[k] = lane < n ? w / sum * (slope - dsum / sum) : 0.0;
        t.s[k] = lane < n ? e : -INFINITY;
    }
    if (lane == 0)
        t.low[i] = low;
}

template <int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) d3_weights(const struct cu_terms t)
{
    int place;
    const int i = warp_atom(t, &place);
    if (i < 0)
        return;
    const int z = t.kind_number[t.kind[i]];
    const double own = t.d3.rcov[z];
    double cn = 0;
    for_neighbours<CRYSTAL>(t, i, place, t.reach, [&](int j, const double *, double d) {
        cn += aim_d3_count(d * AIM_BOHR_INV, own + t.d3.rcov[t.kind_number[t.kind[j]]]).v;
    });
    set_weights(t, i, z, cu_warp_sum(cn));
}

/* C6 and dC6/dCN_i where pairs of references are dropped */
static __device__ __noinline__ void long_way(const struct cu_terms *t, int i, int j, int zi, int zj,
                                             double *c6, double *dc6)
{
    const int fi = t->d3.first[zi], ni = t->d3.first[zi + 1] - fi, fj = t->d3.first[zj],
              nj = t->d3.first[zj + 1] - fj;
    double num = 0, den = 0, dnum = 0, dden = 0;
    for (int a = 0; a < ni; a++)
        for (int b = 0; b < nj; b++) {
            const size_t ka = (size_t)i * CU_D3_REFS + a, kb = (size_t)j * CU_D3_REFS + b;
            if (t->s[ka] + t->s[kb] < t->d3.weight_floor)
                continue;
            const double c = t->d3.c6[(size_t)(fi + a) * t->d3.n_refs + fj + b],
                         w = t->w[ka] * t->w[kb], dw = t->dw[ka] * t->w[kb];
            num += w * c;
            den += w;
            dnum += dw * c;
            dden += dw;
        }
    *c6 = num / den;
    *dc6 = (dnum - *c6 * dden) / den;
}

/* What atom i contributes to a pair with each kind of atom. */
typedef struct kind_row {
    double g[CU_D3_REFS], dg[CU_D3_REFS]; /* sum_a w_a c6[a][b], d/dCN of it */
    double c8, r06, r08;                  /* s8 3 r4r2 r4r2, powers of the damping radius */
    int n;
} kind_row;

static __device__ void fill_rows(const struct cu_terms &t, int i, int z, kind_row *row)
{
    const int fi = t.d3.first[z], ni = t.d3.first[z + 1] - fi;
    for (int k = threadIdx.x % 32; k < t.kinds * CU_D3_REFS; k += 32) {
        const int kind = k / CU_D3_REFS, b = k % CU_D3_REFS, zj = t.kind_number[kind],
                  fj = t.d3.first[zj], nj = t.d3.first[zj + 1] - fj;
        double g = 0, dg = 0;
        for (int a = 0; a < ni && b < nj; a++) {
            const double c = t.d3.c6[(size_t)(fi + a) * t.d3.n_refs + fj + b];
            g += t.w[(size_t)i * CU_D3_REFS + a] * c;
            dg += t.dw[(size_t)i * CU_D3_REFS + a] * c;
        }
        row[kind].g[b] = g;
        row[kind].dg[b] = dg;
        if (b == 0) {
            const double ratio = aim_d3_c8_ratio(t.d3.r4r2[z], t.d3.r4r2[zj]),
                         r0 = aim_d3_radius(ratio, t.a1, t.a2), r2 = r0 * r0, r4 = r2 * r2;
            row[kind].c8 = t.s8 * ratio;
            row[kind].r06 = r4 * r2;
            row[kind].r08 = r4 * r4;
            row[kind].n = nj;
        }
    }
    __syncwarp();
}

/* damping times switch, and -d/dd of it divided by d (bohr): aim_d3_damping and aim_cutoff_s5 with
 * one division */
static __device__ __forceinline__ double damped(double d, double s6, const kind_row &k, double on,
                                                double inv_width, double *f)
{
    const double d2 = d * d, d4 = d2 * d2, d6 = d4 * d2, a = d6 + k.r06, b = d4 * d4 + k.r08;
    const double inv = 1.0 / (a * b * d), ia = b * d * inv, ib = a * d * inv, id = a * b * inv;
    double v = s6 * ia + k.c8 * ib, slope = 6.0 * s6 * d4 * ia * ia + 8.0 * k.c8 * d6 * ib * ib;
    if (inv_width > 0.0) {
        const double t = fmin(fmax((d - on) * inv_width, 0.0), 1.0), u = 1.0 - t,
                     sw = 1.0 - t * t * t * (10.0 + t * (6.0 * t - 15.0));
        slope = slope * sw + v * (30.0 * inv_width * t * t * u * u) * id;
        v *= sw;
    }
    *f = slope;
    return v;
}

template <int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) d3_energy(const struct cu_terms t)
{
    extern __shared__ double table[]; /* [warps][kinds] */
    int place;
    const int i = warp_atom(t, &place);
    if (i < 0)
        return;
    const int z = t.kind_number[t.kind[i]];
    kind_row *mine = (kind_row *)table + threadIdx.x / 32 * t.kinds;
    fill_rows(t, i, z, mine);
    const double off = fmin(t.cutoff * AIM_BOHR_INV, 1e20),
                 on = t.cutoff * (1.0 - t.smoothing) * AIM_BOHR_INV,
                 inv_width = on < off && isfinite(t.cutoff) ? 1.0 / (off - on) : 0.0,
                 low = t.low[i];
    pull p = {};
    double e = 0, ecn = 0;
    for_neighbours<CRYSTAL>(
        t, i, place, fmin(t.reach, t.cutoff), [&](int j, const double r[3], double distance) {
            const int kind = t.kind[j];
            const kind_row &row = mine[kind];
            double c6 = 0, dc6 = 0, f;
            if (low + t.low[j] < t.d3.weight_floor) {
                long_way(&t, i, j, z, t.kind_number[kind], &c6, &dc6);
            } else {
                const double *w = t.w + (size_t)j * CU_D3_REFS;
                for (int b = 0; b < row.n; b++) {
                    c6 += w[b] * row.g[b];
                    dc6 += w[b] * row.dg[b];
                }
            }
            const double v = damped(distance * AIM_BOHR_INV, t.s6, row, on, inv_width, &f);
            e += c6 * v;
            ecn += dc6 * v;
            add_pull(&p, r, c6 * f, t.want_strain);
        });
    e = cu_warp_sum(e);
    ecn = cu_warp_sum(ecn);
    if (t.want_grad) /* f is per bohr^2, r in Angstrom */
        finish_pull(p, i, -AIM_HARTREE * AIM_BOHR_INV * AIM_BOHR_INV, 0, t.want_strain, t.grad_side,
                    t.virial_side);
    if (threadIdx.x % 32)
        return;
    t.e[2 * (size_t)t.n + i] = -0.5 * AIM_HARTREE * e;
    t.cn_grad[i] = -ecn;
}

template <int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) d3_count_force(const struct cu_terms t)
{
    int place;
    const int i = warp_atom(t, &place);
    if (i < 0)
        return;
    const double rcov = t.d3.rcov[t.kind_number[t.kind[i]]], own = t.cn_grad[i];
    pull p = {};
    for_neighbours<CRYSTAL>(t, i, place, t.reach, [&](int j, const double r[3], double d) {
        const aim_deriv f =
            aim_d3_count(d * AIM_BOHR_INV, rcov + t.d3.rcov[t.kind_number[t.kind[j]]]);
        add_pull(&p, r, -(own + t.cn_grad[j]) * f.d1 / d, t.want_strain);
    });
    finish_pull(p, i, AIM_HARTREE * AIM_BOHR_INV, 1, t.want_strain, t.grad_side, t.virial_side);
}

template <int CRYSTAL> static void launch_d3(cudaStream_t stream, const struct cu_terms *t)
{
    const int blocks = (t->n + WARPS - 1) / WARPS;
    d3_weights<CRYSTAL><<<blocks, WARPS * 32, 0, stream>>>(*t);
    d3_energy<CRYSTAL><<<blocks, WARPS * 32, WARPS * t->kinds * sizeof(kind_row), stream>>>(*t);
    if (t->want_grad)
        d3_count_force<CRYSTAL><<<blocks, WARPS * 32, 0, stream>>>(*t);
}

void cu_terms_prepare(cu_state *s)
{
    const int bytes = WARPS * AIM_DEV_SPECIES * (int)sizeof(kind_row);
    cudaFuncSetAttribute(d3_energy<0>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncSetAttribute(d3_energy<1>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cu_check(s, "the shared memory of D3");
}

void cu_d3(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    if (t->cells.grid)
        launch_d3<1>(stream, t);
    else
        launch_d3<0>(stream, t);
    cu_check(s, "the dispersion energy");
}

__global__ void add(size_t n, const double *in, double *out)
{
    const size_t k = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k < n)
        out[k] += in[k];
}
void cu_add(cu_state *s, cudaStream_t stream, size_t n, const double *in, double *out)
{
    add<<<(unsigned)((n + 255) / 256), 256, 0, stream>>>(n, in, out);
    cu_check(s, "the sum of forces");
}
