/* SPDX-License-Identifier: MIT */
/* charge_ref.c - neutral charge equilibration of each system and channel, and its adjoint
 * (docs/math/charge_eq.md).
 *
 *     q_u = q_old + y_q,   f = y_f^2,   q = q_u + f D/F,   D = Q - sum q_u,   F = sum f + eps
 *     gy_q = gq - m,   gy_f = 2 y_f (gq - m) D/F,   m = (sum gq f)/F,   gq_old += gq - m
 *
 * Tangents are the derivatives of these lines along given ty, tq_old and tgq.
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

/* tD and tF of row `row` */
static void missing_tangent(const aim_charge_tan_args *a, int64_t row, int c, double *missing,
                            double *capacity)
{
    const aim_charge_args *of = &a->of;
    const int n = of->n_channels;
    const int64_t s = row % a->n_systems,
                  base = row / a->n_systems * (int64_t)of->offset[a->n_systems];
    *missing = *capacity = 0;
    for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++) {
        const real *ty = a->ty + (size_t)(base + i) * a->ldty;
        *missing -= (double)ty[c] + (a->tq_old ? (double)a->tq_old[n * (base + i) + c] : 0.0);
        *capacity += 2.0 * flexibility_root(of, i, c) * (double)ty[n + c];
    }
}

void AIM_REF_FN(charge_eq_fwd_tan)(const aim_charge_tan_args *a, int64_t first, int64_t last)
{
    const aim_charge_args *of = &a->of;
    const int n = of->n_channels;
    for (int64_t row = first; row < last; row++)
        for (int c = 0; c < n; c++) {
            const int64_t s = row % a->n_systems,
                          base = row / a->n_systems * (int64_t)of->offset[a->n_systems];
            double missing, capacity, tmissing, tcapacity;
            missing_charge(of, s, c, &missing, &capacity);
            missing_tangent(a, row, c, &tmissing, &tcapacity);
            for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++) {
                const real *ty = a->ty + (size_t)(base + i) * a->ldty;
                const double root = flexibility_root(of, i, c), ratio = missing / capacity,
                             old = a->tq_old ? (double)a->tq_old[n * (base + i) + c] : 0.0;
                a->tq[n * (base + i) + c] =
                    (real)(old + (double)ty[c] + 2.0 * root * (double)ty[n + c] * ratio +
                           root * root * (tmissing - ratio * tcapacity) / capacity);
            }
        }
}

void AIM_REF_FN(charge_eq_bwd_tan)(const aim_charge_tan_args *a, int64_t first, int64_t last)
{
    const aim_charge_args *of = &a->of;
    const int n = of->n_channels;
    for (int64_t row = first; row < last; row++)
        for (int c = 0; c < n; c++) {
            const int64_t s = row % a->n_systems,
                          base = row / a->n_systems * (int64_t)of->offset[a->n_systems];
            double missing, capacity, tmissing, tcapacity, mean = 0, tmean = 0;
            missing_charge(of, s, c, &missing, &capacity);
            missing_tangent(a, row, c, &tmissing, &tcapacity);
            for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++) {
                const double root = flexibility_root(of, i, c),
                             troot = (double)a->ty[(size_t)(base + i) * a->ldty + (size_t)(n + c)],
                             gq = (double)of->gq[n * i + c];
                mean += gq * root * root / capacity;
                tmean +=
                    ((double)a->tgq[n * (base + i) + c] * root * root + gq * 2.0 * root * troot) /
                    capacity;
            }
            tmean -= mean * tcapacity / capacity;
            for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++) {
                const double root = flexibility_root(of, i, c),
                             troot = (double)a->ty[(size_t)(base + i) * a->ldty + (size_t)(n + c)],
                             g = (double)of->gq[n * i + c] - mean, ratio = missing / capacity,
                             tg = (double)a->tgq[n * (base + i) + c] - tmean;
                real *tgy = a->tgy + (size_t)(base + i) * a->ldtgy;
                tgy[c] = (real)tg;
                tgy[n + c] = (real)(2.0 * (troot * g + root * tg) * ratio +
                                    2.0 * root * g * (tmissing - ratio * tcapacity) / capacity);
                if (a->tgq_old)
                    a->tgq_old[n * (base + i) + c] += (real)tg;
            }
        }
}
