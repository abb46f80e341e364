/* SPDX-License-Identifier: MIT */
/* conv_op_cpu.c - the public sparse convolution and its two adjoints (equations: kernels.def and
 * aimnet_ops.h).
 *
 * Rows of G shifts times four components are walked as one run of 4 G numbers, VL at a time; a
 * feature is spread over the four lanes of its shift. RB accumulators stay in registers (channels
 * in the forward and for x, neighbours for g) while the neighbours or channels stream by. Every
 * element is one sequential sum in list order whatever block it falls into, so results depend on
 * the element alone. */
#include "backend/cpu/cpu.h"

#if AIM_VBYTES > 16
#include <immintrin.h>
#endif

enum { RB = 8 };

/* n numbers of a vector's VL: n is VL but at the end of a run, where the other lanes are zero */
AIM_INLINE vreal load(const real *p, int n)
{
    if (n == VL)
        return vload(p);
    real lane[VL] = {0};
    memcpy(lane, p, (size_t)n * sizeof *p);
    return vload(lane);
}

AIM_INLINE void store(real *p, vreal v, int n)
{
    real lane[VL];
    vstore(lane, v);
    if (n == VL)
        vstore(p, v);
    else
        memcpy(p, lane, (size_t)n * sizeof *p);
}

/* lane k = x[k/4], for the n / 4 features that are there (one if the vector is shorter than four).
 * Intrinsics, because gcc 12 takes the equivalent shuffles of vector extensions through memory: a
 * factor of five for the whole kernel. */
AIM_INLINE vreal spread(const real *x, int n)
{
#if AIM_VBYTES == 16 || (AIM_VBYTES == 32 && AIM_REAL_DOUBLE)
    (void)n;
    return vset(x[0]);
#else
    real full[VL / 4];
    if (n < VL) {
        memset(full, 0, sizeof full);
        memcpy(full, x, (size_t)(n / 4) * sizeof *x);
        x = full;
    }
#if AIM_REAL_DOUBLE
    return (vreal)_mm512_mask_blend_pd(0xF0, _mm512_set1_pd(x[0]), _mm512_set1_pd(x[1]));
#elif AIM_VBYTES == 64
    const __m512i lane = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return (vreal)_mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(x)), lane);
#else
    double both;
    memcpy(&both, x, sizeof both);
    return (vreal)_mm256_permutevar_ps(_mm256_castpd_ps(_mm256_set1_pd(both)),
                                       _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
#endif
#endif
}

AIM_INLINE void forward_block(const aim_conv_op_args *a, int64_t i, int c0, int nc, size_t e, int n)
{
    const size_t g4 = 4 * (size_t)a->n_shifts, channels = (size_t)a->n_channels;
    real *out = a->out + ((size_t)i * channels + (size_t)c0) * g4 + e;
    vreal acc[RB];
    for (int c = 0; c < nc; c++)
        acc[c] = a->add ? load(out + (size_t)c * g4, n) : vset(R(0.0));
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
        const vreal g = load(a->g + (size_t)a->slot[p] * g4 + e, n);
        const real *x = a->x + ((size_t)a->j[p] * channels + (size_t)c0) * (g4 / 4) + e / 4;
#pragma GCC unroll 8
        for (int c = 0; c < nc; c++)
            acc[c] += spread(x + (size_t)c * (g4 / 4), n) * g;
    }
    for (int c = 0; c < nc; c++)
        store(out + (size_t)c * g4, acc[c], n);
}

AIM_INLINE void forward_run(const aim_conv_op_args *a, int64_t i, int c0, int nc)
{
    const size_t g4 = 4 * (size_t)a->n_shifts;
    size_t e = 0;
    for (; e + VL <= g4; e += VL)
        forward_block(a, i, c0, nc, e, VL);
    if (e < g4)
        forward_block(a, i, c0, nc, e, (int)(g4 - e));
}

void AIM_KERNEL_FN(conv_op_fwd)(const aim_conv_op_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        int c = 0;
        for (; c + RB <= a->n_channels; c += RB)
            forward_run(a, i, c, RB);
        for (; c < a->n_channels; c++)
            forward_run(a, i, c, 1);
    }
}

