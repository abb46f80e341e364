/* SPDX-License-Identifier: MIT */
/* term.cu - Coulomb energies and DFT-D3. One warp per atom, its lanes share the neighbours: all atoms
 * of a molecule (lane k takes the atoms k, k + 32, ...), or a walk over the bins of a crystal
 * (cells.h), on the fly: no list of the long range is stored. The lanes are added as a balanced tree,
 * so a sum depends on the system alone.
 *
 * Two sweeps for D3 as on the CPU (term/d3.c): coordination numbers and weights; energy with the
 * derivative to the coordination numbers. The third, forces through the coordination numbers, is one
 * with the Coulomb sum. C6 is bilinear in the two atoms' normalised weights as long as no pair of
 * references falls below the floor; whether one can is known from each atom's smallest exponent, and
 * only such pairs take the long way.
 *
 * Differences of positions, sums of energies and potentials, and what is done once per atom are in
 * double. T is the type of a pair's functions: double with a network in double, else float. Coulomb
 * functions of pairs closer than CLOSE, and of all pairs of molecules, are always double: there one
 * rounding of the energy of a bond would be as large as an atom's tolerance. */
#include "backend/cuda/cuda.h"
#include "point/coulomb.h"
#include "point/cutoff.h"
#include "point/d3_damping.h"
#include "point/gelu.h"
#include "point/units.h"

enum { WARPS = 4, D3_ROW = CU_D3_ROW };
static const double CLOSE = 5.0; /* Angstrom */

/* ---------------------------------------------------------------- functions in float */

static __device__ __forceinline__ float fast_inverse(float x)
{
    return __fdividef(1.0f, x);
}
static __device__ __forceinline__ double fast_inverse(double x)
{
    return 1.0 / x;
}
static __device__ __forceinline__ float inverse_root(float x)
{
    return rsqrtf(x);
}
static __device__ __forceinline__ double inverse_root(double x)
{
    return rsqrt(x);
}
static __device__ __forceinline__ float fast_exp(float x)
{
    return __expf(x);
}
static __device__ __forceinline__ double fast_exp(double x)
{
    return exp(x);
}

/* The counting function and its derivative to d (bohr): aim_d3_count */
template <typename T> static __device__ __forceinline__ T count(T inv_d, T rcov, T *slope)
{
    const T k = (T)AIM_D3_K1 * rcov * inv_d, e = fast_exp((T)AIM_D3_K1 - k),
            v = fast_inverse((T)1 + e);
    *slope = -v * v * e * k * inv_d;
    return v;
}

/* Damped shifted force: value, and the derivative divided by d, of one pair within the cutoff. */
static __device__ __forceinline__ float dsf_pair(float d, float inv, const aim_dsf &p, float *slope)
{
    float gauss;
    const float a = (float)p.alpha, c = aim_erfc_f32(a * d, &gauss) * inv,
                g = (float)p.gauss * gauss;
    *slope = ((float)p.slope - (c + g) * inv) * inv;
    return c - (float)p.shift + (d - (float)p.rc) * (float)p.slope;
}
static __device__ __forceinline__ double dsf_pair(double d, double inv, const aim_dsf &p,
                                                  double *slope)
{
    const aim_deriv f = aim_coulomb_dsf(d, &p);
    *slope = f.d1 * inv;
    return f.v;
}

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

/* Neighbours of a crystal's atom wait until there is one for every lane: the bins hold as many again
 * that are too far. */
template <typename T> struct alignas(4 * sizeof(T)) waiting {
    T r[3];
    int place;
};

template <typename T> struct line {
    waiting<T> *ring; /* [64] of the warp */
    int head, n;
};

template <typename T, typename F>
static __device__ __forceinline__ void queue_up(line<T> *l, int mine, const double r[3], int place,
                                                F f)
{
    const int lane = threadIdx.x % 32;
    const unsigned hits = __ballot_sync(0xffffffffu, mine);
    if (!hits)
        return;
    if (mine) {
        const int to = (l->head + l->n + __popc(hits & ((1u << lane) - 1))) & 63;
        l->ring[to] = waiting<T>{{(T)r[0], (T)r[1], (T)r[2]}, place};
    }
    l->n += __popc(hits);
    __syncwarp();
    if (l->n < 32)
        return;
    const waiting<T> next = l->ring[(l->head + lane) & 63];
    __syncwarp();
    l->head = (l->head + 32) & 63;
    l->n -= 32;
    f(next.place, next.r);
}

