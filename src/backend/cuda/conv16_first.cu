/* SPDX-License-Identifier: MIT */
/* conv16_first.cu - the adjoint of the first convolution (conv.cu) in float for the usual sizes: the
 * neighbours' features are embeddings, and what an atom of each element would receive from an atom's sums
 * has been summed over channels (conv16_project.cu). So there are tugs only (conv16_tug.h), of 16 shifts:
 * four lanes, a pair. */
#include "backend/cuda/conv16_tug.h"

enum {
    BATCH8 = 8, /* pairs of a warp at once */
    FIRST_WARPS = 4,
    BLOCK_PAIRS = FIRST_WARPS * BATCH8
};

/* What the sums of atom `of` would give to an atom of kind z that they see in direction -u: the lane's
 * number of the tug. */
static __device__ __forceinline__ float tug_by(const cu_conv<float> &c, int of, int z,
                                               const float4 &u, const radial4 &r)
{
    const sums4 x = load_sums(
        c.e_adj + ((size_t)of * c.kinds + z) * 4 * GP + threadIdx.x % 4 * 4, GP);
    return fold(tug4{give_back(x, u), {x.s[1], x.s[2], x.s[3]}}, r.gs, r.dgs);
}

/* The lane's number of the tug of neighbour k of n of atom i, which is of kind z. SIDES: 2 with the reverse
 * one. All lanes come here. */
template <int SIDES>
static __device__ __forceinline__ float tug_of(const cu_conv<float> &c, int i, int z, int k, int n)
{
    const size_t p = (size_t)i * c.capacity + min(k, n - 1);
    const vec4<float> at = c.u[p];
    const float4 u = make_float4(at.x, at.y, at.z, at.w);
    const int j = c.j[p];
    float dfc;
    const float fc = cutoff(u.w, 1.0f / c.rc, &dfc);
    const radial4 r = radial_functions(c, u.w, fc, dfc, load4(c.shifts + threadIdx.x % 4 * 4));
    const float own = tug_by(c, j, z, u, r);
    return SIDES > 1 ? join_tugs(own, tug_by(c, i, c.kind[j], turn_round(u), r), threadIdx.x % 4)
                     : own;
}

/* A warp, an atom. */
template <int SIDES>
__global__ void __launch_bounds__(256) first_backward(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    const int i = c.first + (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= c.first + c.n)
        return;
    const int n = c.count[i], z = c.kind[i];
    for (int first = 0; first < n; first += BATCH8) {
        const float tug = tug_of<SIDES>(c, i, z, first + lane / 4, n);
        if (first + lane / 4 < n)
            c.tug[((size_t)i * c.capacity + first) * 4 + lane] = tug;
    }
}

/* Those of this pass, by the first warps; the sums to the first of them. */
template <int STRAIN>
static __device__ __forceinline__ void pull_first(const cu_conv<float> &c, int i, int n,
                                                  float (*tugs)[4], double sum[PULLS])
{
    const int k = threadIdx.x / 4, lane = threadIdx.x % 32, z = c.kind[i];
    pull<double> p = {};
#pragma unroll 1
    for (int first = 0; first < n; first += BLOCK_PAIRS) {
        if (first + k / BATCH8 * BATCH8 < n)
            tugs[k][threadIdx.x % 4] = tug_of<2>(c, i, z, first + k, n);
        asm volatile("bar.sync 1, %0;" ::"n"(32 * FIRST_WARPS) : "memory");
        if (threadIdx.x < 32 && first + lane < n)
            add_force<STRAIN>(&p, c.u[(size_t)i * c.capacity + first + lane], load4(tugs[lane]));
        asm volatile("bar.sync 1, %0;" ::"n"(32 * FIRST_WARPS) : "memory");
    }
    if (threadIdx.x < 32)
        sum_pulls<STRAIN>(p, sum);
}

/* Of few atoms: a block, an atom; warps behind the first ones have the other passes, the last one first. */
template <int STRAIN>
__global__ void __launch_bounds__(32 * (FIRST_WARPS + AIM_DEV_PASSES))
    first_backward_few(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ __align__(16) float tugs[BLOCK_PAIRS][4];
    __shared__ double others[AIM_DEV_PASSES][PULLS];
    const int i = c.first + blockIdx.x, n = c.count[i], lane = threadIdx.x % 32,
              other = (int)threadIdx.x / 32 - FIRST_WARPS;
    double sum[PULLS], all[PULLS];
    if (threadIdx.x == 0)
        load_pulls<STRAIN>(c, i, all);
    if (other >= 0) {
        pull_pairs<STRAIN>(c, kept_tugs(c, c.n_tugs - 1 - other), i, n, sum);
        if (lane == 0)
#pragma unroll
            for (int d = 0; d < (STRAIN ? PULLS : 3); d++)
                others[other][d] = sum[d];
    } else {
        pull_first<STRAIN>(c, i, n, tugs, sum);
    }
    __syncthreads();
    if (threadIdx.x)
        return;
    for (int t = 0; t < c.n_tugs; t++)
        add_pulls<STRAIN>(all, others[t]);
    add_pulls<STRAIN>(all, sum);
    store_pulls<STRAIN>(c, i, all);
}

void cu_conv16_first_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->n < FEW) {
        cu_launch(s, stream, c->n, 32 * (FIRST_WARPS + c->n_tugs), 0,
                  c->want_strain ? first_backward_few<1> : first_backward_few<0>, *c);
        return;
    }
    cu_launch(s, stream, (c->n + 7) / 8, 256, 0, c->back ? first_backward<1> : first_backward<2>, *c);
    cu_conv16_pull(s, stream, c);
}
