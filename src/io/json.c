/* SPDX-License-Identifier: MIT */
/* json.c - a state machine over RFC 8259: what may come next is one of six states, and a bit per
 * level says whether that level is an object.
 *
 * Why not jansson: descriptions of models come from strangers. A tree costs 30 to 130 bytes per
 * byte of text ("[[],[],..."), and a header of a weight file may have 100 MB; tokens cost nothing,
 * every failure has its position, and numbers do not depend on the locale. */
#include "io/json.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "io/utf8.h"

enum { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COMMA_OR_END, WANT_NOTHING };

aim_json aim_json_of(aim_slice text, const char *name)
{
    return (aim_json){.text = text, .name = name, .state = WANT_VALUE};
}

aim_status aim_json_wrong(const aim_json *j, const char *what)
{
    return AIM_FAIL(AIMNET_ERR_FORMAT, "%s byte %zu: %s", j->name, j->start, what);
}

static int peek(const aim_json *j)
{
    return j->at < j->text.size ? (unsigned char)j->text.text[j->at] : -1;
}

static void skip_blanks(aim_json *j)
{
    while (peek(j) == ' ' || peek(j) == '\n' || peek(j) == '\r' || peek(j) == '\t')
        j->at++;
}

/* ---------------------------------------------------------------- scalars */

static int hex4(const char *s, unsigned *value)
{
    *value = 0;
    for (size_t i = 0; i < 4; i++) {
        const unsigned char c = (unsigned char)s[i];
        const unsigned low = c | 0x20U;
        const unsigned digit = c >= '0' && c <= '9'       ? c - (unsigned)'0'
                               : low >= 'a' && low <= 'f' ? low - (unsigned)'a' + 10
                                                          : 16;
        if (digit == 16)
            return 0;
        *value = *value << 4 | digit;
    }
    return 1;
}

/* The character of the escape at s (behind the backslash), n bytes remain; *used bytes of it are
 * its own. Returns 0 for what is no escape. */
static unsigned read_escape(const char *s, size_t n, size_t *used)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    unsigned high = 0, low = 0;
    *used = 1;
    if (n > 0 && s[0] != '\0' && s[0] != 'u' && strchr(letters, s[0]))
        return (unsigned char)values[strchr(letters, s[0]) - letters];
    if (n < 5 || s[0] != 'u' || !hex4(s + 1, &high))
        return 0;
    *used = 5;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || n < 11 || s[5] != '\\' || s[6] != 'u' || !hex4(s + 7, &low) ||
        low < 0xdc00 || low > 0xdfff)
        return 0;
    *used = 11;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* From behind the opening quote to behind the closing one. */
static aim_status read_text(aim_json *j)
{
    const char *const s = j->text.text;
    const size_t begin = ++j->at, size = j->text.size;
    j->escaped = 0;
    while (j->at < size && s[j->at] != '"') {
        size_t step = 0;
        if (s[j->at] == '\\') {
            j->escaped = 1;
            if (read_escape(s + j->at + 1, size - j->at - 1, &step) == 0)
                return aim_json_wrong(j, "a string has an escape that is none, or \\u0000");
            step++;
        } else {
            step = aim_utf8_size((const unsigned char *)s + j->at, size - j->at);
            if (step == 0 || (unsigned char)s[j->at] < ' ')
                return aim_json_wrong(j, "a string has control characters or is not UTF-8");
        }
        j->at += step;
    }
    if (j->at >= size)
        return aim_json_wrong(j, "a string has no end");
    j->value = (aim_slice){s + begin, j->at - begin};
    j->at++;
    return AIMNET_OK;
}

static size_t put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

size_t aim_json_unescape(const aim_json *j, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < j->value.size;) {
        if (j->value.text[i] != '\\') {
            out[n++] = j->value.text[i++];
            continue;
        }
        size_t used = 0;
        const unsigned c = read_escape(j->value.text + i + 1, j->value.size - i - 1, &used);
        n += put_utf8(out + n, c);
        i += 1 + used;
    }
    return n;
}

static size_t count_digits(const aim_json *j, size_t at)
{
    size_t n = 0;
    while (at + n < j->text.size && j->text.text[at + n] >= '0' && j->text.text[at + n] <= '9')
        n++;
    return n;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][-+]?[0-9]+)? */
