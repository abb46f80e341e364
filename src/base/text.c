/* SPDX-License-Identifier: MIT */
/* text.c - numbers from and to text whatever the program's locale is, and a growing string.
 *
 * Reading: the decimal digits become an integer times a power of ten. With at most 15 to 19 digits
 * below 2^53 and a power up to 10^22 both are exact doubles and one multiplication or division
 * rounds correctly (W. D. Clinger, 1990, doi:10.1145/93542.93557): that is nearly every number in a
 * structure file. Anything else is handed to strtod as "123e-45": without a decimal point there is
 * nothing for a locale to change. Digits beyond the 770th (no midpoint between two doubles has
 * more) are replaced by one digit 1, which keeps the rounding exact.
 *
 * Writing: printf of 15 digits, more if they do not read back; a locale's decimal point is replaced
 * by '.'. */
#include "base/text.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 770, EXPONENT_LIMIT = 100000 };

/* digits (without leading zeros) times 10^exponent */
typedef struct decimal {
    char digits[MAX_DIGITS + 32]; /* room for a sticky digit, an exponent and NUL */
    size_t n_digits;
    int64_t exponent;
    int any; /* at least one digit was read, perhaps a zero */
} decimal;

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int equal_n_nocase(const char *s, size_t n, const char *lower)
{
    if (strlen(lower) != n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (to_lower(s[i]) != lower[i])
            return 0;
    return 1;
}

int aim_equal_nocase(const char *a, const char *b)
{
    while (*a && to_lower(*a) == to_lower(*b)) {
        a++;
        b++;
    }
    return to_lower(*a) == to_lower(*b);
}

int aim_parse_int64(const char *s, size_t n, int64_t *value)
{
    const int negative = n > 0 && s[0] == '-';
    size_t i = n > 0 && (s[0] == '-' || s[0] == '+');
    if (i == n)
        return 0;
    int64_t v = 0; /* accumulated as a negative number: its range is the larger one */
    for (; i < n; i++) {
        if (!is_digit(s[i]))
            return 0;
        const int digit = s[i] - '0';
        if (v < (INT64_MIN + digit) / 10)
            return 0;
        v = v * 10 - digit;
    }
    if (!negative && v == INT64_MIN)
        return 0;
    *value = negative ? v : -v;
    return 1;
}

/* Reads digits[.digits]; returns the number of characters. */
static size_t read_digits(const char *s, size_t n, decimal *d)
{
    int after_point = 0, sticky = 0;
    size_t i = 0;
    for (; i < n; i++) {
        if (s[i] == '.' && !after_point) {
            after_point = 1;
            continue;
        }
        if (!is_digit(s[i]))
            break;
        d->any = 1;
        d->exponent -= after_point;
        if (d->n_digits == 0 && s[i] == '0')
            continue;
        if (d->n_digits < MAX_DIGITS) {
            d->digits[d->n_digits++] = s[i];
        } else {
            d->exponent++;
            sticky |= s[i] != '0';
        }
    }
    if (sticky) {
        d->digits[d->n_digits++] = '1';
        d->exponent--;
    }
    return i;
}

/* Reads e[+-]digits, the whole of [s, s + n), and adds it to the exponent (clamped: both ends are
 * far out of range). */
static int read_exponent(const char *s, size_t n, decimal *d)
{
    const char e = to_lower(s[0]);
    if (e != 'e' && e != 'd')
        return 0;
    size_t i = 1;
    const int negative = n > 1 && s[1] == '-';
    i += n > 1 && (s[1] == '-' || s[1] == '+');
    if (i == n)
        return 0;
    int64_t value = 0;
    for (; i < n; i++) {
        if (!is_digit(s[i]))
            return 0;
        if (value < INT64_MAX / 16)
            value = value * 10 + (s[i] - '0');
    }
    d->exponent += negative ? -value : value;
    return 1;
}

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
/* Exact inputs and one rounding; returns 0 if the number is not of that kind. */
static int small_decimal(const decimal *d, double *value)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->n_digits > 19 || d->exponent < -22 || d->exponent > 22)
        return 0;
    uint64_t m = 0;
    for (size_t i = 0; i < d->n_digits; i++)
        m = m * 10 + (uint64_t)(d->digits[i] - '0');
    if (m > UINT64_C(1) << 53)
        return 0;
    *value = d->exponent < 0 ? (double)m / power[-d->exponent] : (double)m * power[d->exponent];
    return 1;
}
#else
static int small_decimal(const decimal *d, double *value)
{
    (void)d;
    (void)value;
    return 0;
}
#endif

