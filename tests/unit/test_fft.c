/* SPDX-License-Identifier: MIT */
/* test_fft.c - Fourier transforms of every length and instruction set against the definition, and
 * B-splines against their exact values. */
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/isa.h"
#include "backend/term_kernels.h"
#include "point/units.h"
#include "term/fft.h"

enum { MAX_N = 250, ROWS = 19, COLUMNS = 2 * AIM_MESH_LANES };

/* Rounding of n additions of numbers below 1, in double. */
static const double TOLERANCE = 2e-13;

static double unit(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53 - 0.5;
}

static double complex definition(const double *re, const double *im, size_t stride, int n, int k,
                                 double sign)
{
    double complex sum = 0;
    for (int r = 0; r < n; r++)
        sum += (re[(size_t)r * stride] + (im ? I * im[(size_t)r * stride] : 0)) *
               cexp(sign * 2.0 * AIM_PI * I * (double)(k * r % n) / n);
    return sum;
}

static void lengths_have_small_factors_and_are_the_next(void **state)
{
    (void)state;
    assert_int_equal(aim_fft_size(1), 1);
    assert_int_equal(aim_fft_size(7), 8);
    assert_int_equal(aim_fft_size(11), 12);
    assert_int_equal(aim_fft_size(97), 100);
    assert_int_equal(aim_fft_size(217), 225);
    assert_int_equal(aim_fft_size(4096), 4096);
}

static void columns_are_the_definition(void **state)
{
    (void)state;
    static double x[2][MAX_N * COLUMNS], y[2][MAX_N * COLUMNS], twiddle[2 * MAX_N],
        work[8 * (MAX_N + 1) * AIM_MESH_LANES];
    uint64_t seed = 1;
    for (int k = 0; k < MAX_N * COLUMNS; k++) {
        x[0][k] = unit(&seed);
        x[1][k] = unit(&seed);
    }
    for (int isa = 0; isa <= aim_cpu_isa(); isa++)
        for (int n = 1; n <= MAX_N; n = aim_fft_size(n + 1)) {
            const aim_fft_plan plan = aim_fft_make(n, twiddle);
            for (int inverse = 0; inverse < 2; inverse++) {
                aim_term_kernels_select(isa)->fft_columns(&plan, inverse, x[0], x[1], COLUMNS,
                                                          COLUMNS, y[0], y[1], COLUMNS, work);
                for (int k = 0; k < n; k += n < 20 ? 1 : 7)
                    for (int c = 0; c < COLUMNS; c += 5) {
                        const double complex z =
                            definition(x[0] + c, x[1] + c, COLUMNS, n, k, inverse ? 1.0 : -1.0);
                        assert_true(cabs(z - y[0][k * COLUMNS + c] - I * y[1][k * COLUMNS + c]) <
                                    TOLERANCE * sqrt(n));
                    }
            }
        }
}

static void rows_are_the_definition_and_come_back(void **state)
{
    (void)state;
    enum { STRIDE = MAX_N + 3 };
    static double x[ROWS * STRIDE], back[ROWS * STRIDE], re[ROWS * STRIDE], im[ROWS * STRIDE],
        twiddle[2 * MAX_N], work[8 * (MAX_N + 1) * AIM_MESH_LANES];
    uint64_t seed = 2;
    for (int k = 0; k < ROWS * STRIDE; k++)
        x[k] = unit(&seed);
    for (int isa = 0; isa <= aim_cpu_isa(); isa++)
        for (int n = 1; n <= MAX_N; n = aim_fft_size(n + 1))
            for (int rows = 1; rows <= ROWS; rows += 6) {
                const aim_term_kernels *kernels = aim_term_kernels_select(isa);
                const aim_fft_plan plan = aim_fft_make(n, twiddle);
                kernels->fft_rows(&plan, x, STRIDE, rows, re, im, STRIDE, work);
                for (int r = 0; r < rows; r++)
                    for (int k = 0; k <= n / 2; k += n < 20 ? 1 : 5)
                        assert_true(cabs(definition(x + r * STRIDE, NULL, 1, n, k, -1.0) -
                                         re[r * STRIDE + k] - I * im[r * STRIDE + k]) <
                                    TOLERANCE * sqrt(n));
                kernels->fft_rows_inverse(&plan, re, im, STRIDE, rows, back, STRIDE, work);
                for (int r = 0; r < rows; r++)
                    for (int k = 0; k < n; k++)
                        assert_true(fabs(back[r * STRIDE + k] - n * x[r * STRIDE + k]) <
                                    TOLERANCE * n);
            }
}

/* M_n(x) = sum_k (-1)^k C(n, k) max(x - k, 0)^(n - 1) / (n - 1)! */
static double exact_spline(int n, double x)
{
    double sum = 0, term = 1;
    for (int k = 0; k <= n && k < x; k++) {
        sum += term * pow(x - k, n - 1);
        term *= -(double)(n - k) / (k + 1);
    }
    return sum / tgamma(n);
}

static void splines_are_their_closed_form(void **state)
{
    (void)state;
    for (int n = 3; n <= 8; n++)
        for (double t = 0; t < 1; t += 0.0937) {
            double w[AIM_BSPLINE_MAX], d[AIM_BSPLINE_MAX], sum = 0;
            aim_bspline(t, n, w, d);
            for (int j = 0; j < n; j++) {
                const double x = t + n - 1 - j;
                sum += w[j];
                assert_true(fabs(w[j] - exact_spline(n, x)) < 1e-12);
                assert_true(fabs(d[j] - exact_spline(n - 1, x) + exact_spline(n - 1, x - 1)) <
                            1e-11);
            }
            assert_true(fabs(sum - 1.0) < 1e-15);
        }
}

static void vector_splines_are_the_scalar_ones(void **state)
{
    (void)state;
    enum { N = 24 };
    double t[N], w[N * AIM_BSPLINE_MAX], d[N * AIM_BSPLINE_MAX];
    uint64_t seed = 3;
    for (int k = 0; k < N; k++)
        t[k] = unit(&seed) + 0.5;
    for (int isa = 0; isa <= aim_cpu_isa(); isa++)
        for (int order = 4; order <= AIM_BSPLINE_MAX; order += 2) {
            const int padded = order > 8 ? 16 : 8;
            aim_term_kernels_select(isa)->mesh_splines(order, padded, t, N, w, d);
            for (int k = 0; k < N; k++) {
                double a[AIM_BSPLINE_MAX] = {0}, b[AIM_BSPLINE_MAX] = {0};
                aim_bspline(t[k], order, a, b);
                for (int j = 0; j < padded; j++) {
                    assert_true(fabs(w[k * padded + j] - a[j]) < 1e-15);
                    assert_true(fabs(d[k * padded + j] - b[j]) < 1e-15);
                }
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_have_small_factors_and_are_the_next),
        cmocka_unit_test(columns_are_the_definition),
        cmocka_unit_test(rows_are_the_definition_and_come_back),
        cmocka_unit_test(splines_are_their_closed_form),
        cmocka_unit_test(vector_splines_are_the_scalar_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
