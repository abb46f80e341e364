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
