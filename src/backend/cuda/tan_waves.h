/* SPDX-License-Identifier: MIT */
/* tan_waves.h - directional derivatives of the reciprocal halves of Ewald and PME sums on a card
 * (docs/math/tangents.md; term/ewald_tan.c, term/pme_tan.c), system after system, all in double. A
 * direction does not know its siblings. */
#ifndef AIM_CUDA_TAN_WAVES_H
#define AIM_CUDA_TAN_WAVES_H

#include "backend/cuda/tangent.h"
#include "backend/cuda/waves.h"

/* One system along directions; arrays of all atoms and directions, rows dir n + atom. */
typedef struct cu_wave_tan {
    cu_wave_system of;
    int n, systems, n_dir;
    const double *tx, *w, *tq;     /* w NULL: cells stay */
    double *tgrad, *tvirial, *tgq; /* +=; tvirial NULL: not wanted, of a system to its first atom */
} cu_wave_tan;

/* Bytes of workspace for the systems of a job; and their tangents. */
size_t cu_wave_tan_bytes(const aim_dev_job *job, int n_dir);
void cu_wave_tangents(cu_state *s, cudaStream_t stream, const aim_dev_job *job,
                      const struct cu_term_tan *c, char *space);

/* tan_mesh.cu */
size_t cu_mesh_tan_bytes(const aim_dev_waves *p, int n, int n_dir);
void cu_mesh_tan(cu_state *s, cudaStream_t stream, const aim_dev_waves *p, const cu_wave_tan *c,
                 char *space);

/* Strain derivatives of directions first .. first + n - 1 from [n][blocks][CU_WAVE_SUMS] sums. */
void cu_wave_tan_finish(cu_state *s, cudaStream_t stream, const cu_wave_tan *c, int first, int n,
                        int blocks, const double *sums);

#if defined(__CUDACC__)
static __device__ __forceinline__ const double *cu_strain_of(const cu_wave_tan &c, int dir)
{
    return c.w ? c.w + 9 * ((size_t)dir * c.systems + c.of.system) : NULL;
}
static __device__ __forceinline__ double cu_trace(const double *w)
{
    return w ? w[0] + w[4] + w[8] : 0.0;
}
/* k W k */
static __device__ __forceinline__ double cu_stretch(const double k[3], const double *w)
{
    double sum = 0;
    for (int a = 0; w && a < 3; a++)
        sum += k[a] * (w[3 * a] * k[0] + w[3 * a + 1] * k[1] + w[3 * a + 2] * k[2]);
    return sum;
}

/* Tangent of what a wave adds to energy and strain, E and E (2 k k B - 1): its energy e and that one's
 * tangent te, B = 1/k^2 + 1/4a^2. */
static __device__ __forceinline__ void cu_add_wave_tan(double x[CU_WAVE_SUMS], const double *w,
                                                       const double k[3], double k2, double quarter,
                                                       double e, double te)
{
    const int row[6] = {0, 1, 2, 0, 0, 1}, column[6] = {0, 1, 2, 1, 2, 2};
    const double b = 1.0 / k2 + quarter;
    double tk[3] = {0, 0, 0};
    for (int d = 0; w && d < 3; d++)
        tk[d] = -(w[3 * d] * k[0] + w[3 * d + 1] * k[1] + w[3 * d + 2] * k[2]);
    const double tb = -2.0 * (k[0] * tk[0] + k[1] * tk[1] + k[2] * tk[2]) / (k2 * k2);
    x[0] += te;
#pragma unroll
    for (int d = 0; d < 6; d++) {
        const int p = row[d], q = column[d];
        x[1 + d] += 2.0 * (te * b + e * tb) * k[p] * k[q] +
                    2.0 * e * b * (tk[p] * k[q] + k[p] * tk[q]) - (p == q ? te : 0.0);
    }
}
#endif

#endif
