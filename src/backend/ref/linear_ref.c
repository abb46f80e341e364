/* SPDX-License-Identifier: MIT */
/* linear_ref.c - dense layers with exact GELU, forward and backward (equations: kernels.def).
 *
 *     z = x W^T + b,     gelu(z) = z Phi(z),     gelu'(z) = Phi(z) + z phi(z),
 *     gelu''(z) = (2 - z^2) phi(z)
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

static double gelu(double z, double *slope, double *curve)
{
    const double cdf = 0.5 * erfc(-z * 0.70710678118654752440),
                 density = 0.39894228040143267794 * exp(-0.5 * z * z);
    *slope = cdf + z * density;
    *curve = (2.0 - z * z) * density;
    return z * cdf;
}

void AIM_REF_FN(linear_fwd)(const aim_linear_args *a, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        const real *bias = a->bias + (a->bias_row ? (size_t)a->bias_row[r] * a->ldbias : 0);
        for (int c = 0; c < a->n_out; c++) {
            double y = dot(a->x + (size_t)r * a->ldx, a->w + (size_t)c * (size_t)a->n_in, a->n_in) +
                       (double)bias[c],
                   slope = 1, curve = 0;
            if (a->gelu)
                y = gelu(y, &slope, &curve);
            a->y[(size_t)r * a->ldy + (size_t)c] = (real)y;
            if (a->gelu && a->slope)
                a->slope[(size_t)r * a->ldslope + (size_t)c] = (real)slope;
            if (a->gelu && a->curve)
                a->curve[(size_t)r * a->ldslope + (size_t)c] = (real)curve;
        }
    }
}

void AIM_REF_FN(linear_bwd)(const aim_linear_args *a, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        real *gy = a->y + (size_t)r * a->ldy;
        for (int c = 0; a->curve && c < a->n_out; c++)
            a->curve[(size_t)r * a->ldslope + (size_t)c] *= gy[c];
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

void AIM_REF_FN(linear_fwd_tan)(const aim_linear_tan_args *a, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++)
        for (int c = 0; c < a->n_out; c++) {
            const double tz =
                dot(a->x + (size_t)r * a->ldx, a->w + (size_t)c * (size_t)a->n_in, a->n_in);
            const size_t at = (size_t)(r % a->n) * a->ldslope + (size_t)c;
            if (a->tz)
                a->tz[(size_t)r * a->ldtz + (size_t)c] = (real)tz;
            a->y[(size_t)r * a->ldy + (size_t)c] =
                (real)(a->slope ? (double)a->slope[at] * tz : tz);
        }
}

void AIM_REF_FN(linear_bwd_tan)(const aim_linear_tan_args *a, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        real *tgy = a->y + (size_t)r * a->ldy;
        for (int c = 0; a->slope && c < a->n_out; c++) {
            const size_t at = (size_t)(r % a->n) * a->ldslope + (size_t)c;
            tgy[c] = (real)((double)a->slope[at] * (double)tgy[c] +
                            (double)a->bend[at] * (double)a->tz[(size_t)r * a->ldtz + (size_t)c]);
        }
        for (int k = 0; k < a->n_in; k++)
            a->gx[(size_t)r * a->ldgx + (size_t)k] =
                (real)dot(tgy, a->w + (size_t)k * (size_t)a->n_out, a->n_out);
    }
}

void AIM_REF_FN(linear_weight_tan)(const aim_weight_tan_args *a, int64_t first, int64_t last)
{
    for (int64_t o = first; o < last; o++) {
        for (int k = 0; k < a->n_in; k++) {
            double sum = 0;
            for (size_t r = 0; r < (size_t)a->rows; r++)
                sum +=
                    (double)a->tgz[r * a->ldz + (size_t)o] * (double)a->x[r * a->ldx + (size_t)k] +
                    (double)a->gz[r * a->ldz + (size_t)o] * (double)a->tx[r * a->ldx + (size_t)k];
            a->gw[o * a->n_in + k] += sum;
        }
        for (size_t r = 0; a->gb && r < (size_t)a->rows; r++)
            a->gb[o] += (double)a->tgz[r * a->ldz + (size_t)o];
    }
}
