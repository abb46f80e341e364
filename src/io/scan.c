/* SPDX-License-Identifier: MIT */
/* scan.c - decimal numbers at the speed of the file, and small text helpers of the readers.
 *
 * A decimal of up to 19 digits is an integer m times 10^k. For m <= 2^53 and |k| <= 22 one
 * multiplication or division of exact doubles rounds correctly (Clinger 1990,
 * doi:10.1145/93542.93557). For larger m (all 16 to 19 digits of a double printed in full) and
 * negative k the quotient is formed as q0 + q1 with the exact remainder from fma, and is accepted
 * when rounding q0 + q1 (1 -+ 2^-40) gives the same double both ways (Ziv's test,
 * doi:10.1145/114697.116813); q1 itself is good to 2^-50. Everything else goes to aim_parse_double.
 * So every result is the correctly rounded one. */
#include "io/scan.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/text.h"

enum { MAX_DIGITS = 19, MAX_POWER = 22 };

static const double power_of_ten[MAX_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

aim_span aim_span_trim(aim_span s)
{
    while (s.size > 0 && aim_is_space(s.text[0])) {
        s.text++;
        s.size--;
    }
    while (s.size > 0 && aim_is_space(s.text[s.size - 1]))
        s.size--;
    return s;
}

aim_span aim_span_columns(aim_span line, size_t from, size_t size)
{
    if (from >= line.size)
        return (aim_span){line.text, 0};
    const size_t rest = line.size - from;
    return aim_span_trim((aim_span){line.text + from, rest < size ? rest : size});
}

int aim_span_equal(aim_span s, const char *text)
{
    return strlen(text) == s.size && memcmp(s.text, text, s.size) == 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int aim_span_equal_nocase(aim_span s, const char *text)
{
    if (strlen(text) != s.size)
        return 0;
    for (size_t i = 0; i < s.size; i++)
        if (lower(s.text[i]) != lower(text[i]))
            return 0;
    return 1;
}

int aim_span_starts(aim_span s, const char *prefix)
{
    const size_t n = strlen(prefix);
    return s.size >= n && memcmp(s.text, prefix, n) == 0;
}

/* m / 10^k for m < 10^19 by Ziv's test; 0 if it cannot decide. */
static int divide_large(uint64_t m, int k, double *value)
{
    const double high = (double)m, power = power_of_ten[k];
    const double low = (double)(int64_t)(m - (uint64_t)high);
    const double q0 = high / power;
    const double rest = fma(-q0, power, high) + low;
    const double q1 = rest / power;
    const double slack = fabs(q1) * 0x1p-40;
    const double below = q0 + (q1 - slack), above = q0 + (q1 + slack);
    if (below != above)
        return 0;
    *value = below;
    return 1;
}

/* m * 10^k; 0 if it takes more than one rounding. */
static int scale(uint64_t m, int64_t k, double *value)
{
    if (k < -MAX_POWER || k > MAX_POWER)
        return 0;
    if (m <= UINT64_C(1) << 53) {
        *value = k < 0 ? (double)m / power_of_ten[-k] : (double)m * power_of_ten[k];
        return 1;
    }
    return k < 0 && divide_large(m, (int)-k, value);
}

/* [+-]digits[.digits][e[+-]digits] of few digits; 0: leave it to the general parser, which also
 * finds the errors. */
static int scan_short(const char *p, const char *end, double *value)
{
    const int negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    uint64_t m = 0;
    const char *const first = p;
    while (p < end && is_digit(*p))
        m = m * 10 + (uint64_t)(*p++ - '0');
    ptrdiff_t digits = p - first;
    int64_t power = 0;
    if (p < end && *p == '.') {
        const char *const fraction = ++p;
        while (p < end && is_digit(*p))
            m = m * 10 + (uint64_t)(*p++ - '0');
        power = fraction - p;
        digits -= power;
    }
    if (digits == 0 || digits > MAX_DIGITS)
        return 0;
    if (p < end) {
        int64_t exponent;
        const char e = lower(*p++);
        if ((e != 'e' && e != 'd') || end - p > 4 ||
            !aim_parse_int64(p, (size_t)(end - p), &exponent))
            return 0;
        power += exponent;
    }
    double x;
    if (!scale(m, power, &x))
        return 0;
    *value = negative ? -x : x;
    return 1;
}

int aim_scan_double(aim_span s, double *value)
{
#if FLT_EVAL_METHOD == 0
    if (scan_short(s.text, s.text + s.size, value))
        return 1;
#endif
    return aim_parse_double(s.text, s.size, value);
}

int aim_scan_int(aim_span s, int64_t *value)
{
    return aim_parse_int64(s.text, s.size, value);
}

const char *aim_span_quote(aim_span s, char text[AIM_QUOTE_SIZE])
{
    const size_t room = AIM_QUOTE_SIZE - 6; /* quotes, dots, NUL */
    const size_t n = s.size < room ? s.size : room;
    size_t used = 0;
    text[used++] = '"';
    for (size_t i = 0; i < n; i++)
        text[used++] = s.text[i] >= ' ' && s.text[i] <= '~' ? s.text[i] : '?';
    if (s.size > n) {
        memcpy(text + used, "...", 3);
        used += 3;
    }
    text[used++] = '"';
    text[used] = '\0';
    return text;
}
