/* SPDX-License-Identifier: MIT */
/* charge_ref.c - neutral charge equilibration of each system and channel, and its adjoint
 * (docs/math/charge_eq.md).
 *
 *     q_u = q_old + y_q,   f = y_f^2,   q = q_u + f D/F,   D = Q - sum q_u,   F = sum f + eps
 *     gy_q = gq - m,   gy_f = 2 y_f (gq - m) D/F,   m = (sum gq f)/F,   gq_old += gq - m
 *
 * One channel takes Q = charge; of two, spin up takes (charge + mult - 1)/2 and spin down
 * (charge - mult + 1)/2. */
#include "backend/ref/ref.h"

static double raw_charge(const aim_charge_args *a, int64_t i, int c)
{
    const double y = (double)a->y[(size_t)i * a->ldy + (size_t)c];
    return a->q_old ? y + (double)a->q_old[(size_t)i * a->ldq_old + (size_t)c] : y;
}

static double flexibility_root(const aim_charge_args *a, int64_t i, int c)
{
    return (double)a->y[(size_t)i * a->ldy + (size_t)(a->n_channels + c)];
}

static double target(const aim_charge_args *a, int64_t s, int c)
{
    if (a->n_channels == 1)
        return a->charge[s];
    const double unpaired = a->mult[s] - 1.0;
    return 0.5 * (c == 0 ? a->charge[s] + unpaired : a->charge[s] - unpaired);
}

/* D and F */
static void missing_charge(const aim_charge_args *a, int64_t s, int c, double *missing,
                           double *capacity)
{
    *missing = target(a, s, c);
    *capacity = a->epsilon;
    for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++) {
        *missing -= raw_charge(a, i, c);
        *capacity += flexibility_root(a, i, c) * flexibility_root(a, i, c);
    }
}

void AIM_REF_FN(charge_eq_fwd)(const aim_charge_args *a, int64_t first, int64_t last)
{
    for (int64_t s = first; s < last; s++)
        for (int c = 0; c < a->n_channels; c++) {
            double missing, capacity;
            missing_charge(a, s, c, &missing, &capacity);
            for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++) {
                const double root = flexibility_root(a, i, c);
                a->q[(size_t)i * a->ldq + (size_t)c] =
                    (real)(raw_charge(a, i, c) + root * root * missing / capacity);
            }
        }
}

void AIM_REF_FN(charge_eq_bwd)(const aim_charge_args *a, int64_t first, int64_t last)
{
    const int n = a->n_channels;
    for (int64_t s = first; s < last; s++)
        for (int c = 0; c < n; c++) {
            double missing, capacity, mean = 0;
            missing_charge(a, s, c, &missing, &capacity);
            for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++)
                mean += (double)a->gq[n * i + c] * flexibility_root(a, i, c) *
                        flexibility_root(a, i, c) / capacity;
            for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++) {
                const double g = (double)a->gq[n * i + c] - mean;
                real *gy = a->gy + (size_t)i * a->ldgy;
                gy[c] = (real)g;
                gy[n + c] = (real)(2.0 * flexibility_root(a, i, c) * g * missing / capacity);
                if (a->gq_old)
                    a->gq_old[n * i + c] += (real)g;
            }
        }
}
