/* SPDX-License-Identifier: MIT */
/* launch.h - how kernels are launched one behind the other, and what each leaves of a processor to the
 * first-level cache.
 *
 * Shared memory and that cache are parts of one memory (256 KB of a Hopper processor). Where a launch says
 * nothing, the parts stay as the kernel in front has had them, if that suffices: behind a large product,
 * which takes 228 KB of shared memory, a kernel that gathers had a cache of 28 KB (docs/performance.md). So
 * kernels that live on the cache are launched by cu_launch_cached(). */
#ifndef AIM_BACKEND_CUDA_LAUNCH_H
#define AIM_BACKEND_CUDA_LAUNCH_H

#include <cuda_runtime.h>

/* Remembers the first failure; every later step is skipped. */
typedef struct cu_state {
    cudaError_t code;
    const char *what;
    int joined; /* the next kernel waits for another stream as well, and cannot come early */
} cu_state;

/* Whether a kernel may start before the one in front of it has ended: all cards know how. */
extern int cu_overlap;

enum { CU_NO_WISH = -1 };

/* Of the shared memory that a processor can have, the percentage that `blocks` blocks of the kernel need. */
static inline int cu_shared_percent(const void *kernel, size_t shared, int blocks)
{
    enum { OTHER = 1024 }; /* of a block, beside its own */
    cudaFuncAttributes own;
    int device, most;
    if (cudaFuncGetAttributes(&own, kernel) != cudaSuccess || cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerMultiprocessor, device) != cudaSuccess)
        return CU_NO_WISH;
    const size_t need = (size_t)blocks * (own.sharedSizeBytes + shared + OTHER),
                 percent = (100 * need + (size_t)most - 1) / (size_t)most;
    return percent < 100 ? (int)percent : 100;
}

template <typename... P, typename... A>
static inline void cu_launch_wishing(cu_state *s, cudaStream_t stream, dim3 grid, dim3 threads, size_t shared,
                                     int percent, void (*kernel)(P...), A... args)
{
    cudaLaunchAttribute wish[2];
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = threads;
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    config.attrs = wish;
    if (cu_overlap && !s->joined) {
        cudaLaunchAttribute *early = &wish[config.numAttrs++];
        early->id = cudaLaunchAttributeProgrammaticStreamSerialization;
        early->val.programmaticStreamSerializationAllowed = 1;
    }
    if (percent != CU_NO_WISH) {
        cudaLaunchAttribute *part = &wish[config.numAttrs++];
        part->id = cudaLaunchAttributePreferredSharedMemoryCarveout;
        part->val.sharedMemCarveout = (unsigned)percent;
    }
    s->joined = 0;
    (void)cudaLaunchKernelEx(&config, kernel, (P)args...);
}

/* Launches a kernel that begins with cu_wait(), and may come early. */
template <typename... P, typename... A>
static inline void cu_launch(cu_state *s, cudaStream_t stream, dim3 grid, dim3 threads, size_t shared,
                             void (*kernel)(P...), A... args)
{
    cu_launch_wishing(s, stream, grid, threads, shared, CU_NO_WISH, kernel, args...);
}

/* The same for a kernel that lives on the first-level cache, of which no more is taken away than so many blocks on a
 * processor need. */
template <typename... P, typename... A>
static inline void cu_launch_cached(cu_state *s, cudaStream_t stream, dim3 grid, dim3 threads, size_t shared,
                                    int blocks, void (*kernel)(P...), A... args)
{
    cu_launch_wishing(s, stream, grid, threads, shared,
                      cu_shared_percent((const void *)kernel, shared, blocks), kernel, args...);
}

#if defined(__CUDACC__)
/* Lets the next kernel start, and waits for the end of the one before: what was written there must
 * not be read, or overwritten, earlier. Weights may. */
static __device__ __forceinline__ void cu_wait(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;" ::: "memory");
#endif
}
#endif

#endif
