/* SPDX-License-Identifier: MIT */
/* ewald.h - the waves of an Ewald sum on a card, for the energy (waves.cu) and its tangents
 * (tan_waves.cu). */
#ifndef AIM_CUDA_EWALD_H
#define AIM_CUDA_EWALD_H

#include "backend/cuda/waves.h"
#include "point/units.h"

/* Waves of half a sphere, in the box around it. */
typedef struct cu_ewald {
    int m[3], waves, n;
    double inverse[9], k2_most, quarter, prefactor;
    double2 *f; /* [waves] F = A S; 0 outside the half sphere */
    double *x;  /* [n][3] fractional */
} cu_ewald;

size_t cu_ewald_bytes(const aim_dev_waves *p, int n);
/* F of all waves, in `space` of so many bytes; w->sums [*n_blocks] are those of the energy. */
cu_ewald cu_ewald_start(cu_state *s, cudaStream_t stream, const aim_dev_waves *p,
                        const cu_wave_system *w, char *space, int *n_blocks);

#if defined(__CUDACC__)
/* Indices of a wave of the box; 0: outside the half sphere. */
static __device__ __forceinline__ int cu_ewald_wave(const cu_ewald &e, int at, int m[3],
                                                    double k[3], double *k2)
{
    const int wide = 2 * e.m[2] + 1, high = 2 * e.m[1] + 1;
    m[2] = at % wide - e.m[2];
    m[1] = at / wide % high - e.m[1];
    m[0] = at / (wide * high);
    if (m[0] == 0 && (m[1] < 0 || (m[1] == 0 && m[2] < 1)))
        return 0;
    *k2 = 0;
#pragma unroll
    for (int c = 0; c < 3; c++) {
        k[c] =
            2.0 * AIM_PI *
            (m[0] * e.inverse[3 * c] + m[1] * e.inverse[3 * c + 1] + m[2] * e.inverse[3 * c + 2]);
        *k2 += k[c] * k[c];
    }
    return *k2 <= e.k2_most;
}

static __device__ __forceinline__ void cu_phase(const int m[3], const double *x, double *s,
                                                double *c)
{
    const double turns = m[0] * x[0] + m[1] * x[1] + m[2] * x[2];
    sincospi(2.0 * (turns - rint(turns)), s, c);
}
#endif

#endif