template <typename T, typename F>
static __device__ __forceinline__ void serve_rest(const line<T> &l, F f)
{
    const int lane = threadIdx.x % 32;
    if (lane < l.n) {
        const waiting<T> next = l.ring[(l.head + lane) & 63];
        f(next.place, next.r);
    }
}

/* Calls far(place, r) or, for pairs closer than `near`, close(place, r) with r in double, every
 * neighbour of atom i within `reach` in one of the lanes. */
template <typename T, int CRYSTAL, typename FAR, typename NEAR>
static __device__ __forceinline__ void for_neighbours(const struct cu_terms &t, int i, int place,
                                                      double reach, double near, FAR far,
                                                      NEAR close)
{
    const int s = t.system[i];
    if (CRYSTAL) {
        __shared__ waiting<T> far_ring[WARPS][64];
        __shared__ waiting<double> near_ring[WARPS][64];
        const int warp = threadIdx.x / 32;
        const T near2 = (T)(near * near);
        line<T> far_line = {far_ring[warp], 0, 0};
        line<double> near_line = {near_ring[warp], 0, 0};
        cu_walk_as<T>(t.cells, t.cells.grid[s], place, reach,
                      [&](int k, const double r[3], T d2, int) {
                          const int is_near = k >= 0 && d2 < near2;
                          queue_up(&far_line, k >= 0 && !is_near, r, k, far);
                          if (near2 > (T)0)
                              queue_up(&near_line, is_near, r, k, close);
                      });
        serve_rest(far_line, far);
        if (near2 > (T)0)
            serve_rest(near_line, close);
        return;
    }
    const double x = t.coord[3 * i], y = t.coord[3 * i + 1], z = t.coord[3 * i + 2];
    for (int j = t.offset[s] + threadIdx.x % 32; j < t.offset[s + 1]; j += 32) {
        const double r[3] = {t.coord[3 * j] - x, t.coord[3 * j + 1] - y, t.coord[3 * j + 2] - z};
        const double d2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
        if (j == i || d2 >= reach * reach)
            continue;
        if (near > 0.0) {
            close(j, r);
        } else {
            const T short_r[3] = {(T)r[0], (T)r[1], (T)r[2]};
            far(j, short_r);
        }
    }
}

/* sum of force r and of force r r (xx yy zz xy xz yz) */
template <typename T> struct pull {
    T g[3], w[6];
};

template <typename T>
static __device__ __forceinline__ void add_pull(pull<T> *p, const T r[3], T force, int strain)
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

/* Gradient and virial of atom i from all lanes; plus: other shares of them, or NULL. */
static __device__ __forceinline__ void finish_pull(const pull<double> &p, int i, int strain,
                                                   const double *grad_more,
                                                   const double *virial_more, double *grad,
                                                   double *virial)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < 3; k++) {
        const double g = cu_warp_sum(p.g[k]);
        const size_t at = 3 * (size_t)i + k;
        if (lane == 0)
            grad[at] = grad_more ? grad_more[at] + g : g;
    }
    if (!strain)
        return;
    double w[6];
#pragma unroll
    for (int k = 0; k < 6; k++)
        w[k] = -0.5 * cu_warp_sum(p.w[k]);
    const double full[9] = {w[0], w[3], w[4], w[3], w[1], w[5], w[4], w[5], w[2]};
    if (lane == 0)
#pragma unroll
        for (int k = 0; k < 9; k++) {
            const size_t at = 9 * (size_t)i + k;
            virial[at] = virial_more ? virial_more[at] + full[k] : full[k];
        }
}

/* scaled sum of the pairs in T and those in double */
template <typename T>
static __device__ __forceinline__ pull<double> both_pulls(const pull<T> &far, double factor,
                                                          const pull<double> &close)
{
    pull<double> p;
#pragma unroll
    for (int k = 0; k < 3; k++)
        p.g[k] = factor * (double)far.g[k] + close.g[k];
#pragma unroll
    for (int k = 0; k < 6; k++)
        p.w[k] = factor * (double)far.w[k] + close.w[k];
    return p;
}

