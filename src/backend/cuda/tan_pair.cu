/* SPDX-License-Identifier: MIT */
/* tan_pair.cu - the part of the force's tangent that comes from the motion of the pairs.
 *
 * The force of a pair on its first atom is f = (gu - (u.gu) u)/d - gd u with the sums over columns
 *
 *     gd = sum dgs (t_0 - u.t),  gu = sum gs t,   t_0 = a_j S_i0 + a_i S_j0,  t = a_i S_j - a_j S_i
 *
 * of the convolution's adjoint (conv.cu). When the pair alone moves,
 *
 *     t(gd) = c td - tu.B,   t(gu) = td B,   B = sum dgs t,   c = sum ddgs (t_0 - u.t),
 *
 * so that eight numbers of a pair, added over all passes, serve all directions. */
#include "backend/cuda/tan_pair.h"

template <typename real>
static __device__ void sum_columns(const cu_conv<real> &c, const real *a, int features,
                                   const real *s_adj, int nf, int i, int j, const vec4<real> &u,
                                   double sum[CU_PAIR_SUMS])
{
    const int columns = nf * c.gp, fi = features == CU_EMBED ? c.species[i] : i,
              fj = features == CU_EMBED ? c.species[j] : j;
    radial<real> r = {};
    for (int k = threadIdx.x % 32, of = -1; k < columns; k += 32) {
        if (of != k % c.gp) /* with 16 or 32 shifts a lane has one */
            r = radial_of(c, of = k % c.gp, u.w);
        const real ai = features == CU_PLAIN ? a[(size_t)fi * nf + k / c.gp]
                                             : a[(size_t)fi * columns + k],
                   aj = features == CU_PLAIN ? a[(size_t)fj * nf + k / c.gp]
                                             : a[(size_t)fj * columns + k];
        const real *si = s_adj + (size_t)i * 4 * columns + k, *sj = s_adj + (size_t)j * 4 * columns + k;
        const real t[3] = {ai * sj[columns] - aj * si[columns],
                           ai * sj[2 * columns] - aj * si[2 * columns],
                           ai * sj[3 * columns] - aj * si[3 * columns]},
                   all = aj * si[0] + ai * sj[0] - (u.x * t[0] + u.y * t[1] + u.z * t[2]);
        sum[0] += (double)(r.d1 * all);
        for (int d = 0; d < 3; d++) {
            sum[1 + d] += (double)(r.v * t[d]);
            sum[4 + d] += (double)(r.d1 * t[d]);
        }
        sum[7] += (double)(r.d2 * all);
    }
}

/* A block is an atom, its warps share the neighbours. */
template <typename real> __global__ void __launch_bounds__(128) pair_sums(const cu_conv_tan<real> c)
{
    const cu_conv<real> &of = c.of;
    const int i = blockIdx.x, lane = threadIdx.x % 32;
    for (int k = threadIdx.x / 32; k < of.count[i]; k += 4) {
        const size_t p = (size_t)i * of.capacity + k;
        const vec4<real> u = of.u[p];
        double sum[CU_PAIR_SUMS] = {};
        sum_columns(of, of.a, of.features, of.s_adj, of.nf, i, of.j[p], u, sum);
        if (of.charges)
            sum_columns(of, of.q, (int)CU_PLAIN, of.sq_adj, of.nc, i, of.j[p], u, sum);
        for (int m = 0; m < CU_PAIR_SUMS; m++) {
            const double total = cu_warp_sum(sum[m]);
            if (lane == m)
                c.sums[p * CU_PAIR_SUMS + m] += total;
        }
    }
}
template <typename real>
void cu_pair_sums(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c)
{
    pair_sums<<<c->of.n, 128, 0, stream>>>(*c);
    cu_check(s, "the sums of pairs");
}

/* One warp per row. */
template <typename real>
__global__ void __launch_bounds__(128) pair_motion(const cu_conv_tan<real> c)
{
    const size_t row = (blockIdx.x * (size_t)blockDim.x + threadIdx.x) / 32;
    if (row >= (size_t)c.n_dir * c.of.n)
        return;
    const int dir = (int)(row / c.of.n), i = (int)(row % c.of.n);
    double g[3] = {0, 0, 0}, virial[9] = {0};
    for (int k = threadIdx.x % 32; k < c.of.count[i]; k += 32) {
        const size_t p = (size_t)i * c.of.capacity + k;
        const vec4<real> at = c.of.u[p], moved = pair_tangent(c, dir, i, c.of.j[p], at);
        const double u[3] = {(double)at.x, (double)at.y, (double)at.z},
                     tu[3] = {(double)moved.x, (double)moved.y, (double)moved.z}, d = (double)at.w,
                     td = (double)moved.w, inv = 1.0 / d, *s = c.sums + p * CU_PAIR_SUMS;
        double along = 0, talong = 0, tgd = s[7] * td;
        for (int e = 0; e < 3; e++) {
            along += u[e] * s[1 + e];
            talong += tu[e] * s[1 + e] + u[e] * td * s[4 + e];
            tgd -= tu[e] * s[4 + e];
        }
        for (int e = 0; e < 3; e++) {
            const double across = s[1 + e] - along * u[e], f = across * inv - s[0] * u[e],
                         tf = (td * s[4 + e] - talong * u[e] - along * tu[e]) * inv -
                              across * td * inv * inv - tgd * u[e] - s[0] * tu[e];
            g[e] += tf;
            for (int a = 0; c.tvirial && a < 3; a++)
                virial[3 * a + e] += d * u[a] * tf + (d * tu[a] + td * u[a]) * f;
        }
    }
    for (int e = 0; e < 3; e++) {
        const double sum = cu_warp_sum(g[e]);
        if (threadIdx.x % 32 == 0)
            c.tgrad[3 * row + e] += sum;
    }
    for (int e = 0; c.tvirial && e < 9; e++) {
        const double sum = cu_warp_sum(virial[e]);
        if (threadIdx.x % 32 == 0)
            c.tvirial[9 * row + e] -= 0.5 * sum;
    }
}
template <typename real>
void cu_pair_motion(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c)
{
    const size_t rows = (size_t)c->n_dir * c->of.n;
    pair_motion<<<(unsigned)((rows + 3) / 4), 128, 0, stream>>>(*c);
    cu_check(s, "the motion of pairs");
}

#define INSTANCE(real)                                                                             \
    template void cu_pair_sums(cu_state *, cudaStream_t, const cu_conv_tan<real> *);               \
    template void cu_pair_motion(cu_state *, cudaStream_t, const cu_conv_tan<real> *)
INSTANCE(float);
INSTANCE(double);
