/* SPDX-License-Identifier: MIT */
/* chain.h - layers of a pass in one kernel (chain.cu): sizes, what blocks and threads know, instructions of
 * clusters. */
#ifndef AIM_CUDA_CHAIN_H
#define AIM_CUDA_CHAIN_H

#include "backend/cuda/warpgroup.h"

enum {
    ROWS = 64,  /* of a cluster */
    GROUPS = 2, /* of four warps that multiply */
    WARPS = 4 * GROUPS,
    THREADS = 32 * WARPS + 128, /* and a group of which one thread fetches */
    MULTIPLIER = 232,           /* registers of a thread that multiplies, */
    FETCHER = 40,               /* and of the others */
    MOST_STAGES = 24,           /* steps of weights in shared memory */
    LEAST_STAGES = 5,
    STEP_ROWS = ROWS * CU_STEP * 4, /* bytes of a step of split rows */
    MAXIMA = 2 * ROWS * 4,
    BARS = 8 * (2 * MOST_STAGES + 3),
    SHARED = 232448,
    ROOM = SHARED - 128 - MAXIMA - BARS,
    LEAST_ROWS = 161, /* those of mlp.cu are faster with fewer */
    MOST_ROWS = 2048,
    MOST_COLUMNS = 768, /* of a layer; */
    MOST_UPDATE = 384   /* of one that is an update */
};

/* Columns of a group of one of so many blocks that have all columns of a layer together: parts, of which there
 * are one to four, six or eight. Each number has code of its own. */
static __host__ __device__ constexpr int part_of(int blocks)
{
    return blocks == 4 ? 16 : 8;
}
static __host__ __device__ constexpr int group_columns(int blocks, int all)
{
    const int part = part_of(blocks), parts = (all + 2 * blocks * part - 1) / (2 * blocks * part);
    return (parts > 4 ? parts + parts % 2 : parts) * part;
}

struct chain_args {
    cu_gemm<float> g[CU_CHAIN];
    int width[CU_CHAIN]; /* columns of a block */
    int ends[CU_CHAIN];  /* where factors and biases of a layer's columns stand in shared memory */
    int layers, most_steps, stages, slot, end_bytes; /* slot: bytes of a stage */
    char *split;                                     /* what blocks send, [clusters][most_steps] */
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/* Stages in shared memory, in turns. */
struct chain_ring {
    unsigned stages, full, empty; /* addresses */
    int s, count, bytes;
    unsigned parity;
    __device__ __forceinline__ void next(void)
    {
        if (++s == count)
            s = 0, parity ^= 1;
    }
};

/* What a thread that multiplies knows of itself. Its rows: `row` and the eighth after that. */
struct chain_self {
    int rank, group, warp, lane; /* warp: of the group */
    int row;
    unsigned rows, largest; /* in shared memory: split rows; maxima of rows, two turns; */
    const char *ends;       /* factors and biases */
    unsigned ready, met;    /* barriers: rows have come; maxima have */
    char *split;            /* of the cluster */
    float scale[2], inverse[2];
};

/* ---------------------------------------------------------------- instructions of clusters */

static __device__ __forceinline__ void cluster_meet(void)
{
    asm volatile("barrier.cluster.arrive.release.aligned;\n\t"
                 "barrier.cluster.wait.acquire.aligned;" ::
                     : "memory");
}

/* The same place in shared memory of another block of the cluster. */
static __device__ __forceinline__ unsigned place_of(unsigned address, int block)
{
    unsigned there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(block));
    return there;
}

/* Raises a number there; the barrier counts its four bytes. */
static __device__ __forceinline__ void send_largest(unsigned to, unsigned bits, unsigned bar)
{
    asm volatile("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.max.u32 "
                 "[%0], %1, [%2];" ::"r"(to),
                 "r"(bits), "r"(bar)
                 : "memory");
}

/* To the same place of all blocks, whose barriers at the same place count the bytes. */
static __device__ __forceinline__ void copy_to_all(int blocks, unsigned to, const void *from,
                                                   unsigned bytes, unsigned bar)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(bar), "h"((unsigned short)((1 << blocks) - 1))
                 : "memory");
}

static __device__ __forceinline__ void arrive_if(bool yes, unsigned bar)
{
    asm volatile("{.reg .pred p; setp.ne.s32 p, %0, 0; "
                 "@p mbarrier.arrive.shared::cta.b64 _, [%1];}" ::"r"((int)yes),
                 "r"(bar)
                 : "memory");
}

static __device__ __forceinline__ void load_shared(unsigned r[4], unsigned address)
{
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/* Of the threads that multiply. */
static __device__ __forceinline__ void groups_meet(void)
{
    asm volatile("bar.sync 1, %0;" ::"n"(32 * WARPS) : "memory");
}
#endif

#endif
