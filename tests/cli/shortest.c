/* SPDX-License-Identifier: MIT */
/* shortest.c - the command's decimals read back to the same double, and are not longer than what
 * printf and strtod find by trial. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../apps/shortest.h"

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double sample(int kind)
{
    const uint64_t bits = next();
    double x;
    switch (kind) {
    case 0: /* any bit pattern */
        memcpy(&x, &bits, sizeof x);
        return x;
    case 1: /* a float, widened */
        return (double)(float)((double)(int64_t)bits * 1e-18);
    case 2: /* usual magnitudes */
        return (double)(bits >> 11) * 0x1p-53 * pow(10.0, (int)(next() % 24) - 7);
    case 3: /* powers of two: the interval is not symmetric */
        return ldexp(bits & 512 ? 1.0 : -1.0, (int)(bits % 70) - 22);
    default: /* few digits, and their neighbours */
        x = (double)(bits % 100000) * pow(10.0, (int)(next() % 24) - 11);
        return bits >> 63 ? x : nextafter(x, INFINITY);
    }
}

static int digits_of(const char *text)
{
    int n = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

int main(void)
{
    char text[64], trial[64];
    for (int i = 0; i < 300000; i++) {
        const double x = sample(i % 5);
        int digits = 15;
        if (!isfinite(x))
            continue;
        const size_t size = cli_shortest(text, x);
        do
            snprintf(trial, sizeof trial, "%.*g", digits, x);
        while (strtod(trial, NULL) != x && ++digits < 18);
        if (strlen(text) != size || size > 31 || strtod(text, NULL) != x ||
            digits_of(text) > digits_of(trial)) {
            printf("%a: %s, by trial %s\n", x, text, trial);
            return 1;
        }
    }
    return 0;
}