/* Number of an atom's kind by its place, and the covalent radii (bohr) of all kinds in shared memory. */
static __device__ __forceinline__ int kind_at(const struct cu_terms &t, int place)
{
    return t.cells.grid ? t.cells.kind[place] : t.kind[place];
}

template <typename T> static __device__ void load_radii(const struct cu_terms &t, T *radius)
{
    for (int k = threadIdx.x; k < t.kinds; k += blockDim.x)
        radius[k] = (T)t.d3.rcov[t.kind_number[k]];
    __syncthreads();
}

/* ---------------------------------------------------------------- Coulomb, forces through CN */

/* The short-range part, over the network's list. */
static __device__ __forceinline__ double short_range(const struct cu_terms &t, int i,
                                                     pull<double> *p)
{
    const double *x = t.shift ? t.cells.wrapped : t.coord;
    const double kq = AIM_COULOMB_K * t.q[i];
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
        add_pull(p, r, kq * t.q[j] * f.d1 / d, t.want_strain);
    }
    return cu_warp_sum(phi);
}

template <typename T, int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32)
    pair_terms(const __grid_constant__ struct cu_terms t, const aim_dsf all)
{
    cu_wait();
    __shared__ T radius[AIM_DEV_SPECIES];
    int place;
    const int i = warp_atom(t, &place), through_cn = t.through_cn;
    const T *cn_grad = (const T *)t.cn_grad;
    if (through_cn)
        load_radii(t, radius);
    if (i < 0)
        return;
    const double q = t.coulomb || t.sr ? t.q[i] : 0.0, kq = AIM_COULOMB_K * q;
    const aim_dsf dsf = t.screening ? t.screening[t.system[i]] : all;
    const int is_dsf = t.coulomb == AIM_DEV_COULOMB_DSF || t.screening,
              is_simple = t.coulomb == AIM_DEV_COULOMB_SIMPLE && !CRYSTAL;
    const double reach_q = is_dsf      ? dsf.rc
                           : is_simple ? INFINITY
                                       : 0.0,
                 reach_cn = through_cn ? t.reach : 0.0;
    const T unit = (T)(AIM_HARTREE * AIM_BOHR_INV), short_kq = (T)kq, short_rc = (T)reach_q,
            short_cn = (T)reach_cn, own_cn = through_cn ? cn_grad[place] : (T)0,
            own_radius = through_cn ? radius[kind_at(t, place)] : (T)0;
    pull<T> far = {};
    pull<double> close = {};
    double phi = 0;
    /* dE/dd / d of a pair, eV/A^2, through the coordination numbers of both */
    auto cn_force = [&](int p, T inv) {
        T slope;
        count((T)AIM_BOHR * inv, own_radius + radius[kind_at(t, p)], &slope);
        return -unit * (own_cn + cn_grad[p]) * slope * inv;
    };
    if (reach_q > 0.0 || reach_cn > 0.0)
        for_neighbours<T, CRYSTAL>(
            t, i, place, fmax(reach_q, reach_cn), reach_q > 0.0 ? CLOSE : 0.0,
            [&](int p, const T r[3]) {
                const T d2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], inv = inverse_root(d2),
                        d = d2 * inv;
                T force = 0;
                if (d < short_rc) { /* crystals: damped shifted force */
                    T slope;
                    const T qj = (T)t.q[CRYSTAL ? t.cells.order[p] : p];
                    phi += (double)(qj * dsf_pair(d, inv, dsf, &slope));
                    force = -short_kq * qj * slope;
                }
                if (d < short_cn)
                    force += cn_force(p, inv);
                add_pull(&far, r, force, t.want_strain);
            },
            [&](int p, const double r[3]) {
                const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), inv = 1.0 / d;
                double force = 0.0;
                if (d < reach_q) {
                    const double qj = t.q[CRYSTAL ? t.cells.order[p] : p];
                    double v = inv, slope = -inv * inv * inv;
                    if (is_dsf)
                        v = dsf_pair(d, inv, dsf, &slope);
                    phi += qj * v;
                    force = -kq * qj * slope;
                }
                if (d < reach_cn)
                    force += (double)cn_force(p, (T)inv);
                add_pull(&close, r, force, t.want_strain);
            });
    phi = cu_warp_sum(phi);
    const double phi_sr = t.sr ? short_range(t, i, &close) : 0.0;
    if (is_dsf)
        phi += 2.0 * dsf.self * q;
    if (t.want_grad)
        finish_pull(both_pulls(far, 1.0, close), i, t.want_strain, t.d3_ran ? t.grad_side : NULL,
                    t.d3_ran ? t.virial_side : NULL, t.grad, t.virial);
    if (threadIdx.x % 32)
        return;
    t.e[i] = 0.5 * kq * phi;
    t.e[t.n + i] = 0.5 * kq * phi_sr;
    if (t.want_grad)
        t.gq[i] = AIM_COULOMB_K * (phi + phi_sr);
}

