/* SPDX-License-Identifier: MIT */
/* ewald_cpu.c - reciprocal-space sums over rods of wave vectors (fixed m1, m2; m3 consecutive):
 * vectors along m3.
 *
 * Structure factors add atoms one after another; the potential of an atom adds rods one after
 * another, lanes as a tree at the end of a rod. So do the tangents. */
#include "backend/cpu/term_cpu.h"

static const double lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};

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

void AIM_CPU_NAMED(aim_ewald_structure_tan)(const aim_ewald_phases *t, const double *tq,
                                            const double *theta, const aim_ewald_rod *rod,
                                            double *re, double *im)
{
    const int padded = (rod->n + VL - 1) / VL * VL;
    memset(re, 0, (size_t)padded * sizeof *re);
    memset(im, 0, (size_t)padded * sizeof *im);
    for (int32_t i = 0; i < t->n_atoms; i++) {
        const double *pr = t->re + (size_t)i * t->stride, *pi = t->im + (size_t)i * t->stride;
        const double *a = pr + t->zero[2] + rod->lo, *b = pi + t->zero[2] + rod->lo,
                     *th = theta + 3 * (size_t)i;
        const double xr = pr[t->zero[0] + rod->m1], xi = pi[t->zero[0] + rod->m1],
                     yr = pr[t->zero[1] + rod->m2], yi = pi[t->zero[1] + rod->m2];
        const double cr = xr * yr - xi * yi, ci = xr * yi + xi * yr;
        const double u = t->q[i] * (rod->m1 * th[0] + rod->m2 * th[1]), v = t->q[i] * th[2];
        const vreal br = vset(tq[i] * cr - u * ci), bi = vset(tq[i] * ci + u * cr),
                    sr = vset(-(v * ci)), si = vset(v * cr);
        for (int k = 0; k < rod->n; k += VL) {
            const vreal er = vload(a + k), ei = vload(b + k),
                        m3 = vload(lanes) + vset((double)(rod->lo + k));
            const vreal fr = br + m3 * sr, fi = bi + m3 * si;
            vstore(re + k, vload(re + k) + (fr * er - fi * ei));
            vstore(im + k, vload(im + k) + (fr * ei + fi * er));
        }
    }
}

void AIM_CPU_NAMED(aim_ewald_curvature)(const aim_ewald_phases *t, const aim_ewald_rod *rods,
                                        int64_t n_rods, const double *fre, const double *fim,
                                        int32_t i, double sum[6])
{
    const double *pr = t->re + (size_t)i * t->stride, *pi = t->im + (size_t)i * t->stride;
    memset(sum, 0, 6 * sizeof *sum);
    for (int64_t r = 0; r < n_rods; r++) {
        const aim_ewald_rod *rod = &rods[r];
        const double *a = pr + t->zero[2] + rod->lo, *b = pi + t->zero[2] + rod->lo,
                     *f = fre + rod->start, *g = fim + rod->start;
        vreal part[6] = {{0}}; /* re, im of sum m3^p conj(F) e3, p = 0, 1, 2 */
        for (int k = 0; k < rod->n; k += VL) {
            const vreal er = vload(a + k), ei = vload(b + k), fr = vload(f + k), fi = vload(g + k),
                        m3 = vload(lanes) + vset((double)(rod->lo + k));
            const vreal zr = fr * er + fi * ei, zi = fr * ei - fi * er, yr = m3 * zr, yi = m3 * zi;
            part[0] += zr;
            part[1] += zi;
            part[2] += yr;
            part[3] += yi;
            part[4] += m3 * yr;
            part[5] += m3 * yi;
        }
        const double xr = pr[t->zero[0] + rod->m1], xi = pi[t->zero[0] + rod->m1],
                     yr = pr[t->zero[1] + rod->m2], yi = pi[t->zero[1] + rod->m2];
        const double cr = xr * yr - xi * yi, ci = xr * yi + xi * yr;
        double z[3];
        for (int p = 0; p < 3; p++)
            z[p] = cr * vsum(part[2 * p]) - ci * vsum(part[2 * p + 1]);
        sum[0] += rod->m1 * rod->m1 * z[0];
        sum[1] += rod->m2 * rod->m2 * z[0];
        sum[2] += z[2];
        sum[3] += rod->m1 * rod->m2 * z[0];
        sum[4] += rod->m1 * z[1];
        sum[5] += rod->m2 * z[1];
    }
}
