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
