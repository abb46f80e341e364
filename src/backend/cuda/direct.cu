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

__global__ void __launch_bounds__(BLOCK) send(const uint4 *from, uint4 *to, int n)
{
    cu_wait();
    const int k = blockIdx.x * BLOCK + threadIdx.x;
    if (k < n)
        to[k] = from[k];
}

/* One block, so that all is there before the ticket. */
__global__ void __launch_bounds__(RESULTS) leave(const uint4 *from, uint4 *to, int n, const int *ticket,
                                                 volatile int *arrived)
{
    cu_wait();
    const int number = *ticket;
    for (int k = threadIdx.x; k < n; k += RESULTS)
        to[k] = from[k];
    __syncthreads();
    if (threadIdx.x)
        return;
    __threadfence_system();
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

void cu_send(cu_state *s, cudaStream_t stream, const void *from, void *out, size_t bytes)
{
    const int n = (int)(bytes / sizeof(uint4));
    cu_launch(s, stream, (n + BLOCK - 1) / BLOCK, BLOCK, 0, send, (const uint4 *)from, (uint4 *)out, n);
    cu_check(s, "sending the results");
}

void cu_leave(cu_state *s, cudaStream_t stream, const void *from, void *out, size_t bytes,
              const int *ticket, int *arrived)
{
    cu_launch(s, stream, 1, RESULTS, 0, leave, (const uint4 *)from, (uint4 *)out,
              (int)(bytes / sizeof(uint4)), ticket, (volatile int *)arrived);
    cu_check(s, "leaving the results");
}