static aim_status read_number(aim_json *j)
{
    const size_t begin = j->at;
    j->at += peek(j) == '-';
    const size_t whole = count_digits(j, j->at);
    if (whole == 0 || (whole > 1 && peek(j) == '0'))
        return aim_json_wrong(j, "not a JSON value");
    j->at += whole;
    j->kind = AIM_JSON_INT;
    for (int part = 0; part < 2; part++) {
        if (part == 0 ? peek(j) != '.' : peek(j) != 'e' && peek(j) != 'E')
            continue;
        j->kind = AIM_JSON_REAL;
        j->at++;
        j->at += part == 1 && (peek(j) == '-' || peek(j) == '+');
        const size_t digits = count_digits(j, j->at);
        if (digits == 0)
            return aim_json_wrong(j, "a number has no digits behind its point or exponent");
        j->at += digits;
    }
    const char *const s = j->text.text + begin;
    const size_t n = j->at - begin;
    if (j->kind == AIM_JSON_INT && !aim_parse_int64(s, n, &j->i))
        return aim_json_wrong(j, "an integer has more than 64 bits");
    j->f = NAN; /* the grammar of JSON is within that of aim_parse_double */
    (void)aim_parse_double(s, n, &j->f);
    if (!isfinite(j->f))
        return aim_json_wrong(j, "a number is not a finite double");
    return AIMNET_OK;
}

static int take_word(aim_json *j, const char *word)
{
    const size_t n = strlen(word);
    if (j->text.size - j->at < n || memcmp(j->text.text + j->at, word, n) != 0)
        return 0;
    j->at += n;
    return 1;
}

/* ---------------------------------------------------------------- structure */

static aim_status open_level(aim_json *j, int is_object)
{
    if (j->depth == AIM_JSON_DEPTH)
        return aim_json_wrong(j, "nested deeper than 32 levels");
    j->is_object[j->depth++] = (unsigned char)is_object;
    j->at++;
    j->kind = is_object ? AIM_JSON_OBJECT : AIM_JSON_LIST;
    j->state = is_object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return AIMNET_OK;
}

static void finish_value(aim_json *j)
{
    j->state = j->depth > 0 ? WANT_COMMA_OR_END : WANT_NOTHING;
}

static void close_level(aim_json *j)
{
    j->at++;
    j->kind = j->is_object[--j->depth] ? AIM_JSON_OBJECT_END : AIM_JSON_LIST_END;
    finish_value(j);
}

static aim_status read_value(aim_json *j)
{
    const int c = peek(j);
    if (c == '{' || c == '[')
        return open_level(j, c == '{');
    finish_value(j);
    if (c == '"') {
        j->kind = AIM_JSON_TEXT;
        return read_text(j);
    }
    j->i = c == 't';
    j->kind = c == 'n' ? AIM_JSON_NULL : AIM_JSON_BOOL;
    if (take_word(j, "true") || take_word(j, "false") || take_word(j, "null"))
        return AIMNET_OK;
    return read_number(j);
}

static aim_status read_key(aim_json *j)
{
    if (peek(j) != '"')
        return aim_json_wrong(j, "a key in quotes is expected");
    j->kind = AIM_JSON_KEY;
    AIM_TRY(read_text(j));
    skip_blanks(j);
    if (peek(j) != ':')
        return aim_json_wrong(j, "a key has no colon behind it");
    j->at++;
    j->state = WANT_VALUE;
    return AIMNET_OK;
}

aim_status aim_json_next(aim_json *j)
{
    skip_blanks(j);
    j->start = j->at;
    if (j->state == WANT_NOTHING) {
        j->kind = AIM_JSON_END;
        return peek(j) < 0 ? AIMNET_OK : aim_json_wrong(j, "something follows the end of the JSON");
    }
    const int is_object = j->depth > 0 && j->is_object[j->depth - 1];
    const int may_end = j->state == WANT_COMMA_OR_END || j->state == WANT_KEY_OR_END ||
                        j->state == WANT_VALUE_OR_END;
    if (may_end && peek(j) == (is_object ? '}' : ']')) {
        close_level(j);
        return AIMNET_OK;
    }
    if (j->state == WANT_COMMA_OR_END) {
        if (peek(j) != ',')
            return aim_json_wrong(j, is_object ? "a comma or '}' is expected"
                                               : "a comma or ']' is expected");
        j->at++;
        skip_blanks(j);
        j->start = j->at;
        j->state = is_object ? WANT_KEY : WANT_VALUE;
    }
    if (j->state == WANT_KEY || j->state == WANT_KEY_OR_END)
        return read_key(j);
    return read_value(j);
}
