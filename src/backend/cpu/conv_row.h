/* SPDX-License-Identifier: MIT */
/* conv_row.h - what the convolution kernels and their tangents share: one atom's row of neighbours
 * (conv_cpu.c, conv_tan_cpu.c). */
#ifndef AIM_BACKEND_CPU_CONV_ROW_H
#define AIM_BACKEND_CPU_CONV_ROW_H

#include "backend/cpu/cpu.h"

/* features side by side in the forward convolution */
#if defined(__AVX512F__)
enum { RF = 4 };
#else
enum { RF = 2 };
#endif
/* vectors side by side in the projection: independent sums hide latency */
enum { WIDE = AIM_LANES / VL < 4 ? AIM_LANES / VL : 4 };

/* w[m][d][g] = gs w_d of atom i's row, sign = -1 for the reversed pairs */
AIM_INLINE void weigh_row(const aim_conv_args *a, int64_t i, real sign, real *w)
{
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++, w += 4 * a->gp)
        for (int g = 0; g < a->gp; g += VL) {
            const vreal gs = vload(a->gs + p * a->gp + g);
            vstore(w + g, gs);
            for (int d = 0; d < 3; d++)
                vstore(w + (d + 1) * a->gp + g, gs * vset(sign * a->u[4 * p + d]));
        }
}

AIM_INLINE void mark_species(const aim_conv_args *a, int64_t i, unsigned char *present)
{
    memset(present, 0, (size_t)a->n_species);
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++)
        present[a->species[a->j[p]]] = 1;
}

/* v[3][hp] = agh^T S of one channel, S[1..3] of s[4][gp] */
AIM_INLINE void project_vectors(int gp, int hp, const real *agh, const real *s, real *v)
{
    for (int h = 0; h < hp; h += WIDE * VL) {
        vreal acc[3][WIDE] = {{{0}}};
        for (int g = 0; g < gp; g++)
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) {
                const vreal x = vset(s[(d + 1) * gp + g]);
#pragma GCC unroll 4
                for (int k = 0; k < WIDE; k++)
                    acc[d][k] += vload(agh + g * hp + h + k * VL) * x;
            }
        for (int d = 0; d < 3; d++)
            for (int k = 0; k < WIDE; k++)
                vstore(v + d * hp + h + k * VL, acc[d][k]);
    }
}

/* b = sum over g of gs A_1, gs A_2, gs A_3, dgs (A_0 + u.A) */
AIM_INLINE void pair_parts(const aim_conv_args *a, int64_t p, const real *A, real b[4])
{
    const int gp = a->gp;
    const real *u = a->u + 4 * p;
    vreal part[4] = {{0}};
    for (int g = 0; g < gp; g += VL) {
        const vreal gs = vload(a->gs + p * gp + g);
        vreal through = vload(A + g);
        for (int d = 0; d < 3; d++) {
            const vreal ad = vload(A + (d + 1) * gp + g);
            part[d] += gs * ad;
            through += vset(u[d]) * ad;
        }
        part[3] += through * vload(a->dgs + p * gp + g);
    }
    vsum4(part, b);
}

/* A[n][4][g..g+VL) for n (1 or 2) neighbours whose features start at x[] */
AIM_INLINE void contract_features(const aim_conv_args *a, const real *s, const real *const x[2],
                                  int n, int g, real *A)
{
    const int gp = a->gp;
    vreal acc[2][4] = {{{0}}};
    for (int f = 0; f < a->nf; f++) {
        vreal xf[2];
        for (int k = 0; k < n; k++)
            xf[k] = vload(x[k] + f * gp + g);
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            const vreal sd = vload(s + (f * 4 + d) * gp + g);
            for (int k = 0; k < n; k++)
                acc[k][d] += xf[k] * sd;
        }
    }
    for (int k = 0; k < n; k++)
        for (int d = 0; d < 4; d++)
            vstore(A + (4 * k + d) * gp + g, acc[k][d]);
}

#endif