/* Sums over the four components of each shift, in order. */
AIM_INLINE void add_components(real *gx, vreal v, size_t e, int n)
{
    real lane[VL];
    vstore(lane, v);
    for (int k = 0; k < n; k++) {
        const size_t at = e + (size_t)k;
        gx[at / 4] = (at % 4 == 0 ? R(0.0) : gx[at / 4]) + lane[k];
    }
}

AIM_INLINE void feature_block(const aim_conv_op_args *a, int64_t j, int c0, int nc, size_t e, int n)
{
    const size_t g4 = 4 * (size_t)a->n_shifts, channels = (size_t)a->n_channels;
    vreal acc[RB] = {{0}};
    for (int64_t p = a->reverse_row[j]; p < a->reverse_row[j + 1]; p++) {
        const int64_t slot = a->reverse[p];
        const vreal g = load(a->g + (size_t)slot * g4 + e, n);
        const real *gout = a->gout + ((size_t)(slot / a->n_slots) * channels + (size_t)c0) * g4 + e;
#pragma GCC unroll 8
        for (int c = 0; c < nc; c++)
            acc[c] += load(gout + (size_t)c * g4, n) * g;
    }
    for (int c = 0; c < nc; c++)
        add_components(a->gx + ((size_t)j * channels + (size_t)(c0 + c)) * (g4 / 4), acc[c], e, n);
}

AIM_INLINE void feature_run(const aim_conv_op_args *a, int64_t j, int c0, int nc)
{
    const size_t g4 = 4 * (size_t)a->n_shifts;
    size_t e = 0;
    for (; e + VL <= g4; e += VL)
        feature_block(a, j, c0, nc, e, VL);
    if (e < g4)
        feature_block(a, j, c0, nc, e, (int)(g4 - e));
}

void AIM_KERNEL_FN(conv_op_bwd_x)(const aim_conv_op_args *a, int64_t first, int64_t last)
{
    for (int64_t j = first; j < last; j++) {
        int c = 0;
        for (; c + RB <= a->n_channels; c += RB)
            feature_run(a, j, c, RB);
        for (; c < a->n_channels; c++)
            feature_run(a, j, c, 1);
    }
}

/* ne entries of atom i from p on */
AIM_INLINE void factor_block(const aim_conv_op_args *a, int64_t i, int64_t p, int ne, size_t e,
                             int n)
{
    const size_t g4 = 4 * (size_t)a->n_shifts, channels = (size_t)a->n_channels;
    const real *gout = a->gout + (size_t)i * channels * g4 + e, *x[RB];
    for (int k = 0; k < ne; k++)
        x[k] = a->x + (size_t)a->j[p + k] * channels * (g4 / 4) + e / 4;
    vreal acc[RB] = {{0}};
    for (size_t c = 0; c < channels; c++) {
        const vreal go = load(gout + c * g4, n);
#pragma GCC unroll 8
        for (int k = 0; k < ne; k++)
            acc[k] += spread(x[k] + c * (g4 / 4), n) * go;
    }
    for (int k = 0; k < ne; k++)
        store(a->gg + (size_t)a->slot[p + k] * g4 + e, acc[k], n);
}

AIM_INLINE void factor_run(const aim_conv_op_args *a, int64_t i, int64_t p, int ne)
{
    const size_t g4 = 4 * (size_t)a->n_shifts;
    size_t e = 0;
    for (; e + VL <= g4; e += VL)
        factor_block(a, i, p, ne, e, VL);
    if (e < g4)
        factor_block(a, i, p, ne, e, (int)(g4 - e));
}

void AIM_KERNEL_FN(conv_op_bwd_g)(const aim_conv_op_args *a, int64_t first, int64_t last)
{
    const size_t row = (size_t)a->n_slots * 4 * (size_t)a->n_shifts;
    for (int64_t i = first; i < last; i++) {
        int64_t p = a->row[i];
        if (a->row[i + 1] - p < a->n_slots)
            memset(a->gg + (size_t)i * row, 0, row * sizeof *a->gg);
        for (; p + RB <= a->row[i + 1]; p += RB)
            factor_run(a, i, p, RB);
        for (; p < a->row[i + 1]; p++)
            factor_run(a, i, p, 1);
    }
}
