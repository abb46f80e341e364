/* SPDX-License-Identifier: MIT */
/* conv16_project.cu - the adjoint of the projection (conv.cu) in float for the usual sizes: a warp is an
 * atom, or three warps are its halves of the columns and its charges. */
#include "backend/cuda/conv16_unproject.h"

enum {
    PROJECT_WARPS = 4,
    PROJECT_BLOCKS = 6 /* on a processor: three more would fit, but not in what the cache leaves */
};

/* Both warps of an atom get each other's half. */
static __device__ __forceinline__ void exchange(float4 s[2][4])
{
    __shared__ float4 halves[2][4][32];
    const int own = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (int d = 0; d < 4; d++)
        halves[own][d][lane] = own ? s[1][d] : s[0][d];
    __syncthreads();
#pragma unroll
    for (int h = 0; h < 2; h++)
        for (int d = 0; d < 4; d++)
            s[h][d] = halves[h][d][lane];
}

/* Of a channel of each half. */
static __device__ __forceinline__ float by_halves(float e0, float a, float e1, float b)
{
    return fmaf(e1, b, __fmul_rn(e0, a));
}

/* What an atom of each element would receive: sum over the channels of its embedding; of the elements
 * first, first + step, ... */
static __device__ __forceinline__ void by_element(const cu_conv<float> &c, int i, int first, int step,
                                                  const float4 s[2][4])
{
    const int column = threadIdx.x % 32 * 4;
    for (int z = first; z < c.kinds; z += step) {
        const float *e = c.a + (size_t)c.kind_species[z] * COLUMNS + column;
        const float4 e0 = load4(e), e1 = load4(e + HALF);
#pragma unroll
        for (int d = 0; d < 4; d++) {
            const float4 a = s[0][d], b = s[1][d],
                         t = sum_above4(make_float4(by_halves(e0.x, a.x, e1.x, b.x),
                                                    by_halves(e0.y, a.y, e1.y, b.y),
                                                    by_halves(e0.z, a.z, e1.z, b.z),
                                                    by_halves(e0.w, a.w, e1.w, b.w)),
                                        4);
            if (threadIdx.x % 32 < 4)
                *(float4 *)(c.e_adj + (((size_t)i * c.kinds + z) * 4 + d) * GP + column) = t;
        }
    }
}

/* SPLIT: all warps, one atom. */
template <int EMBED, int WARPS, int SPLIT>
__global__ void __launch_bounds__(WARPS * 32)
    project_backward16(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ float weights[WARPS][NF * W_STRIDE];
    float *w = weights[threadIdx.x / 32];
    /* from the last atom to the first: what was written last is read first, here and by the gathering */
    const int block = gridDim.x - 1 - blockIdx.x,
              i = c.first + (SPLIT ? block : block * WARPS + threadIdx.x / 32),
              lane = threadIdx.x % 32, column = lane * 4;
    if (i >= c.first + c.n)
        return;
    const float *gx = c.gx + (size_t)i * c.ldx;
    if (owns<SPLIT>(FIRST_HALF) || owns<SPLIT>(SECOND_HALF))
        weigh_features(c, gx, w, i, SPLIT && threadIdx.x / 32 == SECOND_HALF ? NF / 2 : 0,
                       SPLIT && threadIdx.x / 32 == FIRST_HALF ? NF / 2 : NF);
    float4 s[2][4] = {};
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (!owns<SPLIT>(h))
            continue;
        unproject_half(c, gx, w, h, s[h]);
        if (c.s_adj)
#pragma unroll
            for (int d = 0; d < 4; d++)
                *(float4 *)(c.s_adj + ((size_t)i * 4 + d) * COLUMNS + h * HALF + column) = s[h][d];
    }
    if (EMBED) {
        if (SPLIT)
            exchange(s);
        by_element(c, i, SPLIT ? threadIdx.x / 32 : 0, SPLIT ? 2 : 1, s);
        return;
    }
    if (owns<SPLIT>(CHARGES))
        unproject_charges(c, gx, w, i);
#pragma unroll
    for (int h = 0; h < 2; h++)
        if (owns<SPLIT>(h))
            *(float4 *)(c.ga + (size_t)i * COLUMNS + h * HALF + column) = own_adjoint(c, gx, i, h);
}

/* ---------------------------------------------------------------- few atoms */

enum { FEW_THREADS = COLUMNS + 32, KINDS_ONCE = COLUMNS / (4 * GP) };

/* An atom, a block: a thread for every column, a warp for the charges. */
struct few_space {
    float w[NF * W_STRIDE], wq[2 * W_STRIDE]; /* 2 v gxv */
    float s[4][COLUMNS];
};

/* The column's gS of the vectors, as unproject() has it. w: of its channel; a: its combinations. */
static __device__ __forceinline__ void unproject_few(const float *w, const float a[HP], int ncomb,
                                                     float s[4])
{
#pragma unroll
    for (int d = 0; d < 3; d++)
        s[d + 1] = 0.0f;
#pragma unroll
    for (int h = 0; h < HP; h += 4) {
        if (h >= ncomb)
            break;
#pragma unroll
        for (int d = 0; d < 3; d++) {
            const float4 y = load4(w + d * HP + h);
            s[d + 1] = fmaf(a[h], y.x, s[d + 1]);
            s[d + 1] = fmaf(a[h + 1], y.y, s[d + 1]);
            s[d + 1] = fmaf(a[h + 2], y.z, s[d + 1]);
            s[d + 1] = fmaf(a[h + 3], y.w, s[d + 1]);
        }
    }
}

