/* SPDX-License-Identifier: MIT */
/* cif_read.c - crystal structures from CIF files (core dictionary): one structure per data block.
 *
 * This file follows the grammar: blocks, tags with one value, loops. cif_row.c reads the values of
 * the few tags that matter, cif_expand.c applies the symmetry operations that the file lists. Blocks
 * without atoms (global information, powder data) are passed over. Tags of the newer DDLm
 * dictionary differ only in a dot. A bad block is skipped up to the next data_. Registered in
 * readers.def. */
#include "io/cif.h"

#include <string.h>

int aim_cif_detect(aim_span head);
aim_status aim_cif_next(aimnet_reader *r, aimnet_frame *f);

/* The columns of a loop. */
typedef struct columns {
    short *field;
    size_t n, capacity;
    int some; /* one of them is of interest */
} columns;

/* ---------------------------------------------------------------- values */

static void set_value(aim_cif_value *v, const aim_cif_token *token)
{
    const aim_span t = token->text;
    const size_t n = t.size < AIM_CIF_VALUE_SIZE ? t.size : AIM_CIF_VALUE_SIZE - 1;
    const int unknown = !token->quoted && t.size == 1 && (t.text[0] == '?' || t.text[0] == '.');
    memcpy(v->text, t.text, n);
    v->text[n] = '\0';
    v->size = (unsigned char)n;
    v->present = 1;
    v->known = !unknown;
    v->too_long = n < t.size;
}

static aim_status add_column(columns *c, const aim_alloc *alloc, aim_cif_field field)
{
    if (c->n == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 32;
        AIM_TRY(
            aim_grow(alloc, c->n, capacity, sizeof *c->field, "the columns of a loop", &c->field));
        c->capacity = capacity;
    }
    c->field[c->n++] = (short)field;
    c->some |= field != AIM_CIF_IGNORED;
    return AIMNET_OK;
}

/* Reads the values of a loop; *token is the first of them, and afterwards what follows the loop. */
static aim_status read_rows(aimnet_reader *r, aim_cif_block *b, const columns *c,
                            aim_cif_token *token)
{
    aim_cif_row row;
    size_t at = 0;
    int64_t line = token->line;
    memset(&row, 0, sizeof row);
    while (token->kind == AIM_CIF_VALUE) {
        if (at == 0)
            line = token->line;
        if (c->field[at] != AIM_CIF_IGNORED)
            set_value(&row.field[c->field[at]], token);
        if (++at == c->n) {
            at = 0;
            if (c->some)
                AIM_TRY_AT(r, line, aim_cif_add_row(b, &r->alloc, &row, line));
        }
        AIM_TRY(aim_cif_next_token(r, token));
    }
    if (at != 0)
        return AIM_READER_FAIL(r, line, "the row that begins here has %zu of the loop's %zu values",
                               at, c->n);
    return AIMNET_OK;
}

static aim_status read_loop(aimnet_reader *r, aim_cif_block *b, columns *c, aim_cif_token *token)
{
    const int64_t line = token->line;
    c->n = 0;
    c->some = 0;
    for (;;) {
        AIM_TRY(aim_cif_next_token(r, token));
        if (token->kind != AIM_CIF_TAG)
            break;
        const aim_cif_field field = aim_cif_field_of(token->text);
        b->has_atoms |= field >= AIM_CIF_LABEL;
        AIM_TRY(add_column(c, &r->alloc, field));
    }
    if (c->n == 0 || token->kind != AIM_CIF_VALUE)
        return AIM_READER_FAIL(r, line, "a loop_ without %s", c->n ? "values" : "tags");
    return read_rows(r, b, c, token);
}

static aim_status read_single(aimnet_reader *r, aim_cif_block *b, aim_cif_token *token)
{
    char quoted[AIM_QUOTE_SIZE];
    const aim_cif_field field = aim_cif_field_of(token->text);
    (void)aim_span_quote(token->text, quoted); /* the text goes with the next token */
    AIM_TRY(aim_cif_next_token(r, token));
    if (token->kind != AIM_CIF_VALUE)
        return AIM_READER_FAIL(r, token->line, "tag %s has no value", quoted);
    if (field != AIM_CIF_IGNORED)
        set_value(&b->single.field[field], token);
    b->has_atoms |= field >= AIM_CIF_LABEL;
    return aim_cif_next_token(r, token);
}

/* ---------------------------------------------------------------- blocks */

/* r->text and r->inside: a data_ was read, its block is next. */
static aim_status open_block(aimnet_reader *r, const aim_cif_token *token)
{
    r->inside = 1;
    r->text.size = 0;
    return aim_string_append(&r->text, &r->alloc, token->text.text, token->text.size);
}

