/* SPDX-License-Identifier: MIT */
/* scan.h - tokens and numbers of a line. White space is blank, tab, CR, VT and FF. Nothing here
 * needs a NUL. */
#ifndef AIM_IO_SCAN_H
#define AIM_IO_SCAN_H

#include <stddef.h>
#include <stdint.h>

typedef struct aim_span {
    const char *text;
    size_t size;
} aim_span;

static inline int aim_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next token of *rest, which moves behind it; size 0 when there is none. */
static inline aim_span aim_scan_token(aim_span *rest)
{
    const char *p = rest->text, *const end = p + rest->size;
    while (p < end && aim_is_space(*p))
        p++;
    const char *const start = p;
    while (p < end && !aim_is_space(*p))
        p++;
    *rest = (aim_span){p, (size_t)(end - p)};
    return (aim_span){start, (size_t)(p - start)};
}

/* Without white space at both ends. */
aim_span aim_span_trim(aim_span s);
/* Bytes [from, from + size) of a line as far as it has them, trimmed: a field of a fixed-column
 * format. */
aim_span aim_span_columns(aim_span line, size_t from, size_t size);
int aim_span_equal(aim_span s, const char *text);
int aim_span_equal_nocase(aim_span s, const char *text);
int aim_span_starts(aim_span s, const char *prefix);

/* The whole span as a number: 1, or 0 if it is not one. Correctly rounded; the same syntax as
 * aim_parse_double. */
int aim_scan_double(aim_span s, double *value);
int aim_scan_int(aim_span s, int64_t *value);

enum { AIM_QUOTE_SIZE = 48 };
/* "text" for messages: printable, cut to what fits, with quotes. */
const char *aim_span_quote(aim_span s, char text[AIM_QUOTE_SIZE]);

#endif
