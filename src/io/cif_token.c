/* SPDX-License-Identifier: MIT */
/* cif_token.c - the lexical rules of CIF 1.1 (Hall, Allen, Brown 1991,
 * doi:10.1107/S010876739101067X; International Tables G, 2.2.7).
 *
 * Words are separated by white space. A # at the beginning of a word starts a comment. A quoted
 * value ends at the same quote followed by white space, so that 'N,N'-dimethyl' is one value. A ;
 * in the first column opens a text field, which the next ; in the first column closes. Text fields
 * may hold whole reflection lists: only their first bytes are kept. Used by cif_read.c. */
#include "io/cif_token.h"

#include "io/reader.h"

static aim_status next_line(aimnet_reader *r, aim_line *line)
{
    aim_cif_state *s = &r->cif;
    s->has_line = 0;
    AIM_TRY(aim_reader_line(r, line));
    s->rest = (aim_span){line->text, line->size};
    s->line = line->number;
    s->has_line = line->text != NULL;
    return AIMNET_OK;
}

static aim_status keep(aimnet_reader *r, aim_span part)
{
    aim_string *text = &r->cif.text;
    const size_t room = AIM_CIF_TEXT_MAX - text->size;
    return aim_string_append(text, &r->alloc, part.text, part.size < room ? part.size : room);
}

/* The text field that the current line opens. */
static aim_status read_text_field(aimnet_reader *r, aim_cif_token *token)
{
    aim_cif_state *s = &r->cif;
    const int64_t opened = s->line;
    aim_line line;
    s->text.size = 0;
    AIM_TRY(keep(r, (aim_span){s->rest.text + 1, s->rest.size - 1}));
    for (;;) {
        AIM_TRY(next_line(r, &line));
        if (!line.text)
            return AIM_READER_FAIL(r, opened,
                                   "the text field that begins here is not closed; expected a line "
                                   "that begins with ;");
        if (line.size > 0 && line.text[0] == ';')
            break;
        AIM_TRY(keep(r, (aim_span){"\n", 1}));
        AIM_TRY(keep(r, s->rest));
    }
    s->rest = (aim_span){line.text + 1, line.size - 1};
    *token = (aim_cif_token){AIM_CIF_VALUE, aim_span_trim((aim_span){s->text.data, s->text.size}),
                             1, opened};
    return AIMNET_OK;
}

static aim_status read_quoted(aimnet_reader *r, aim_cif_token *token)
{
    aim_cif_state *s = &r->cif;
    const char quote = s->rest.text[0];
    for (size_t i = 1; i < s->rest.size; i++) {
        if (s->rest.text[i] != quote ||
            (i + 1 < s->rest.size && !aim_is_space(s->rest.text[i + 1])))
            continue;
        *token = (aim_cif_token){AIM_CIF_VALUE, {s->rest.text + 1, i - 1}, 1, s->line};
        s->rest = (aim_span){s->rest.text + i + 1, s->rest.size - i - 1};
        return AIMNET_OK;
    }
    s->has_line = 0;
    return AIM_READER_FAIL(r, s->line, "a value begins with %c, but the quote is not closed",
                           quote);
}

static int begins_nocase(aim_span word, const char *prefix, size_t n)
{
    return word.size >= n && aim_span_equal_nocase((aim_span){word.text, n}, prefix);
}

static void classify(aim_cif_token *token)
{
    aim_span *word = &token->text;
    token->kind = AIM_CIF_VALUE;
    if (word->text[0] == '_') {
        token->kind = AIM_CIF_TAG;
    } else if (begins_nocase(*word, "data_", 5)) {
        token->kind = AIM_CIF_DATA;
        *word = (aim_span){word->text + 5, word->size - 5};
    } else if (aim_span_equal_nocase(*word, "loop_")) {
        token->kind = AIM_CIF_LOOP;
    } else if (begins_nocase(*word, "save_", 5) || aim_span_equal_nocase(*word, "global_") ||
               aim_span_equal_nocase(*word, "stop_")) {
        token->kind = AIM_CIF_RESERVED;
    }
}

aim_status aim_cif_next_token(aimnet_reader *r, aim_cif_token *token)
{
    aim_cif_state *s = &r->cif;
    aim_line line;
    for (;;) {
        if (!s->has_line) {
            AIM_TRY(next_line(r, &line));
            *token = (aim_cif_token){.kind = AIM_CIF_END, .text = {"", 0}, .line = line.number};
            if (!line.text)
                return AIMNET_OK;
            if (line.size > 0 && line.text[0] == ';')
                return read_text_field(r, token);
        }
        aim_span after = s->rest;
        const aim_span word = aim_scan_token(&after);
        if (word.size == 0 || word.text[0] == '#') {
            s->has_line = 0;
            continue;
        }
        if (word.text[0] == '\'' || word.text[0] == '"') {
            s->rest = (aim_span){word.text, (size_t)(s->rest.text + s->rest.size - word.text)};
            return read_quoted(r, token);
        }
        s->rest = after;
        *token = (aim_cif_token){AIM_CIF_VALUE, word, 0, s->line};
        classify(token);
        return AIMNET_OK;
    }
}
