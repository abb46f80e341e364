/* SPDX-License-Identifier: MIT */
/* linear_ref.c - dense layers with exact GELU, forward and backward (equations: kernels.def).
 *
 *     z = x W^T + b,     gelu(z) = z Phi(z),     gelu'(z) = Phi(z) + z phi(z)
 *
 * (Hendrycks and Gimpel, arXiv:1606.08415). Phi comes from libm's erfc: no cancellation for
 * negative z. Packed weights are out[column][k]. */
#include <math.h>

#include "backend/ref/ref.h"

void AIM_REF_FN(pack)(const real *w, size_t k_stride, size_t c_stride, int n_k, int n_c, real *out)
{
    for (size_t c = 0; c < (size_t)n_c; c++)
        for (size_t k = 0; k < (size_t)n_k; k++)
            out[c * (size_t)n_k + k] = w[k * k_stride + c * c_stride];
}

static double dot(const real *x, const real *w, int n)
{
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += (double)x[k] * (double)w[k];
    return sum;
}

static double gelu(double z, double *slope)
{
    const double cdf = 0.5 * erfc(-z * 0.70710678118654752440),
                 density = 0.39894228040143267794 * exp(-0.5 * z * z);
    *slope = cdf + z * density;
    return z * cdf;
}

void AIM_REF_FN(linear_fwd)(const aim_linear_args *a, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        const real *bias = a->bias + (a->bias_row ? (size_t)a->bias_row[r] * a->ldbias : 0);
        for (int c = 0; c < a->n_out; c++) {
            double y = dot(a->x + (size_t)r * a->ldx, a->w + (size_t)c * (size_t)a->n_in, a->n_in) +
                       (double)bias[c],
                   slope = 1;
            if (a->gelu)
                y = gelu(y, &slope);
            a->y[(size_t)r * a->ldy + (size_t)c] = (real)y;
            if (a->gelu && a->slope)
                a->slope[(size_t)r * a->ldslope + (size_t)c] = (real)slope;
        }
    }
}

void AIM_REF_FN(linear_bwd)(const aim_linear_args *a, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        real *gy = a->y + (size_t)r * a->ldy;
        for (int c = 0; a->slope && c < a->n_out; c++)
            gy[c] *= a->slope[(size_t)r * a->ldslope + (size_t)c];
        for (int k = 0; k < a->n_in; k++)
            a->gx[(size_t)r * a->ldgx + (size_t)k] =
                (real)dot(gy, a->w + (size_t)k * (size_t)a->n_out, a->n_out);
    }
}

void AIM_REF_FN(linear_out)(const aim_linear_out_args *a, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++)
        for (int c = 0; c < a->n_out; c++)
            a->out[r * a->n_out + c] =
                dot(a->x + (size_t)r * a->ldx, a->w + (size_t)c * (size_t)a->n_in, a->n_in) +
                (double)a->bias[c];
}
