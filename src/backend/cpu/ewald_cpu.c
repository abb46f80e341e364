/* SPDX-License-Identifier: MIT */
/* ewald_cpu.c - reciprocal-space sums over rods of wave vectors (fixed m1, m2; m3 consecutive):
 * vectors along m3.
 *
 * Structure factors add atoms one after another; the potential of an atom adds rods one after
 * another, lanes as a tree at the end of a rod. */
#include "backend/cpu/term_cpu.h"

void AIM_CPU_NAMED(aim_ewald_structure)(const aim_ewald_phases *t, const aim_ewald_rod *rod,
                                        double *re, double *im)
{
    const int padded = (rod->n + VL - 1) / VL * VL;
    memset(re, 0, (size_t)padded * sizeof *re);
    memset(im, 0, (size_t)padded * sizeof *im);
    for (int32_t i = 0; i < t->n_atoms; i++) {
        const double *pr = t->re + (size_t)i * t->stride, *pi = t->im + (size_t)i * t->stride;
        const double *a = pr + t->zero[2] + rod->lo, *b = pi + t->zero[2] + rod->lo;
        const double xr = pr[t->zero[0] + rod->m1], xi = pi[t->zero[0] + rod->m1],
                     yr = pr[t->zero[1] + rod->m2], yi = pi[t->zero[1] + rod->m2];
        const vreal cr = vset(t->q[i] * (xr * yr - xi * yi)),
                    ci = vset(t->q[i] * (xr * yi + xi * yr));
        for (int k = 0; k < rod->n; k += VL) {
            const vreal er = vload(a + k), ei = vload(b + k);
            vstore(re + k, vload(re + k) + (cr * er - ci * ei));
            vstore(im + k, vload(im + k) + (cr * ei + ci * er));
        }
    }
}

void AIM_CPU_NAMED(aim_ewald_potential)(const aim_ewald_phases *t, const aim_ewald_rod *rods,
                                        int64_t n_rods, const double *fre, const double *fim,
                                        int32_t i, double sum[4])
{
    const double *pr = t->re + (size_t)i * t->stride, *pi = t->im + (size_t)i * t->stride;
    static const double lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    sum[0] = sum[1] = sum[2] = sum[3] = 0;
    for (int64_t r = 0; r < n_rods; r++) {
        const aim_ewald_rod *rod = &rods[r];
        const double *a = pr + t->zero[2] + rod->lo, *b = pi + t->zero[2] + rod->lo,
                     *f = fre + rod->start, *g = fim + rod->start;
        vreal part[4] = {
            {0}}; /* re, im of sum conj(F) e3 and of sum m3 conj(F) e3; F is zero in the padding */
        for (int k = 0; k < rod->n; k += VL) {
            const vreal er = vload(a + k), ei = vload(b + k), fr = vload(f + k), fi = vload(g + k),
                        m3 = vload(lanes) + vset((double)(rod->lo + k));
            const vreal zr = fr * er + fi * ei, zi = fr * ei - fi * er;
            part[0] += zr;
            part[1] += zi;
            part[2] += m3 * zr;
            part[3] += m3 * zi;
        }
        double u[4];
        vsum4(part, u);
        const double xr = pr[t->zero[0] + rod->m1], xi = pi[t->zero[0] + rod->m1],
                     yr = pr[t->zero[1] + rod->m2], yi = pi[t->zero[1] + rod->m2];
        const double cr = xr * yr - xi * yi, ci = xr * yi + xi * yr, im = cr * u[1] + ci * u[0];
        sum[0] += cr * u[0] - ci * u[1];
        sum[1] += rod->m1 * im;
        sum[2] += rod->m2 * im;
        sum[3] += cr * u[3] + ci * u[2];
    }
}