void cu_pair_terms(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    aim_dsf dsf = {};
    if (t->coulomb == AIM_DEV_COULOMB_DSF)
        dsf = aim_dsf_make(t->rc, t->alpha);
    const int blocks = (t->n + WARPS - 1) / WARPS;
    if (t->cells.grid && t->is_double)
        pair_terms<double, 1><<<blocks, WARPS * 32, 0, stream>>>(*t, dsf);
    else if (t->cells.grid)
        pair_terms<float, 1><<<blocks, WARPS * 32, 0, stream>>>(*t, dsf);
    else if (t->is_double)
        pair_terms<double, 0><<<blocks, WARPS * 32, 0, stream>>>(*t, dsf);
    else
        pair_terms<float, 0><<<blocks, WARPS * 32, 0, stream>>>(*t, dsf);
    cu_check(s, "the pair terms");
}

/* ---------------------------------------------------------------- D3 */

/* Normalised weights of the references of the atom at `place`, their slopes and exponents, from its
 * coordination number; a lane per reference. */
template <typename T>
static __device__ void set_weights(const struct cu_terms &t, int place, int z, double cn)
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
    if (lane < D3_ROW) {
        const size_t k = (size_t)place * D3_ROW + lane;
        ((T *)t.w)[k] = (T)(lane < n ? w / sum : 0.0);
        ((T *)t.dw)[k] = (T)(lane < n ? w / sum * (slope - dsum / sum) : 0.0);
        ((T *)t.s)[k] = (T)(lane < n ? e : -INFINITY);
    }
    if (lane == 0)
        ((T *)t.low)[place] = (T)low;
}