/* The thread's number of each channel of the embedding of element z. */
static __device__ __forceinline__ void load_element(const cu_conv<float> &c, int z, float e[NF])
{
    const float *of = c.a + (size_t)c.kind_species[z] * COLUMNS + threadIdx.x % GP;
#pragma unroll
    for (int f = 0; f < NF; f++)
        e[f] = of[f * GP];
}

/* by_element() by a thread for each number of four elements at a time. e: what it needs of the first. */
static __device__ __forceinline__ void by_element_few(const cu_conv<float> &c, int i, float e[NF],
                                                      const float (*s)[COLUMNS])
{
    const int d = threadIdx.x / GP % 4, g = threadIdx.x % GP;
    for (int z = threadIdx.x / (4 * GP); z < c.kinds; z += KINDS_ONCE) {
        float t[NF / 2];
#pragma unroll
        for (int f = 0; f < NF / 2; f++)
            t[f] = by_halves(e[f], s[d][f * GP + g], e[f + NF / 2], s[d][(f + NF / 2) * GP + g]);
        c.e_adj[(((size_t)i * c.kinds + z) * 4 + d) * GP + g] =
            ((t[0] + t[1]) + (t[2] + t[3])) + ((t[4] + t[5]) + (t[6] + t[7]));
        if (z + KINDS_ONCE < c.kinds)
            load_element(c, z + KINDS_ONCE, e);
    }
}

template <int EMBED>
__global__ void __launch_bounds__(FEW_THREADS)
    project_backward_few(const __grid_constant__ cu_conv<float> c)
{
    __shared__ __align__(16) few_space space;
    const int i = c.first + blockIdx.x, t = threadIdx.x, lane = t % 32, charges = t >= COLUMNS,
              columns = charges ? c.nc * GP : COLUMNS, column = charges ? lane : t,
              active = column < columns && !(EMBED && charges),
              ncomb = charges ? c.q_ncomb : c.ncomb;
    const float *agh = charges ? c.q_agh_h : c.agh_h, *gx = c.gx + (size_t)i * c.ldx;
    float a[HP], e[NF], s[4], own = 0.0f, later = 0.0f;
#pragma unroll
    for (int h = 0; h < HP; h++)
        a[h] = active ? agh[h * columns + column] : 0.0f;
    cu_wait();
    if (t < 12 * NF)
        weigh_part(space.w, t, NF, c.ncomb, vectors(c, i), gx + c.col.xv, c.ncomb % 4 == 0);
    if (!EMBED && charges && lane < 12 * c.nc)
        weigh_part(space.wq, lane, c.nc, c.q_ncomb, charge_vectors(c, i), gx + c.col.qv,
                   c.q_ncomb % 4 == 0 && c.col.qv % 4 == 0);
    s[0] = active ? gx[(charges ? c.col.qs : c.col.xs) + column] : 0.0f;
    if (EMBED && !charges && t / (4 * GP) < c.kinds)
        load_element(c, t / (4 * GP), e);
    if (!EMBED && !charges) {
        own = gx[c.col.a + column];
        if (c.ga_later)
            later = c.ga_later[(size_t)i * COLUMNS + column];
        c.ga[(size_t)i * COLUMNS + column] = c.ga_later ? own + later : own;
    }
    if (!EMBED && charges && lane < c.nc)
        c.gq[(size_t)i * c.nc + lane] += gx[c.col.q + lane];
    __syncthreads();
    unproject_few((charges ? space.wq : space.w) + column / GP * W_STRIDE, a, ncomb, s);
    float *to = charges ? c.sq_adj : c.s_adj;
#pragma unroll
    for (int d = 0; d < 4; d++) {
        if (EMBED)
            space.s[d][column] = s[d];
        if (active && to) /* of the first pass: only tangents read them */
            to[((size_t)i * 4 + d) * columns + column] = s[d];
    }
    if (!EMBED)
        return;
    __syncthreads();
    if (!charges)
        by_element_few(c, i, e, space.s);
}

template <int EMBED>
static void launch_project(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->n < FEW_PROJECT)
        cu_launch(s, stream, c->n, FEW_THREADS - 32 * EMBED, 0, project_backward_few<EMBED>, *c);
    else if (c->n < FEW)
        cu_launch(s, stream, c->n, 32 * ATOM_WARPS<EMBED>, 0,
                  project_backward16<EMBED, ATOM_WARPS<EMBED>, 1>, *c);
    else
        cu_launch_cached(s, stream, (c->n + PROJECT_WARPS - 1) / PROJECT_WARPS, 32 * PROJECT_WARPS, 0,
                         PROJECT_BLOCKS, project_backward16<EMBED, PROJECT_WARPS, 0>, *c);
}

void cu_conv16_project_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->features == CU_EMBED)
        launch_project<1>(s, stream, c);
    else if (!c->largest) /* else where they are gathered */
        launch_project<0>(s, stream, c);
}

/* ---------------------------------------------------------------- tables */

__global__ void turn(const float *agh, int nf, int gp, int hp, int ncomb, int row, float *by_shift,
                     float *by_combination)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x, h = k % hp, g = k / hp % gp,
              f = k / hp / gp;
    if (f >= nf)
        return;
    if (h < cu_vector_row(ncomb))
        by_shift[g * row + f * cu_vector_row(ncomb) + h] = agh[k];
    by_combination[(h * nf + f) * gp + g] = agh[k];
}

void cu_turn_agh(cudaStream_t stream, const aim_dev_conv *a, int gp, int row, float *by_shift,
                 float *by_combination)
{
    const int n = a->nf * gp * a->hp;
    turn<<<(n + 255) / 256, 256, 0, stream>>>((const float *)a->agh, a->nf, gp, a->hp, a->ncomb, row,
                                              by_shift, by_combination);
}
