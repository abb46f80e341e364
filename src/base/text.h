/* SPDX-License-Identifier: MIT */
/* text.h - locale-free text: numbers in and out, tokens, a growing string. */
#ifndef AIM_BASE_TEXT_H
#define AIM_BASE_TEXT_H

#include <stdarg.h>
#include "base/alloc.h"

/* Parse a whole token [s, s+n); returns 1 on success. Locale-independent; doubles also take a
 * Fortran exponent ("1d-05"), "nan" and "inf" in any case (callers check isfinite); hexadecimal
 * floats are refused. No whitespace is skipped. */
int aim_parse_double(const char *s, size_t n, double *value);
int aim_parse_int64(const char *s, size_t n, int64_t *value);
/* Shortest of %.15g, %.16g, %.17g that reads back to the same bits, always with '.', never locale
 * dependent; NaN and infinities as "NaN", "Infinity", "-Infinity". Returns the length; text needs
 * 32 bytes. */
size_t aim_format_double(char *text, double value);

int aim_equal_nocase(const char *a, const char *b); /* ASCII */

typedef struct aim_string {
    char *data;  /* always NUL-terminated once anything was appended, else NULL */
    size_t size; /* without the NUL */
    size_t capacity;
} aim_string;
AIM_NODISCARD aim_status aim_string_append(aim_string *s, const aim_alloc *a, const char *text,
                                           size_t n);
AIM_NODISCARD aim_status aim_string_printf(aim_string *s, const aim_alloc *a, const char *format,
                                           ...) AIM_PRINTF(3, 4);
void aim_string_free(aim_string *s, const aim_alloc *a);

#endif
