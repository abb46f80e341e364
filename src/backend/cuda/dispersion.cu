/* SPDX-License-Identifier: MIT */
/* dispersion.cu - DFT-D3 over the neighbours of an atom (term.h).
 *
 * Two sweeps as on the CPU (term/d3.c): coordination numbers and weights; energy with the derivative to
 * the coordination numbers. The third, forces through the coordination numbers, is one with the
 * Coulomb sum (term.cu). C6 is bilinear in the two atoms' normalised weights as long as no pair of
 * references falls below the floor; whether one can is known from each atom's smallest exponent, and
 * only such pairs take the long way. */
#include "backend/cuda/term.h"

enum { D3_ROW = CU_D3_ROW };

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
