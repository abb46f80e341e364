/* SPDX-License-Identifier: MIT */
/* hessian.c - the linear algebra of the optimisers on the host, one thread per structure: small dense
 * matrices, row by row, so that no library is needed and every sum has one order. */
#include "opt/hessian.h"

#include <math.h>

#include "backend/opt/model.h"

double aim_long_dot(const double *a, const double *b, size_t n)
{
    enum { LANES = 8 }; /* independent sums: one would wait for every addition */
    double sum[LANES] = {0.0};
    const size_t whole = n - n % LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sum[k] += a[i + k] * b[i + k];
    for (size_t i = whole; i < n; i++)
        sum[i - whole] += a[i] * b[i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* Row by row (Banachiewicz); h is positive definite by construction. */
void aim_cholesky(double *h, int n_rows)
{
    const size_t n = (size_t)n_rows;
    for (size_t i = 0; i < n; i++) {
        double *hi = h + i * n;
        for (size_t j = 0; j <= i; j++) {
            const double *hj = h + j * n, rest = hi[j] - aim_long_dot(hi, hj, j);
            hi[j] = j < i ? rest / hj[j] : sqrt(rest);
        }
    }
}

void aim_cholesky_solve(const double *l, int n_rows, double *x)
{
    const size_t n = (size_t)n_rows;
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - aim_long_dot(l + i * n, x, i)) / l[i * n + i];
    for (size_t i = n; i-- > 0;) {
        x[i] /= l[i * n + i];
        for (size_t k = 0; k < i; k++)
            x[k] -= l[i * n + k] * x[i];
    }
}

void aim_model_hessian(const aim_variables *v, double *h)
{
    aim_model_build(v, h, NULL);
}