template <typename T, int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) d3_weights(const __grid_constant__ struct cu_terms t)
{
    cu_wait();
    __shared__ T radius[AIM_DEV_SPECIES];
    int place;
    const int i = warp_atom(t, &place);
    load_radii(t, radius);
    if (i < 0)
        return;
    const int kind = kind_at(t, place);
    const T own = radius[kind];
    T cn = 0;
    auto add = [&](int p, const T r[3]) {
        T slope;
        const T inv = inverse_root(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
        cn += count((T)AIM_BOHR * inv, own + radius[kind_at(t, p)], &slope);
    };
    for_neighbours<T, CRYSTAL>(t, i, place, t.reach, 0.0, add, [](int, const double *) {});
    set_weights<T>(t, place, t.kind_number[kind], cu_warp_sum((double)cn));
}

/* C6 and dC6/dCN_i where pairs of references are dropped */
template <typename T>
static __device__ __noinline__ void long_way(const struct cu_terms *t, int i, int j, int zi, int zj,
                                             T *c6, T *dc6)
{
    const T *w_all = (const T *)t->w, *dw_all = (const T *)t->dw, *s_all = (const T *)t->s;
    const int fi = t->d3.first[zi], ni = t->d3.first[zi + 1] - fi, fj = t->d3.first[zj],
              nj = t->d3.first[zj + 1] - fj;
    double num = 0, den = 0, dnum = 0, dden = 0;
    for (int a = 0; a < ni; a++)
        for (int b = 0; b < nj; b++) {
            const size_t ka = (size_t)i * D3_ROW + a, kb = (size_t)j * D3_ROW + b;
            if ((double)s_all[ka] + (double)s_all[kb] < t->d3.weight_floor)
                continue;
            const double c = t->d3.c6[(size_t)(fi + a) * t->d3.n_refs + fj + b],
                         w = (double)w_all[ka] * (double)w_all[kb],
                         dw = (double)dw_all[ka] * (double)w_all[kb];
            num += w * c;
            den += w;
            dnum += dw * c;
            dden += dw;
        }
    *c6 = (T)(num / den);
    *dc6 = (T)((dnum - num / den * dden) / den);
}

/* What an atom contributes to a pair with each kind of atom. */
template <typename T> struct alignas(16) kind_row {
    T g[D3_ROW], dg[D3_ROW]; /* sum_a w_a c6[a][b], d/dCN of it */
    T c8, r06, r08;          /* s8 3 r4r2 r4r2, powers of the damping radius */
    int n;
};

template <typename T>
static __device__ void fill_rows(const struct cu_terms &t, int place, int z, kind_row<T> *row)
{
    const T *w = (const T *)t.w + (size_t)place * D3_ROW,
            *dw = (const T *)t.dw + (size_t)place * D3_ROW;
    const int fi = t.d3.first[z], ni = t.d3.first[z + 1] - fi;
    for (int k = threadIdx.x % 32; k < t.kinds * D3_ROW; k += 32) {
        const int kind = k / D3_ROW, b = k % D3_ROW, zj = t.kind_number[kind], fj = t.d3.first[zj],
                  nj = t.d3.first[zj + 1] - fj;
        double g = 0, dg = 0;
        for (int a = 0; a < ni && b < nj; a++) {
            const double c = t.d3.c6[(size_t)(fi + a) * t.d3.n_refs + fj + b];
            g += (double)w[a] * c;
            dg += (double)dw[a] * c;
        }
        row[kind].g[b] = (T)g;
        row[kind].dg[b] = (T)dg;
        if (b == 0) {
            const double ratio = aim_d3_c8_ratio(t.d3.r4r2[z], t.d3.r4r2[zj]),
                         r0 = aim_d3_radius(ratio, t.a1, t.a2), r2 = r0 * r0, r4 = r2 * r2;
            row[kind].c8 = (T)(t.s8 * ratio);
            row[kind].r06 = (T)(r4 * r2);
            row[kind].r08 = (T)(r4 * r4);
            row[kind].n = nj;
        }
    }
    __syncwarp();
}

/* damping times switch, and -d/dd of it divided by d (bohr): aim_d3_damping and aim_cutoff_s5 */
template <typename T>
static __device__ __forceinline__ T damped(T d2, T inv_d, T s6, const kind_row<T> &k, T on,
                                           T inv_width, T *f)
{
    d2 = min(d2, (T)1e8); /* farther pairs do not count, their powers overflow */
    const T d4 = d2 * d2, d6 = d4 * d2, ia = fast_inverse(d6 + k.r06),
            ib = fast_inverse(d4 * d4 + k.r08);
    T v = s6 * ia + k.c8 * ib, slope = (T)6 * s6 * d4 * ia * ia + (T)8 * k.c8 * d6 * ib * ib;
    if (inv_width > (T)0) {
        const T x = (d2 * inv_d - on) * inv_width, t = min(max(x, (T)0), (T)1), u = (T)1 - t,
                sw = (T)1 - t * t * t * ((T)10 + t * ((T)6 * t - (T)15));
        slope = slope * sw + v * ((T)30 * inv_width * t * t * u * u) * inv_d;
        v *= sw;
    }
    *f = slope;
    return v;
}

template <typename T, int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) d3_energy(const __grid_constant__ struct cu_terms t)
{
    cu_wait();
    extern __shared__ __align__(16) unsigned char table[]; /* [warps][kinds] */
    int place;
    const int i = warp_atom(t, &place);
    if (i < 0)
        return;
    const int z = t.kind_number[kind_at(t, place)];
    kind_row<T> *mine = (kind_row<T> *)table + threadIdx.x / 32 * t.kinds;
    fill_rows(t, place, z, mine);
    const double off = fmin(t.cutoff * AIM_BOHR_INV, 1e20),
                 start = t.cutoff * (1.0 - t.smoothing) * AIM_BOHR_INV;
    const T on = (T)start, s6 = (T)t.s6, low = ((const T *)t.low)[place],
            floor_e = (T)t.d3.weight_floor,
            inv_width = (T)(start < off && isfinite(t.cutoff) ? 1.0 / (off - start) : 0.0);
    pull<T> p = {};
    double e = 0;
    T ecn = 0;
    auto add = [&](int at, const T r[3]) {
        const int kind = kind_at(t, at);
        const kind_row<T> &row = mine[kind];
        const T d2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], inv = inverse_root(d2);
        T c6 = 0, dc6 = 0, f;
        if (low + ((const T *)t.low)[at] < floor_e) {
            long_way<T>(&t, place, at, z, t.kind_number[kind], &c6, &dc6);
        } else {
            const vec4<T> *w = (const vec4<T> *)((const T *)t.w + (size_t)at * D3_ROW);
            const vec4<T> w0 = w[0];
            c6 = w0.x * row.g[0] + w0.y * row.g[1] + w0.z * row.g[2] + w0.w * row.g[3];
            dc6 = w0.x * row.dg[0] + w0.y * row.dg[1] + w0.z * row.dg[2] + w0.w * row.dg[3];
            if (row.n > 4) {
                const vec4<T> w1 = w[1];
                c6 += w1.x * row.g[4] + w1.y * row.g[5] + w1.z * row.g[6] + w1.w * row.g[7];
                dc6 += w1.x * row.dg[4] + w1.y * row.dg[5] + w1.z * row.dg[6] + w1.w * row.dg[7];
            }
        }
        const T v = damped(d2 * (T)(AIM_BOHR_INV * AIM_BOHR_INV), inv * (T)AIM_BOHR, s6, row, on,
                           inv_width, &f);
        e += (double)(c6 * v);
        ecn += dc6 * v;
        add_pull(&p, r, c6 * f, t.want_strain);
    };
    for_neighbours<T, CRYSTAL>(t, i, place, fmin(t.reach, t.cutoff), 0.0, add,
                               [](int, const double *) {});
    e = cu_warp_sum(e);
    const double cn_pull = cu_warp_sum((double)ecn);
    if (t.want_grad) { /* f is per bohr^2, r in Angstrom */
        const pull<double> none = {};
        finish_pull(both_pulls(p, -AIM_HARTREE * AIM_BOHR_INV * AIM_BOHR_INV, none), i,
                    t.want_strain, NULL, NULL, t.grad_side, t.virial_side);
    }
    if (threadIdx.x % 32)
        return;
    t.e[2 * (size_t)t.n + i] = -0.5 * AIM_HARTREE * e;
    ((T *)t.cn_grad)[place] = (T)-cn_pull;
}

template <typename T, int CRYSTAL>
static void launch_d3(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    const int blocks = (t->n + WARPS - 1) / WARPS;
    d3_weights<T, CRYSTAL><<<blocks, WARPS * 32, 0, stream>>>(*t);
    cu_launch(s, stream, blocks, WARPS * 32, WARPS * t->kinds * sizeof(kind_row<T>),
              d3_energy<T, CRYSTAL>, *t);
}

template <typename T> static void prepare(void)
{
    const int bytes = WARPS * AIM_DEV_SPECIES * (int)sizeof(kind_row<T>);
    cudaFuncSetAttribute(d3_energy<T, 0>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncSetAttribute(d3_energy<T, 1>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

void cu_terms_prepare(cu_state *s)
{
    prepare<float>();
    prepare<double>();
    cu_check(s, "the shared memory of D3");
}

void cu_d3(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    if (t->cells.grid && t->is_double)
        launch_d3<double, 1>(s, stream, t);
    else if (t->cells.grid)
        launch_d3<float, 1>(s, stream, t);
    else if (t->is_double)
        launch_d3<double, 0>(s, stream, t);
    else
        launch_d3<float, 0>(s, stream, t);
    cu_check(s, "the dispersion energy");
}
