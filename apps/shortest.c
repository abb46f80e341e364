/* SPDX-License-Identifier: MIT */
/* shortest.c - doubles to decimals for JSON (shortest.h). Forces of a batch are 10^4 to 10^6
 * numbers, and snprintf followed by strtod takes a microsecond for each, so the usual magnitudes go
 * another way.
 *
 * x = m 2^-s with m < 2^53. For 2e-6 <= |x| < 1e15 a k <= 22 exists with x 10^k in [10^16, 10^17)
 * and m 10^k < 2^127, so 128-bit integers hold it exactly. A decimal reads back to x if it lies
 * strictly between x - ulp/2 and x + ulp/2, which at a power of two is taken as ulp/4 below: (2m -
 * 1) 10^k < 2 d 2^s < (2m + 1) 10^k. Candidates are x rounded to 15, 16 and 17 digits; the first
 * inside is taken. */
#include "shortest.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t by_trial(char *text, double value)
{
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, 32, "%.*g", digits, value);
        if (digits == 17 || strtod(text, NULL) == value)
            break;
    }
    return (size_t)n;
}

#if defined(__SIZEOF_INT128__)

__extension__ typedef unsigned __int128 wide;

static wide power_of_ten(int k) /* 0 to 22 */
{
    static const uint64_t small[20] = {1ull,
                                       10ull,
                                       100ull,
                                       1000ull,
                                       10000ull,
                                       100000ull,
                                       1000000ull,
                                       10000000ull,
                                       100000000ull,
                                       1000000000ull,
                                       10000000000ull,
                                       100000000000ull,
                                       1000000000000ull,
                                       10000000000000ull,
                                       100000000000000ull,
                                       1000000000000000ull,
                                       10000000000000000ull,
                                       100000000000000000ull,
                                       1000000000000000000ull,
                                       10000000000000000000ull};
    return k < 20 ? (wide)small[k] : (wide)small[19] * small[k - 19];
}

/* The digits of x as an integer of 17 digits (those not needed are zero): x ~ digits 10^-k. */
static uint64_t seventeen_digits(double x, int *k)
{
    static const uint64_t step[3] = {100, 10, 1};
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint64_t m = (bits & 0xfffffffffffffull) | (uint64_t)1 << 52;
    const int s = 1075 - (int)(bits >> 52),
              exponent = 52 - s;       /* x = m 2^-s, s >= 3; 2^exponent <= x */
    *k = 16 - (exponent * 1233 >> 12); /* 1233/4096 ~ log10(2): right or one too large */
    wide scaled = (wide)m * power_of_ten(*k);
    if (scaled >> s >= power_of_ten(17))
        scaled = (wide)m * power_of_ten(--*k);
    const wide half_ulp = power_of_ten(*k); /* of 2 scaled */
    const wide low = 2 * scaled - (m == (uint64_t)1 << 52 ? half_ulp / 2 : half_ulp);
    const wide high = 2 * scaled + half_ulp;
    uint64_t d = 0;
    for (int i = 0; i < 3; i++) {
        const wide half = (wide)step[i] << (s - 1);
        d = (uint64_t)((scaled + half) >> s) / step[i] * step[i];
        const wide twice = (wide)d << (s + 1);
        if (low < twice && twice < high)
            break;
    }
    return d;
}

/* d 10^-k in decimals, at least one digit before the point, without zeros at the end. */
static char *write_decimal(char *out, uint64_t d, int k)
{
    char digits[32];
    int n = 0;
    for (; k > 0 && d % 10 == 0; k--)
        d /= 10;
    for (; d > 0 || n <= k; d /= 10)
        digits[n++] = (char)('0' + d % 10);
    while (n > 0) {
        if (n == k)
            *out++ = '.';
        *out++ = digits[--n];
    }
    *out = '\0';
    return out;
}

size_t cli_shortest(char *text, double value)
{
    const double x = fabs(value);
    char *out = text;
    int k = 0;
    if (!(x >= 2e-6 && x < 1e15)) /* k is 2 to 22 */
        return by_trial(text, value);
    const uint64_t d = seventeen_digits(x, &k);
    if (value < 0)
        *out++ = '-';
    return (size_t)(write_decimal(out, d, k) - text);
}

#else

size_t cli_shortest(char *text, double value)
{
    return by_trial(text, value);
}

#endif
