/* SPDX-License-Identifier: MIT */
/* json.c - the JSON emitter of the command (json.h). State is one bit: whether the next element
 * needs a comma before it. */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "console.h"
#include "shortest.h"

static int comma;

static void separate(void)
{
    if (comma)
        cli_out(",", 1);
    comma = 1;
}

void cli_json_open(void)
{
    separate();
    cli_out("{", 1);
    comma = 0;
}

void cli_json_close(void)
{
    cli_out("}", 1);
    comma = 1;
}

void cli_json_end(void)
{
    cli_out("}\n", 2);
    comma = 0;
}

void cli_json_open_list(void)
{
    separate();
    cli_out("[", 1);
    comma = 0;
}

void cli_json_close_list(void)
{
    cli_out("]", 1);
    comma = 1;
}

void cli_json_key(const char *key)
{
    cli_json_text(key);
    cli_out(":", 1);
    comma = 0;
}

void cli_json_text(const char *text)
{
    cli_json_text_part(text, strlen(text));
}

/* Length of the well-formed UTF-8 character at s (at most n bytes), or 0: no overlong forms,
 * surrogates or values above 10FFFF. */
static size_t utf8_size(const unsigned char *s, size_t n)
{
    const unsigned c = s[0];
    if (c < 0x80)
        return 1;
    const size_t size = c >= 0xc2 && c < 0xe0   ? 2
                        : (c & 0xf0) == 0xe0    ? 3
                        : c >= 0xf0 && c < 0xf5 ? 4
                                                : 0;
    if (size == 0 || size > n)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] >= 0xa0) || (c == 0xf0 && s[1] < 0x90) ||
        (c == 0xf4 && s[1] >= 0x90))
        return 0;
    return size;
}

void cli_json_text_part(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    separate();
    cli_out("\"", 1);
    for (size_t i = 0; i < size;) {
        const size_t n = utf8_size(s + i, size - i);
        if (n == 0)
            cli_puts("\\ufffd");
        else if (s[i] == '"' || s[i] == '\\')
            cli_printf("\\%c", s[i]);
        else if (s[i] < 0x20 || s[i] == 0x7f)
            cli_printf("\\u%04x", s[i]);
        else
            cli_out(text + i, n);
        i += n ? n : 1;
    }
    cli_out("\"", 1);
}

void cli_json_lines(const char *lines)
{
    while (lines && *lines) {
        const size_t size = strcspn(lines, "\n");
        cli_json_text_part(lines, size);
        lines += size + (lines[size] == '\n');
    }
}

void cli_json_int(int64_t value)
{
    separate();
    cli_printf("%" PRId64, value);
}

void cli_json_bool(int value)
{
    separate();
    cli_puts(value ? "true" : "false");
}

void cli_json_real(double value)
{
    char text[32];
    separate();
    if (!isfinite(value)) {
        cli_puts("null");
        return;
    }
    const size_t n = cli_shortest(text, value + 0.0); /* -0 becomes 0 */
    cli_out(text, n);
}

void cli_json_reals(const double *values, size_t n, size_t width)
{
    cli_json_open_list();
    for (size_t i = 0; i < n; i++) {
        if (width == 0)
            cli_json_real(values[i]);
        else
            cli_json_reals(values + i * width, width, 0);
    }
    cli_json_close_list();
}