static aim_status read_item(aimnet_reader *r, aim_cif_block *b, columns *c, aim_cif_token *token)
{
    char quoted[AIM_QUOTE_SIZE];
    if (token->kind == AIM_CIF_LOOP)
        return read_loop(r, b, c, token);
    if (token->kind == AIM_CIF_TAG)
        return read_single(r, b, token);
    return AIM_READER_FAIL(r, token->line, "%s stands where a tag, loop_ or data_ is expected",
                           aim_span_quote(token->text, quoted));
}

/* Up to the next block or the end. What ends too early at a data_ does not cost the next block. */
static aim_status read_items(aimnet_reader *r, aim_cif_block *b, columns *c)
{
    aim_cif_token token;
    AIM_TRY(aim_cif_next_token(r, &token));
    aim_status status = AIMNET_OK;
    while (status == AIMNET_OK && token.kind != AIM_CIF_END && token.kind != AIM_CIF_DATA)
        status = read_item(r, b, c, &token);
    if (token.kind == AIM_CIF_DATA)
        AIM_TRY(open_block(r, &token));
    return status;
}

/* *found = 0 at the end of the file. lost: words before the block do not matter. */
static aim_status find_block(aimnet_reader *r, int lost, int *found)
{
    aim_cif_token token;
    char quoted[AIM_QUOTE_SIZE];
    *found = r->inside;
    while (!*found) {
        const aim_status status = aim_cif_next_token(r, &token);
        if (status != AIMNET_OK && (status != AIMNET_ERR_FORMAT || r->ended || !lost))
            return status;
        if (status != AIMNET_OK)
            continue;
        if (token.kind == AIM_CIF_END)
            return AIMNET_OK;
        if (token.kind == AIM_CIF_DATA) {
            *found = 1;
            return open_block(r, &token);
        }
        if (!lost)
            return AIM_READER_FAIL(r, token.line, "%s stands before the first data_ of this file",
                                   aim_span_quote(token.text, quoted));
    }
    return AIMNET_OK;
}

static aim_status read_block(aimnet_reader *r, aimnet_frame *f, aim_cif_block *b, columns *c)
{
    const int64_t line = r->cif.line;
    b->n_operations = 0;
    b->operation_tag = AIM_CIF_IGNORED;
    b->has_atoms = 0;
    b->n_sites = 0;
    b->n_absent = 0;
    b->line = line;
    memset(b->elements, 0, sizeof b->elements);
    memset(&b->single, 0, sizeof b->single);
    AIM_TRY(aim_frame_begin(f, &r->alloc, r->n_frames, line));
    AIM_TRY(aim_frame_title(f, (aim_span){r->text.data, r->text.size}));
    r->inside = 0;
    AIM_TRY(read_items(r, b, c));
    if (!b->has_atoms)
        return AIMNET_OK;
    AIM_TRY_AT(r, line, aim_cif_add_row(b, &r->alloc, &b->single, line));
    return aim_cif_expand(r, b, f);
}

/* Blocks up to the first with atoms. */
static aim_status read_structure(aimnet_reader *r, aimnet_frame *f, aim_cif_block *b, columns *c)
{
    int found, lost = r->lost;
    do {
        AIM_TRY(find_block(r, lost, &found));
        if (!found)
            return AIMNET_ERR_END;
        lost = 0;
        AIM_TRY(read_block(r, f, b, c));
    } while (!b->has_atoms);
    return AIMNET_OK;
}

int aim_cif_detect(aim_span head)
{
    const char *end;
    do { /* no other format begins with comments of # */
        while (head.size > 0 && aim_is_space(head.text[0]))
            head = (aim_span){head.text + 1, head.size - 1};
        if (head.size == 0 || head.text[0] != '#')
            break;
        end = memchr(head.text, '\n', head.size);
        if (!end)
            return 1;
        head = (aim_span){end, head.size - (size_t)(end - head.text)};
    } while (head.size > 1 || head.text[0] == '#');
    return head.size > 5 && aim_span_equal_nocase((aim_span){head.text, 5}, "data_");
}

aim_status aim_cif_next(aimnet_reader *r, aimnet_frame *f)
{
    aim_cif_block *b;
    columns c = {0};
    AIM_TRY(aim_new0(&r->alloc, 1, sizeof *b, "a block of a CIF file", &b));
    const aim_status status = read_structure(r, f, b, &c);
    aim_free(&r->alloc, c.field);
    aim_free(&r->alloc, b->site);
    aim_free(&r->alloc, b);
    return status;
}
