/* SPDX-License-Identifier: MIT */
/* conv_op_ref.c - the public sparse convolution and its two adjoints (equations: kernels.def and
 * aimnet_ops.h). */
#include "backend/ref/ref.h"

static size_t feature_at(const aim_conv_op_args *a, int64_t i, int c, int g)
{
    return ((size_t)i * (size_t)a->n_channels + (size_t)c) * (size_t)a->n_shifts + (size_t)g;
}

static size_t factor_at(const aim_conv_op_args *a, int64_t slot, int g)
{
    return ((size_t)slot * (size_t)a->n_shifts + (size_t)g) * 4;
}

void AIM_REF_FN(conv_op_fwd)(const aim_conv_op_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        for (int c = 0; c < a->n_channels; c++)
            for (int g = 0; g < a->n_shifts; g++)
                for (size_t d = 0; d < 4; d++) {
                    real *out = a->out + 4 * feature_at(a, i, c, g) + d;
                    double sum = a->add ? (double)*out : 0.0;
                    for (int64_t e = a->row[i]; e < a->row[i + 1]; e++)
                        sum += (double)a->x[feature_at(a, a->j[e], c, g)] *
                               (double)a->g[factor_at(a, a->slot[e], g) + d];
                    *out = (real)sum;
                }
}

void AIM_REF_FN(conv_op_bwd_x)(const aim_conv_op_args *a, int64_t first, int64_t last)
{
    for (int64_t j = first; j < last; j++)
        for (int c = 0; c < a->n_channels; c++)
            for (int g = 0; g < a->n_shifts; g++) {
                double sum = 0;
                for (int64_t e = a->reverse_row[j]; e < a->reverse_row[j + 1]; e++)
                    for (size_t d = 0; d < 4; d++)
                        sum +=
                            (double)
                                a->gout[4 * feature_at(a, a->reverse[e] / a->n_slots, c, g) + d] *
                            (double)a->g[factor_at(a, a->reverse[e], g) + d];
                a->gx[feature_at(a, j, c, g)] = (real)sum;
            }
}

void AIM_REF_FN(conv_op_bwd_g)(const aim_conv_op_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        for (size_t k = factor_at(a, i * a->n_slots, 0); k < factor_at(a, (i + 1) * a->n_slots, 0);
             k++)
            a->gg[k] = 0;
        for (int64_t e = a->row[i]; e < a->row[i + 1]; e++)
            for (int g = 0; g < a->n_shifts; g++)
                for (size_t d = 0; d < 4; d++) {
                    double sum = 0;
                    for (int c = 0; c < a->n_channels; c++)
                        sum += (double)a->x[feature_at(a, a->j[e], c, g)] *
                               (double)a->gout[4 * feature_at(a, i, c, g) + d];
                    a->gg[factor_at(a, a->slot[e], g) + d] = (real)sum;
                }
    }
}
