/* SPDX-License-Identifier: MIT */
/* charge_cpu.c - neutral charge equilibration and its adjoint, one system at a time, sums in
 * double.
 *
 *     q_u = q_old + y_q,  f = y_f^2,  D = Q - sum q_u,  F = sum f + eps,  q = q_u + f D/F
 * Per channel: Q of one channel is the total charge; of two channels (spin up, spin down) charge/2
 * +- (mult - 1)/2. Adjoint, with s = sum_k gq_k f_k:   gq_u = gq - s/F,   gf = gq D/F - s D/F^2,  
 * gy_f = 2 y_f gf. */
#include "backend/cpu/cpu.h"

typedef struct sums {
    double deviation, flexibility; /* D and F */
} sums;

static sums system_sums(const aim_charge_args *a, int64_t s, int c)
{
    double q = 0, f = 0;
    for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++) {
        const real *y = a->y + (size_t)i * a->ldy;
        const double yf = y[a->n_channels + c];
        q += (double)y[c] + (a->q_old ? (double)a->q_old[(size_t)i * a->ldq_old + (size_t)c] : 0.0);
        f += yf * yf;
    }
    double total = a->charge[s];
    if (a->n_channels == 2)
        total = 0.5 * total + (c == 0 ? 0.5 : -0.5) * (a->mult[s] - 1.0);
    return (sums){total - q, f + a->epsilon};
}

void AIM_KERNEL_FN(charge_eq_fwd)(const aim_charge_args *a, int64_t first, int64_t last)
{
    for (int64_t s = first; s < last; s++)
        for (int c = 0; c < a->n_channels; c++) {
            const sums t = system_sums(a, s, c);
            const double ratio = t.deviation / t.flexibility;
            for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++) {
                const real *y = a->y + (size_t)i * a->ldy;
                const double yf = y[a->n_channels + c],
                             old = a->q_old ? (double)a->q_old[(size_t)i * a->ldq_old + (size_t)c]
                                            : 0.0;
                a->q[(size_t)i * a->ldq + (size_t)c] = (real)(old + (double)y[c] + yf * yf * ratio);
            }
        }
}

void AIM_KERNEL_FN(charge_eq_bwd)(const aim_charge_args *a, int64_t first, int64_t last)
{
    const int n = a->n_channels;
    for (int64_t s = first; s < last; s++)
        for (int c = 0; c < n; c++) {
            const sums t = system_sums(a, s, c);
            double weighted = 0;
            for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++) {
                const double yf = a->y[(size_t)i * a->ldy + (size_t)(n + c)];
                weighted += (double)a->gq[(size_t)(n * i + c)] * yf * yf;
            }
            const double mean = weighted / t.flexibility, ratio = t.deviation / t.flexibility;
            for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++) {
                const double yf = a->y[(size_t)i * a->ldy + (size_t)(n + c)],
                             gq = a->gq[(size_t)(n * i + c)];
                real *gy = a->gy + (size_t)i * a->ldgy;
                gy[c] = (real)(gq - mean);
                gy[n + c] = (real)(2.0 * yf * ratio * (gq - mean));
                if (a->gq_old)
                    a->gq_old[(size_t)(n * i + c)] += (real)(gq - mean);
            }
        }
}

/* tD and tF of a row, and where its direction's atoms start */
static sums tangent_sums(const aim_charge_tan_args *a, int64_t row, int c, int64_t *base)
{
    const aim_charge_args *of = &a->of;
    const int64_t s = row % a->n_systems;
    const int n = of->n_channels;
    double q = 0, f = 0;
    *base = row / a->n_systems * (int64_t)of->offset[a->n_systems];
    for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++) {
        const real *ty = a->ty + (size_t)(*base + i) * a->ldty;
        q += (double)ty[c] + (a->tq_old ? (double)a->tq_old[n * (*base + i) + c] : 0.0);
        f += 2.0 * (double)of->y[(size_t)i * of->ldy + (size_t)(n + c)] * (double)ty[n + c];
    }
    return (sums){-q, f};
}

void AIM_KERNEL_FN(charge_eq_fwd_tan)(const aim_charge_tan_args *a, int64_t first, int64_t last)
{
    const aim_charge_args *of = &a->of;
    const int n = of->n_channels;
    for (int64_t row = first; row < last; row++)
        for (int c = 0; c < n; c++) {
            const int64_t s = row % a->n_systems;
            int64_t base;
            const sums t = system_sums(of, s, c), tt = tangent_sums(a, row, c, &base);
            const double ratio = t.deviation / t.flexibility,
                         tratio = (tt.deviation - ratio * tt.flexibility) / t.flexibility;
            for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++) {
                const real *ty = a->ty + (size_t)(base + i) * a->ldty;
                const double yf = of->y[(size_t)i * of->ldy + (size_t)(n + c)],
                             old = a->tq_old ? (double)a->tq_old[n * (base + i) + c] : 0.0;
                a->tq[n * (base + i) + c] =
                    (real)(old + (double)ty[c] +
                           yf * (2.0 * (double)ty[n + c] * ratio + yf * tratio));
            }
        }
}

void AIM_KERNEL_FN(charge_eq_bwd_tan)(const aim_charge_tan_args *a, int64_t first, int64_t last)
{
    const aim_charge_args *of = &a->of;
    const int n = of->n_channels;
    for (int64_t row = first; row < last; row++)
        for (int c = 0; c < n; c++) {
            const int64_t s = row % a->n_systems;
            int64_t base;
            const sums t = system_sums(of, s, c), tt = tangent_sums(a, row, c, &base);
            double weighted = 0, tweighted = 0;
            for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++) {
                const double yf = of->y[(size_t)i * of->ldy + (size_t)(n + c)],
                             gq = of->gq[n * i + c],
                             tyf = a->ty[(size_t)(base + i) * a->ldty + (size_t)(n + c)];
                weighted += gq * yf * yf;
                tweighted += yf * ((double)a->tgq[n * (base + i) + c] * yf + 2.0 * gq * tyf);
            }
            const double mean = weighted / t.flexibility, ratio = t.deviation / t.flexibility,
                         tmean = (tweighted - mean * tt.flexibility) / t.flexibility,
                         tratio = (tt.deviation - ratio * tt.flexibility) / t.flexibility;
            for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++) {
                const double yf = of->y[(size_t)i * of->ldy + (size_t)(n + c)],
                             tyf = a->ty[(size_t)(base + i) * a->ldty + (size_t)(n + c)],
                             g = (double)of->gq[n * i + c] - mean,
                             tg = (double)a->tgq[n * (base + i) + c] - tmean;
                real *tgy = a->tgy + (size_t)(base + i) * a->ldtgy;
                tgy[c] = (real)tg;
                tgy[n + c] = (real)(2.0 * ((tyf * g + yf * tg) * ratio + yf * g * tratio));
                if (a->tgq_old)
                    a->tgq_old[n * (base + i) + c] += (real)tg;
            }
        }
}
