/* SPDX-License-Identifier: MIT */
/* conv16_gather.h - what the warp of an atom gathers from the adjoints of its neighbours' sums, in the
 * adjoint of the convolution: by atoms (conv16_back.cu) and by molecules (conv16_molecule.cu). */
#ifndef AIM_CUDA_CONV16_GATHER_H
#define AIM_CUDA_CONV16_GATHER_H

#include "backend/cuda/conv16_tug.h"

enum {
    CHUNK = 4,
    BATCH8 = 2 * CHUNK, /* neighbours whose radial functions are made at once */
    SHARES = 36         /* of a tug: of 32 lanes, each of one number, and four of the charges */
};

/* Number `which` of the tug whose shares are in the row. */
static __device__ __forceinline__ float sum_shares(const float *row, int which)
{
    float sum = row[which];
#pragma unroll
    for (int k = 4; k < SHARES; k += 4)
        sum += row[k + which];
    return sum;
}

/* The lane's, in a row where all lanes have read what was there. */
static __device__ __forceinline__ void leave_share(float *row, float x)
{
    __syncwarp();
    row[threadIdx.x % 32] = x;
}

/* Neighbour k: adds what its sums give back to the atom's features a; leaves the shares of the tug in place
 * of the radial functions. rows: the adjoints of the sums, from atom `zero` on. */
template <int N>
static __device__ __forceinline__ void gather(const float *rows, int zero, neighbours<N, 1> &b,
                                              int k, const float4 a[2], float4 ga[2])
{
    const int lane = threadIdx.x % 32, column = lane * 4;
    const float *s = rows + (size_t)(b.j[k] - zero) * 4 * COLUMNS + column;
    const float4 u = b.u[k], gs = load4(&b.radial[k][column % GP]);
    tug4 t = {};
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const sums4 x = load_sums(s + h * HALF, COLUMNS);
        const float4 w = give_back(x, u);
        add_product(&ga[h], gs, w);
        add_tug(&t, a[h], x, w);
    }
    leave_share(b.radial[k], fold(t, gs, load4(&b.radial[k][GP + column % GP])));
}

/* The same of the reverse pair, which has the opposite direction: the lane's share. own: the atom's adjoints. */
template <int N>
static __device__ __forceinline__ float reverse(const cu_conv<float> &c, const neighbours<N, 1> &b,
                                                int k, const sums4 own[2])
{
    const int lane = threadIdx.x % 32, column = lane * 4;
    const float *a = c.a + (size_t)b.j[k] * COLUMNS + column;
    const float4 back = turn_round(b.u[k]), gs = load4(&b.radial[k][column % GP]);
    tug4 t = {};
#pragma unroll
    for (int h = 0; h < 2; h++)
        add_tug(&t, load4(a + h * HALF), own[h], give_back(own[h], back));
    return fold(t, gs, load4(&b.radial[k][GP + column % GP]));
}

/* Charges of neighbour `at`, which lanes of a group have in common: features that are the same in all
 * columns. The atom's own, i, and its neighbours change places in the reverse pair. *give: what they give back. */
template <int REVERSE, int N>
static __device__ __forceinline__ float share_of_charges(const cu_conv<float> &c,
                                                         const neighbours<N, 1> &b,
                                                         const charge_lane &l, int i, int at,
                                                         float *give)
{
    const int j = b.j[at], columns = c.nc * GP;
    const float q = c.q[(size_t)(REVERSE ? j : i) * c.nc + l.column / GP];
    const sums4 x =
        load_sums(c.sq_adj + (size_t)(REVERSE ? i : j) * 4 * columns + l.column, columns);
    const float4 u = REVERSE ? turn_round(b.u[at]) : b.u[at],
                 gs = load4(&b.radial[at][l.column % GP]), w = give_back(x, u);
    tug4 t = {};
    add_tug(&t, make_float4(q, q, q, q), x, w);
    float z = fold(t, gs, load4(&b.radial[at][GP + l.column % GP]));
    if (l.width > 4)
        z += __shfl_xor_sync(0xffffffffu, z, 4);
    *give = dot(gs, w);
    return z;
}

/* Those of neighbour k of n, whose share is left in its row. */
template <int REVERSE, int N>
static __device__ __forceinline__ float tug_charges(const cu_conv<float> &c,
                                                    const neighbours<N, 1> &b, const charge_lane &l,
                                                    int i, int k, int n, float (*share)[SHARES])
{
    const int own = k >= 0 && k < n, lane = threadIdx.x % 32;
    float give;
    const float z = share_of_charges<REVERSE>(c, b, l, i, own ? k : 0, &give);
    if (own && lane % l.width < 4)
        share[k][32 + lane % 4] = z;
    return own ? give : 0.0f;
}

/* From the lanes' sums. */
static __device__ __forceinline__ void leave_charges(const cu_conv<float> &c, const charge_lane &l,
                                                     int i, float sum)
{
    const int lane = threadIdx.x % 32;
    sum = sum_above(sum, l.width);
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    if (lane < l.width && lane % 4 == 0)
        c.gq[(size_t)i * c.nc + lane / 4] += sum;
}

/* What the neighbours of atom i give back to its features a and, the lane's part, to its charges; tugs of
 * its pairs. rows, zero: as gather() has them. */
static __device__ __forceinline__ float
gather_atom(const cu_conv<float> &c, neighbours<BATCH8, 1> *b, const float *rows, int zero,
            const charge_lane &l, int i, int n, const float4 a[2], float4 ga[2])
{
    const int lane = threadIdx.x % 32;
    float gq = 0;
    coming next = fetch<32>(c, i, 0, n);
    ready now = {};
    for (int first = 0; first < n; first += BATCH8) {
        const int m = min((int)BATCH8, n - first), from = first % 32;
        if (from == 0) {
            now = with_cutoff(c, next);
            next = fetch<32>(c, i, first + 32, n);
        }
        fill(c, b, now, from, m);
        for (int k = l.group; k - l.group < m; k += l.groups)
            gq += tug_charges<0>(c, *b, l, i, k, m, b->radial);
#pragma unroll 1
        for (int half = 0; half < m; half += CHUNK) {
            float4 chunk[2] = {};
#pragma unroll 1
            for (int k = half; k < min(m, half + CHUNK); k++)
                gather(rows, zero, *b, k, a, chunk);
            add4(&ga[0], chunk[0], 1.0f);
            add4(&ga[1], chunk[1], 1.0f);
        }
        __syncwarp();
        const float tug = sum_shares(b->radial[lane / 4], lane % 4);
        if (lane / 4 < m)
            c.tug[((size_t)i * c.capacity + first) * 4 + lane] = tug;
    }
    return gq;
}

/* The force on atom i, once the tugs of all its pairs are there, and those of other passes that were kept,
 * the last pass first. */
template <int STRAIN>
static __device__ __forceinline__ void pull_atom(const cu_conv<float> &c, int i)
{
    const int n = c.count[i];
    double all[PULLS] = {}, sum[PULLS];
    if (threadIdx.x % 32 == 0)
        load_pulls<STRAIN>(c, i, all);
    for (int t = c.n_tugs - 1; t >= 0; t--) {
        pull_pairs<STRAIN>(c, kept_tugs(c, t), i, n, sum);
        add_pulls<STRAIN>(all, sum);
    }
    pull_pairs<STRAIN>(c, c.tug, i, n, sum);
    add_pulls<STRAIN>(all, sum);
    if (threadIdx.x % 32 == 0)
        store_pulls<STRAIN>(c, i, all);
}

#endif
