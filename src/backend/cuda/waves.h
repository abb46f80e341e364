/* SPDX-License-Identifier: MIT */
/* waves.h - the reciprocal halves of Ewald and PME sums on a card, system after system on one
 * stream; everything in double. They add to what the real-space kernel has left: gradients, dE/dq;
 * energies and strain derivatives of a system go to those of its first atom. */
#ifndef AIM_BACKEND_CUDA_WAVES_H
#define AIM_BACKEND_CUDA_WAVES_H

#include "backend/cuda/cuda.h"

enum {
    CU_WAVE_SUMS = 7, /* energy; xx yy zz xy xz yz of 2 k k (1/k^2 + 1/4a^2) E */
    CU_WAVE_BLOCKS = 1024,
    CU_TILE = 8 /* mesh points of a spreading block along each axis */
};

/* One system. */
typedef struct cu_wave_system {
    int system, first, n;
    double alpha, prefactor; /* 4 pi k_e / V */
    double inverse[9];       /* f = x inverse */
    const double *coord, *q;
    double *e, *grad, *gq, *virial; /* of all atoms; virial NULL: no strain */
    double *sums;                   /* [CU_WAVE_BLOCKS][CU_WAVE_SUMS] */
    int want_grad;
} cu_wave_system;

/* Sums of the first n_blocks blocks onto the first atom, and the neutralising background. */
void cu_waves_finish(cu_state *s, cudaStream_t stream, const cu_wave_system *w, int n_blocks);

/* Bytes of workspace that a job needs; and all its systems. */
size_t cu_waves_bytes(const aim_dev_job *job);
void cu_waves(cu_state *s, cudaStream_t stream, const aim_dev_job *job, const struct cu_terms *t,
              char *space);

/* System k of a job; space: of its sums. */
cu_wave_system cu_wave_system_of(const aim_dev_job *job, const struct cu_terms *t, int k,
                                 char *space);

/* mesh.cu */
size_t cu_mesh_bytes(const aim_dev_waves *p, int n);
void cu_mesh(cu_state *s, cudaStream_t stream, const aim_dev_waves *p, const cu_wave_system *w,
             char *space);

/* fft.cu: transforms of length n along the axis of this stride, in place; sign -1 or 1. `turn`:
 * [n] exp(-2 pi i k / n). */
typedef struct cu_lines {
    double2 *data;
    const double2 *turn;
    int n, inner, lines; /* stride; number of lines */
} cu_lines;
void cu_fft(cu_state *s, cudaStream_t stream, const cu_lines *l, int sign);
/* Rows of n real numbers, each in the room of n / 2 + 1 complex ones, to (sign -1) or from (1) their first
 * n / 2 + 1 waves; lines: of one mesh. */
void cu_fft_rows(cu_state *s, cudaStream_t stream, const cu_lines *l, int meshes, int sign);
void cu_fft_turn(cu_state *s, cudaStream_t stream, int n, double2 *turn);
void cu_fft_prepare(cu_state *s);

#if defined(__CUDACC__)
/* The seven sums of a block of 256 threads, to sums[block]. */
static __device__ void cu_wave_sums(double x[CU_WAVE_SUMS], double *sums)
{
    __shared__ double part[8][CU_WAVE_SUMS];
#pragma unroll
    for (int k = 0; k < CU_WAVE_SUMS; k++) {
        const double total = cu_warp_sum(x[k]);
        if (threadIdx.x % 32 == 0)
            part[threadIdx.x / 32][k] = total;
    }
    __syncthreads();
    if (threadIdx.x >= CU_WAVE_SUMS)
        return;
    double total = part[0][threadIdx.x];
    for (int k = 1; k < 8; k++)
        total += part[k][threadIdx.x];
    sums[(size_t)blockIdx.x * CU_WAVE_SUMS + threadIdx.x] = total;
}

/* What a wave adds: energy e, k, 1/(4 a^2). */
static __device__ __forceinline__ void cu_add_wave(double x[CU_WAVE_SUMS], double e,
                                                   const double k[3], double k2, double quarter)
{
    const double f = 2.0 * e * (1.0 / k2 + quarter);
    x[0] += e;
    x[1] += f * k[0] * k[0];
    x[2] += f * k[1] * k[1];
    x[3] += f * k[2] * k[2];
    x[4] += f * k[0] * k[1];
    x[5] += f * k[0] * k[2];
    x[6] += f * k[1] * k[2];
}
#endif

#endif
