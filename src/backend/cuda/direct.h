/* SPDX-License-Identifier: MIT */
/* direct.h - batch and results between kernels and the host's pinned memory (direct.cu). */
#ifndef AIM_BACKEND_CUDA_DIRECT_H
#define AIM_BACKEND_CUDA_DIRECT_H

#include "backend/cuda/cuda.h"

/* in, out, arrived: pinned memory; multiples of 16 bytes. clear: is set to zeros. */
void cu_bring(cu_state *s, cudaStream_t stream, const void *in, void *to, size_t bytes, void *clear,
              size_t clear_bytes);
enum { CU_FEW_BYTES = 1 << 20 }; /* a kernel takes them as fast as a copy, and begins sooner */
/* From the card to `out`, and the ticket once all is there. bytes: a multiple of 8. ended: zero, in which the blocks
 * count how many of them have ended; NULL: one block. */
void cu_leave(cu_state *s, cudaStream_t stream, const void *from, void *out, size_t bytes,
              const int *ticket, int *ended, int *arrived);

#endif
