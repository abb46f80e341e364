/* SPDX-License-Identifier: MIT */
/* fft.c - lengths, factors and twiddles of Fourier transforms (backend/cpu/fft_cpu.c runs them).
 *
 * Radix 4 first: it has the fewest operations, and the stages of largest stride are the last. Every
 * twiddle is a cosine and sine of its own angle, reduced to one turn as an integer, so that the
 * error does not grow with the length. */
#include "term/fft.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

static int is_smooth(int n)
{
    for (int p = 2; p <= 5; p++)
        while (n % p == 0)
            n /= p;
    return n == 1;
}

int aim_fft_size(int n)
{
    while (!is_smooth(n))
        n++;
    return n;
}

/* exp(-2 pi i p j / n) for the p and j of one stage; returns how many. */
static int fill_stage(int n, int radix, double *cosine, double *sine)
{
    int k = 0;
    for (int p = 0; p < n / radix; p++)
        for (int j = 1; j < radix; j++, k++) {
            const double angle = 2.0 * PI * (double)((int64_t)p * j % n) / n;
            cosine[k] = cos(angle);
            sine[k] = -sin(angle);
        }
    return k;
}

aim_fft_plan aim_fft_make(int n, double *twiddles)
{
    static const int radix[] = {4, 2, 3, 5};
    aim_fft_plan plan = {.n = n, .cosine = twiddles, .sine = twiddles + n};
    int left = n, at = 0;
    for (int r = 0; r < 4; r++)
        while (left % radix[r] == 0) {
            plan.factor[plan.n_factors++] = radix[r];
            at += fill_stage(left, radix[r], twiddles + at, twiddles + n + at);
            left /= radix[r];
        }
    return plan;
}
