/* SPDX-License-Identifier: MIT */
/* direct.cu - the ends of an evaluation without copies: kernels read the batch from the host's pinned memory
 * and write the results there. A copy of few bytes costs more than these, and begins up to ten microseconds
 * after the kernel in front of it. Of few atoms the number of the evaluation comes behind the results: the host,
 * which looks for it, knows sooner than by waiting for the queue. */
#include "backend/cuda/direct.h"

enum { BLOCK = 256, RESULTS = 1024 };

/* Units of 16 bytes: n from one place to the other, then n_clear of zeros. */
__global__ void __launch_bounds__(BLOCK) bring(const uint4 *from, uint4 *to, int n, uint4 *clear,
                                               int n_clear)
{
    cu_wait();
    const int k = blockIdx.x * BLOCK + threadIdx.x;
    if (k < n)
        to[k] = from[k];
    else if (k < n + n_clear)
        clear[k - n] = uint4{};
}

/* `bytes`, a multiple of 8, and the ticket by the block that is last. */
__global__ void __launch_bounds__(RESULTS) leave(const char *from, char *to, int bytes, const int *ticket,
                                                 int *ended, volatile int *arrived)
{
    cu_wait();
    const int number = *ticket, whole = bytes / (int)sizeof(uint4);
    for (int k = blockIdx.x * RESULTS + threadIdx.x; k < whole; k += gridDim.x * RESULTS)
        ((uint4 *)to)[k] = ((const uint4 *)from)[k];
    if (bytes % sizeof(uint4) && blockIdx.x == 0 && threadIdx.x == 0)
        *(uint2 *)(to + sizeof(uint4) * whole) = *(const uint2 *)(from + sizeof(uint4) * whole);
    __syncthreads();
    if (threadIdx.x)
        return;
    __threadfence_system();
    if (gridDim.x > 1) {
        if (atomicAdd(ended, 1) < (int)gridDim.x - 1)
            return;
        __threadfence_system(); /* what other blocks have written comes before the ticket */
    }
    *arrived = number;
}

void cu_bring(cu_state *s, cudaStream_t stream, const void *in, void *to, size_t bytes, void *clear,
              size_t clear_bytes)
{
    const int n = (int)(bytes / sizeof(uint4)), n_clear = (int)(clear_bytes / sizeof(uint4));
    s->joined = 1; /* nothing in front of it */
    cu_launch(s, stream, (n + n_clear + BLOCK - 1) / BLOCK, BLOCK, 0, bring, (const uint4 *)in,
              (uint4 *)to, n, (uint4 *)clear, n_clear);
    cu_check(s, "taking the batch");
}

void cu_leave(cu_state *s, cudaStream_t stream, const void *from, void *out, size_t bytes,
              const int *ticket, int *ended, int *arrived)
{
    enum { BLOCKS = 8 }; /* as fast as the bus takes it */
    cu_launch(s, stream, ended ? BLOCKS : 1, RESULTS, 0, leave, (const char *)from, (char *)out,
              (int)bytes, ticket, ended, (volatile int *)arrived);
    cu_check(s, "leaving the results");
}
