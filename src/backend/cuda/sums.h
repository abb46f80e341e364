/* SPDX-License-Identifier: MIT */
/* sums.h - sums that one block forms, in an order that depends on nothing but its size. */
#ifndef AIM_CUDA_SUMS_H
#define AIM_CUDA_SUMS_H

#include "backend/cuda/cuda.h"

/* The sum of x over a block of BLOCK threads, for each of them: lanes, then warps in order. */
template <int BLOCK> static __device__ double cu_block_sum(double x)
{
    __shared__ double part[BLOCK / 32];
    x = cu_warp_sum(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = x;
    __syncthreads();
    double sum = part[0];
    for (int k = 1; k < BLOCK / 32; k++)
        sum += part[k];
    return sum;
}

/* total[m] = the sum of number m of f(i, numbers) over i < n, no more than 256, by one warp: to the bit
 * that of a block of 256 threads that have one i each (cu_block_sum). Four groups of 32 at once: where two
 * lanes exchange their shares, each goes on with half of the groups. */
template <int N, typename F>
static __device__ __forceinline__ void cu_sums_by_warp(int n, F f, double total[N])
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < N; m++)
        total[m] = 0;
#pragma unroll 1
    for (int base = 0; base < n; base += 128) {
        double x[4][N];
#pragma unroll
        for (int g = 0; g < 4; g++) {
#pragma unroll
            for (int m = 0; m < N; m++)
                x[g][m] = 0.0;
            if (base + 32 * g + lane < n)
                f(base + 32 * g + lane, x[g]);
        }
#pragma unroll
        for (int m = 0; m < N; m++) {
#pragma unroll
            for (int g = 0; g < 2; g++) {
                const double low = x[g][m], high = x[g + 2][m];
                x[g][m] = (lane & 16 ? high : low) +
                          __shfl_xor_sync(0xffffffffu, lane & 16 ? low : high, 16);
            }
            double sum = (lane & 8 ? x[1][m] : x[0][m]) +
                         __shfl_xor_sync(0xffffffffu, lane & 8 ? x[0][m] : x[1][m], 8);
            for (int d = 4; d > 0; d >>= 1)
                sum += __shfl_xor_sync(0xffffffffu, sum, d);
#pragma unroll
            for (int g = 0; g < 4; g++)
                total[m] += __shfl_sync(0xffffffffu, sum, 8 * g);
        }
    }
}

/* x[k] becomes x[1] + .. + x[k] for k = 1 .. n; one block of 1,024 threads, a stretch for each. */
static __device__ inline void cu_running_sum(int n, int *x)
{
    __shared__ int part[1024];
    const int each = (n + 1023) / 1024, first = 1 + threadIdx.x * each,
              last = min(first + each, n + 1);
    int sum = 0;
    for (int k = first; k < last; k++)
        sum += x[k];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int d = 1; d < 1024; d <<= 1) {
        const int other = (int)threadIdx.x >= d ? part[threadIdx.x - d] : 0;
        __syncthreads();
        part[threadIdx.x] += other;
        __syncthreads();
    }
    int before = part[threadIdx.x] - sum;
    for (int k = first; k < last; k++)
        x[k] = before += x[k];
}

#endif