static double large_decimal(decimal *d)
{
    if (d->n_digits == 0)
        return 0.0;
    int64_t exponent = d->exponent;
    if (exponent > EXPONENT_LIMIT)
        exponent = EXPONENT_LIMIT;
    if (exponent < -EXPONENT_LIMIT)
        exponent = -EXPONENT_LIMIT;
    snprintf(d->digits + d->n_digits, sizeof d->digits - d->n_digits, "e%d", (int)exponent);
    const int saved = errno;
    const double value = strtod(d->digits, NULL);
    errno = saved;
    return value;
}

int aim_parse_double(const char *s, size_t n, double *value)
{
    const int negative = n > 0 && s[0] == '-';
    const size_t sign = n > 0 && (s[0] == '-' || s[0] == '+');
    s += sign;
    n -= sign;
    double v;
    if (n > 0 && !is_digit(s[0]) && s[0] != '.') {
        if (equal_n_nocase(s, n, "nan"))
            v = strtod("nan", NULL);
        else if (equal_n_nocase(s, n, "inf") || equal_n_nocase(s, n, "infinity"))
            v = strtod("inf", NULL);
        else
            return 0;
        *value = negative ? -v : v;
        return 1;
    }
    decimal d;
    d.n_digits = 0;
    d.exponent = 0;
    d.any = 0;
    const size_t used = read_digits(s, n, &d);
    if (!d.any || (used < n && !read_exponent(s + used, n - used, &d)))
        return 0;
    if (!small_decimal(&d, &v))
        v = large_decimal(&d);
    *value = negative ? -v : v;
    return 1;
}

static int same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* printf with a locale's decimal point (one or more bytes that no number has otherwise) replaced by
 * '.'. */
static size_t print_digits(char *text, double value, int digits)
{
    char raw[64];
    snprintf(raw, sizeof raw, "%.*g", digits, value);
    size_t n = 0;
    int in_point = 0;
    for (const char *c = raw; *c; c++) {
        const int plain = is_digit(*c) || *c == '-' || *c == '+' || *c == 'e';
        if (plain || !in_point)
            text[n++] = plain ? *c : '.';
        in_point = !plain;
    }
    text[n] = '\0';
    return n;
}

static size_t copy_text(char *text, const char *from)
{
    const size_t n = strlen(from);
    memcpy(text, from, n + 1);
    return n;
}

size_t aim_format_double(char *text, double value)
{
    if (value != value)
        return copy_text(text, "NaN");
    if (value > DBL_MAX || value < -DBL_MAX)
        return copy_text(text, value > 0 ? "Infinity" : "-Infinity");
    for (int digits = 15;; digits++) {
        const size_t n = print_digits(text, value, digits);
        double back = 0.0;
        if (digits == 17 || (aim_parse_double(text, n, &back) && same_bits(back, value)))
            return n;
    }
}

/* Room for `more` further bytes and the NUL. */
static aim_status reserve(aim_string *s, const aim_alloc *a, size_t more)
{
    if (more > (size_t)PTRDIFF_MAX - 1 - s->size)
        return AIM_FAIL(AIMNET_ERR_MEMORY,
                        "a text of %zu + %zu bytes is more than this machine can address", s->size,
                        more);
    const size_t needed = s->size + more + 1;
    if (needed <= s->capacity)
        return AIMNET_OK;
    size_t capacity = s->capacity + s->capacity / 2;
    if (capacity < needed)
        capacity = needed < 64 ? 64 : needed;
    AIM_TRY(aim_grow(a, s->size, capacity, 1, "a text", &s->data));
    s->capacity = capacity;
    return AIMNET_OK;
}

aim_status aim_string_append(aim_string *s, const aim_alloc *a, const char *text, size_t n)
{
    AIM_TRY(reserve(s, a, n));
    if (n > 0)
        memcpy(s->data + s->size, text, n);
    s->size += n;
    s->data[s->size] = '\0';
    return AIMNET_OK;
}

aim_status aim_string_printf(aim_string *s, const aim_alloc *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    aim_status status = AIMNET_OK;
    if (length < 0)
        status = AIM_FAIL(AIMNET_ERR_INTERNAL, "the format \"%s\" cannot be printed", format);
    else
        status = reserve(s, a, (size_t)length);
    if (status == AIMNET_OK) {
        vsnprintf(s->data + s->size, (size_t)length + 1, format, again);
        s->size += (size_t)length;
    }
    va_end(again);
    return status;
}

void aim_string_free(aim_string *s, const aim_alloc *a)
{
    aim_free(a, s->data);
    *s = (aim_string){0};
}
