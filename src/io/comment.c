/* SPDX-License-Identifier: MIT */
/* comment.c - the grammar of extended XYZ comment lines, as ASE 3.29 reads them.
 *
 * White space separates entries; the first '=' of an entry ends its key, and blanks around it are
 * allowed; further ones belong to the value. Quotes ("..." or '...') and brackets ({...} or [...])
 * protect what they enclose and vanish; a backslash takes the next character literally, everywhere.
 * An entry without '=' is a flag. Since every text is some list of entries, free text of other
 * programs is harmless. Two deliberate differences: an empty quoted value is a value (ASE joins it
 * with the next entry), and a line that starts with '=' is free text (ASE fails). Used by
 * xyz_read.c and xyz_write.c. */
#include "io/comment.h"

#include <math.h>
#include <string.h>

typedef struct splitter {
    aim_comment *c;
    size_t used; /* of c->text */
    int open;    /* an entry is being read (the last pair) */
    int begun;   /* its current part has characters or quotes */
} splitter;

static aim_status reserve(aim_comment *c, const aim_alloc *a, size_t line_size)
{
    const size_t text = 2 * line_size + 2, pairs = line_size / 2 + 1;
    if (text <= c->text_capacity)
        return AIMNET_OK;
    c->text_capacity = 0;
    AIM_TRY(aim_grow(a, 0, text, 1, "a comment line", &c->text));
    AIM_TRY(aim_grow(a, 0, pairs, sizeof *c->pairs, "the entries of a comment line", &c->pairs));
    c->text_capacity = text;
    return AIMNET_OK;
}

static aim_pair *last_pair(splitter *s)
{
    return &s->c->pairs[s->c->n_pairs - 1];
}

static void put(splitter *s, char character)
{
    s->c->text[s->used++] = character;
}

static void open_entry(splitter *s)
{
    s->c->pairs[s->c->n_pairs++] = (aim_pair){.key = {s->c->text + s->used, 0}, .value = {"", 0}};
    s->open = 1;
    s->begun = 0;
}

/* Fixes the size of the key or value that was read up to here. */
static void end_part(splitter *s)
{
    aim_pair *pair = last_pair(s);
    aim_span *part = pair->has_value ? &pair->value : &pair->key;
    part->size = (size_t)(s->c->text + s->used - part->text);
    put(s, '\0');
}

static void begin_value(splitter *s)
{
    aim_pair *pair = last_pair(s);
    pair->has_value = 1;
    pair->value = (aim_span){s->c->text + s->used, 0};
}

static void close_entry(splitter *s)
{
    end_part(s);
    s->open = 0;
    if (last_pair(s)->key.size == 0 && !last_pair(s)->has_value) { /* an empty pair of quotes */
        s->c->n_pairs--;
        s->used--;
    }
}

static void equals_sign(splitter *s)
{
    const int reopened = !s->open && s->c->n_pairs > 0; /* "key = value" */
    if (!s->open && !reopened)
        open_entry(s);
    if (last_pair(s)->has_value) {
        s->used -= (size_t)reopened; /* the NUL */
        put(s, '=');
    } else {
        if (!reopened)
            end_part(s);
        begin_value(s);
    }
    s->open = 1;
    s->begun = 0;
}

static char closing(char open)
{
    return open == '{' ? '}' : open == '[' ? ']' : open;
}

static void split(splitter *s, aim_span line)
{
    int escaped = 0;
    char delimiter = 0;
    for (size_t i = 0; i < line.size; i++) {
        const char c = line.text[i];
        const int literal = escaped || (delimiter && c != delimiter && c != '\\');
        const int quote = c == '"' || c == '\'' || c == '{' || c == '[';
        if (!literal && !delimiter && aim_is_space(c)) {
            if (s->open && s->begun)
                close_entry(s);
            continue;
        }
        if (!literal && !delimiter && c == '=') {
            equals_sign(s);
            continue;
        }
        if (!s->open)
            open_entry(s);
        s->begun = 1;
        if (literal)
            put(s, c);
        else if (c != '\\' && delimiter)
            delimiter = 0;
        else if (c != '\\' && quote)
            delimiter = closing(c);
        else if (c != '\\')
            put(s, c);
        escaped = !literal && c == '\\';
    }
    if (s->open)
        close_entry(s);
}

static int is_identifier(aim_span key)
{
    for (size_t i = 0; i < key.size; i++) {
        const char c = key.text[i];
        const int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        const int other = (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':';
        if (!letter && !(other && i > 0))
            return 0;
    }
    return key.size > 0;
}

static int is_extended(const aim_comment *c)
{
    int all_pairs = c->n_pairs > 0;
    for (size_t i = 0; i < c->n_pairs; i++)
        all_pairs = all_pairs && c->pairs[i].has_value && is_identifier(c->pairs[i].key);
    return all_pairs || aim_comment_find(c, "Properties") || aim_comment_find(c, "Lattice");
}

aim_status aim_comment_parse(aim_comment *c, const aim_alloc *alloc, aim_span line)
{
    c->n_pairs = 0;
    c->extended = 0;
    line = aim_span_trim(line);
    AIM_TRY(reserve(c, alloc, line.size));
    splitter s = {.c = c};
    split(&s, line);
    c->extended = is_extended(c);
    return AIMNET_OK;
}

void aim_comment_free(aim_comment *c, const aim_alloc *alloc)
{
    aim_free(alloc, c->text);
    aim_free(alloc, c->pairs);
    *c = (aim_comment){0};
}

const aim_pair *aim_comment_find(const aim_comment *c, const char *key)
{
    for (size_t i = c->n_pairs; i-- > 0;)
        if (c->pairs[i].has_value && aim_span_equal(c->pairs[i].key, key))
            return &c->pairs[i];
    return NULL;
}

/* The next word between white space and commas. */
static aim_span next_word(aim_span *rest)
{
    const char *p = rest->text, *const end = p + rest->size;
    while (p < end && (aim_is_space(*p) || *p == ','))
        p++;
    const char *const start = p;
    while (p < end && !aim_is_space(*p) && *p != ',')
        p++;
    *rest = (aim_span){p, (size_t)(end - p)};
    return (aim_span){start, (size_t)(p - start)};
}

int aim_value_doubles(aim_span value, double *x, int capacity)
{
    int n = 0;
    for (aim_span word = next_word(&value); word.size > 0; word = next_word(&value))
        if (n == capacity || !aim_scan_double(word, &x[n++]))
            return -1;
    return n;
}

/* 0, 1, or -1 */
static int flag(aim_span word)
{
    static const char *const yes[] = {"T", "true", "True", "TRUE"};
    static const char *const no[] = {"F", "false", "False", "FALSE"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (aim_span_equal(word, yes[i]))
            return 1;
        if (aim_span_equal(word, no[i]))
            return 0;
    }
    double x;
    return aim_scan_double(word, &x) && isfinite(x) ? x != 0.0 : -1;
}

int aim_value_flags(aim_span value, int flags[3])
{
    int n = 0;
    for (aim_span word = next_word(&value); word.size > 0; word = next_word(&value)) {
        if (n == 3)
            return 0;
        flags[n] = flag(word);
        if (flags[n++] < 0)
            return 0;
    }
    if (n == 1)
        flags[1] = flags[2] = flags[0];
    return n == 1 || n == 3;
}
