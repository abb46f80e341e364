/* SPDX-License-Identifier: MIT */
/* json_write.c - values of a tree as text that Python's json and json.c read back to the same
 * values.
 *
 * Everything beyond ASCII is escaped: programs read such files in the encoding of their locale. An
 * integer stays one, and a double is never written as one. */
#include "io/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/pickle_write.h"
#include "io/utf8.h"

enum { MAX_LEVELS = 18, MAX_BYTES = 1 << 22 }; /* what json_tree.c reads */

typedef struct writer {
    const aim_alloc *alloc;
    const aim_pickle *tree;
    aim_string *out;
    aim_status status;
} writer;

static void put(writer *w, const char *text, size_t n)
{
    if (w->status == AIMNET_OK && w->out->size + n > MAX_BYTES)
        w->status = AIM_FAIL(AIMNET_ERR_MODEL, "the description of the model unfolds to more than "
                                               "4 MiB");
    if (w->status == AIMNET_OK)
        w->status = aim_string_append(w->out, w->alloc, text, n);
}

static void puts_(writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static unsigned decode(const unsigned char *p, size_t n)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned c = p[0] & masks[n];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

static void put_escape(writer *w, unsigned c)
{
    char text[16];
    if (c >= 0x10000) {
        put_escape(w, 0xd800 + ((c - 0x10000) >> 10));
        c = 0xdc00 + ((c - 0x10000) & 0x3ff);
    }
    if (c == '\n')
        snprintf(text, sizeof text, "\\n");
    else if (c == '"' || c == '\\')
        snprintf(text, sizeof text, "\\%c", (int)c);
    else
        snprintf(text, sizeof text, "\\u%04x", c);
    puts_(w, text);
}

static void put_text(writer *w, aim_slice s)
{
    const unsigned char *p = (const unsigned char *)s.text;
    puts_(w, "\"");
    for (size_t i = 0; i < s.size;) {
        size_t n = 0;
        while (i + n < s.size && p[i + n] >= ' ' && p[i + n] <= '~' && p[i + n] != '"' &&
               p[i + n] != '\\')
            n++;
        put(w, s.text + i, n);
        i += n;
        if (i == s.size)
            break;
        n = aim_utf8_size(p + i, s.size - i); /* the tree has checked that it is UTF-8 */
        put_escape(w, decode(p + i, n));
        i += n;
    }
    puts_(w, "\"");
}

static void put_number(writer *w, double value)
{
    char text[40];
    if (!isfinite(value)) {
        if (w->status == AIMNET_OK)
            w->status = AIM_FAIL(AIMNET_ERR_MODEL, "metadata with NaN or infinities cannot be "
                                                   "written as JSON");
        return;
    }
    const size_t n = aim_format_double(text, value);
    if (!memchr(text, '.', n) && !memchr(text, 'e', n))
        memcpy(text + n, ".0", 3);
    puts_(w, text);
}

static void put_scalar(writer *w, aim_ref value)
{
    const aim_pickle *p = w->tree;
    char text[32];
    switch (aim_pickle_kind_of(p, value)) {
    case AIM_PICKLE_BOOL:
        puts_(w, aim_pickle_int(p, value) ? "true" : "false");
        break;
    case AIM_PICKLE_INT:
        snprintf(text, sizeof text, "%" PRId64, aim_pickle_int(p, value));
        puts_(w, text);
        break;
    case AIM_PICKLE_FLOAT:
        put_number(w, aim_pickle_float(p, value));
        break;
    case AIM_PICKLE_STRING:
        put_text(w, aim_pickle_text(p, value));
        break;
    default:
        puts_(w, "null");
    }
}

/* A plain value, on one line. */
static void put_value(writer *w, aim_ref value)
{
    struct {
        aim_items next;
        size_t index;
        int is_dict;
    } level[MAX_LEVELS];
    int depth = 0;
    for (aim_ref at = value; w->status == AIMNET_OK;) {
        const aim_pickle_kind kind = aim_pickle_kind_of(w->tree, at);
        if (kind < AIM_PICKLE_TUPLE) {
            put_scalar(w, at);
        } else {
            puts_(w, kind == AIM_PICKLE_DICT ? "{" : "[");
            level[depth].is_dict = kind == AIM_PICKLE_DICT;
            level[depth].index = 0;
            level[depth++].next = aim_pickle_items(w->tree, at);
        }
        while (depth > 0 && level[depth - 1].next.value == AIM_NO_REF)
            puts_(w, level[--depth].is_dict ? "}" : "]");
        if (depth == 0)
            return;
        const int is_value = level[depth - 1].is_dict && level[depth - 1].index % 2 == 1;
        if (level[depth - 1].index++ > 0)
            puts_(w, is_value ? ": " : ", ");
        at = level[depth - 1].next.value;
        aim_pickle_next(w->tree, &level[depth - 1].next);
    }
}

aim_status aim_json_write(const aim_alloc *a, const aim_pickle *tree, aim_ref dict,
                          const char *without, aim_string *out)
{
    writer w = {.alloc = a, .tree = tree, .out = out};
    int n = 0;
    puts_(&w, "{");
    for (aim_items it = aim_pickle_items(tree, dict); it.value != AIM_NO_REF;
         aim_pickle_next(tree, &it)) {
        const aim_slice key = aim_pickle_text(tree, it.value);
        aim_pickle_next(tree, &it);
        if (!aim_pickle_is_plain(tree, it.value) || aim_slice_is(key, without))
            continue;
        puts_(&w, n++ ? ",\n  " : "\n  ");
        put_text(&w, key);
        puts_(&w, ": ");
        put_value(&w, it.value);
    }
    puts_(&w, "\n}\n");
    return w.status;
}
