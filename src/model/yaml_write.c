/* SPDX-License-Identifier: MIT */
/* yaml_write.c - block style with two columns per level; items of a list stand in the column of
 * their key. The same tree gives the text that yaml.dump(default_flow_style=False, sort_keys=False)
 * gives, for what model descriptions contain.
 *
 * Depth is at most that of the reader, so recursion is bounded. */
#include "model/yaml_write.h"

#include <string.h>

enum { MAX_TEXT = 1 << 18 }; /* what the reader accepts */

typedef struct writer {
    const aim_alloc *alloc;
    const aim_yaml *y;
    const aim_yaml_edit *edit;
    aim_string *out;
} writer;

static aim_status put(const writer *w, const char *text)
{
    if (w->out->size > MAX_TEXT) /* an alias bomb unfolds here */
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: written out it has more than %d bytes",
                        MAX_TEXT);
    return aim_string_append(w->out, w->alloc, text, strlen(text));
}

static aim_status indent(const writer *w, int column)
{
    for (int i = 0; i < column; i++)
        AIM_TRY(put(w, " "));
    return AIMNET_OK;
}

/* Whether a plain scalar would be read back as this string. */
static int is_plain(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (aim_equal_nocase(text, words[i]))
            return 0;
    const int letter = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') ||
                       text[0] == '_' || text[0] == '/';
    for (const char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              strchr("_./-+", *c)))
            return 0;
    return letter;
}

static aim_status put_text(const writer *w, const char *text)
{
    if (is_plain(text))
        return put(w, text);
    AIM_TRY(put(w, "'"));
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ')
            return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: a string with control characters cannot "
                                              "be written");
        const char one[] = {*c, *c == '\'' ? '\'' : '\0', '\0'};
        AIM_TRY(put(w, one));
    }
    return put(w, "'");
}

static aim_status put_number(const writer *w, double value)
{
    char text[40];
    const size_t n = aim_format_double(text, value);
    const char *exponent = memchr(text, 'e', n);
    const size_t head = exponent ? (size_t)(exponent - text) : n;
    AIM_TRY(aim_string_append(w->out, w->alloc, text, head));
    if (!memchr(text, '.', n))
        AIM_TRY(put(w, ".0"));
    return put(w, text + head);
}

static aim_status put_scalar(const writer *w, int node)
{
    switch (aim_yaml_kind_of(w->y, node)) {
    case AIM_YAML_NULL:
        return put(w, "null");
    case AIM_YAML_BOOL:
        return put(w, aim_yaml_int(w->y, node) ? "true" : "false");
    case AIM_YAML_INT:
        return put(w, aim_yaml_text(w->y, node));
    case AIM_YAML_FLOAT:
        return put_number(w, aim_yaml_float(w->y, node));
    default:
        return put_text(w, aim_yaml_text(w->y, node));
    }
}

static int is_skipped(const writer *w, int node)
{
    for (int i = 0; i < w->edit->n_skips; i++)
        if (w->edit->skip[i] == node)
            return 1;
    return 0;
}

/* Entries of a collection that are written. */
static int count(const writer *w, int node)
{
    const aim_yaml_kind kind = aim_yaml_kind_of(w->y, node);
    int n = node == w->edit->append_to;
    if (kind != AIM_YAML_MAP && kind != AIM_YAML_LIST)
        return 0;
    for (aim_yaml_iter it = aim_yaml_begin(w->y, node); it.value != AIM_YAML_NONE;
         aim_yaml_step(w->y, &it))
        n += !is_skipped(w, it.value);
    return n;
}

/* The lines added to a mapping. */
static aim_status put_lines(const writer *w, int column)
{
    for (const char *line = w->edit->append; *line;) {
        const size_t n = strcspn(line, "\n") + 1;
        AIM_TRY(indent(w, column));
        AIM_TRY(aim_string_append(w->out, w->alloc, line, n));
        line += n;
    }
    return AIMNET_OK;
}

static aim_status put_node(const writer *w, int node, int column, int continues);

static aim_status put_entry(const writer *w, aim_yaml_iter it, int column)
{
    const aim_yaml_kind kind = aim_yaml_kind_of(w->y, it.value);
    AIM_TRY(put_text(w, aim_yaml_text(w->y, it.key)));
    AIM_TRY(put(w, count(w, it.value) > 0 ? ":\n" : ": "));
    return put_node(w, it.value, kind == AIM_YAML_MAP ? column + 2 : column, 0);
}

/* A block with its first line begun (`continues`: the column is reached already), or a scalar with
 * the rest of its line. */
static aim_status put_node(const writer *w, int node, int column, int continues)
{
    const aim_yaml_kind kind = aim_yaml_kind_of(w->y, node);
    const int is_map = kind == AIM_YAML_MAP;
    if (count(w, node) == 0) {
        AIM_TRY(is_map ? put(w, "{}") : kind == AIM_YAML_LIST ? put(w, "[]") : put_scalar(w, node));
        return put(w, "\n");
    }
    for (aim_yaml_iter it = aim_yaml_begin(w->y, node); it.value != AIM_YAML_NONE;
         aim_yaml_step(w->y, &it)) {
        if (is_skipped(w, it.value))
            continue;
        if (!continues)
            AIM_TRY(indent(w, column));
        continues = 0;
        if (is_map) {
            AIM_TRY(put_entry(w, it, column));
        } else {
            AIM_TRY(put(w, "- "));
            AIM_TRY(put_node(w, it.value, column + 2, 1));
        }
    }
    return node == w->edit->append_to ? put_lines(w, column) : AIMNET_OK;
}

aim_status aim_yaml_write(const aim_alloc *a, const aim_yaml *y, const aim_yaml_edit *edit,
                          aim_string *out)
{
    const writer w = {.alloc = a, .y = y, .edit = edit, .out = out};
    return put_node(&w, y->root, 0, 0);
}
