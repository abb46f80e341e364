/* SPDX-License-Identifier: MIT */
/* sdf_v3000.c - the atom table of V3000 molfiles.
 *
 * Every line begins with "M  V30 "; a '-' at its end continues it on the next one. Of all blocks
 * only COUNTS and ATOM matter here: index, symbol, x, y, z, a number for reactions, and then
 * keywords, of which CHG and RAD count. Called by sdf_read.c. */
#include "io/sdf.h"

static aim_span span_of(const aim_line *line)
{
    return (aim_span){line->text, line->size};
}

/* What stands behind "M  V30 ", with continuations joined; text NULL at "M  END". */
static aim_status next_statement(aimnet_reader *r, aim_span *statement, int64_t *number)
{
    aim_line line;
    r->text.size = 0;
    for (int continued = 1; continued;) {
        AIM_TRY(aim_sdf_line(r, &line));
        *number = line.number;
        if (!line.text)
            return AIM_READER_FAIL(r, line.number, "the record ends before its \"M  END\" line");
        if (r->text.size == 0 && aim_span_starts(span_of(&line), "M  END")) {
            *statement = (aim_span){NULL, 0};
            return AIMNET_OK;
        }
        if (!aim_span_starts(span_of(&line), "M  V30 "))
            return AIM_READER_FAIL(r, line.number, "expected a line that begins with \"M  V30 \"");
        aim_span part = aim_span_trim((aim_span){line.text + 7, line.size - 7});
        continued = part.size > 0 && part.text[part.size - 1] == '-';
        part.size -= (size_t)continued;
        if (r->text.size + part.size > AIM_LINE_MAX)
            return AIM_READER_FAIL(r, line.number, "statement longer than %d bytes", AIM_LINE_MAX);
        AIM_TRY_AT(r, line.number, aim_string_append(&r->text, &r->alloc, part.text, part.size));
    }
    *statement = (aim_span){r->text.data, r->text.size};
    return AIMNET_OK;
}

static aim_status read_atom(aimnet_frame *f, aim_span text, aim_sdf_totals *sum)
{
    aim_span x[3];
    double position[3];
    int number;
    (void)aim_scan_token(&text); /* index */
    const aim_span symbol = aim_scan_token(&text);
    for (int d = 0; d < 3; d++)
        x[d] = aim_scan_token(&text);
    AIM_TRY(aim_reader_coordinates(x, position));
    AIM_TRY(aim_sdf_symbol(symbol, &number));
    (void)aim_scan_token(&text); /* reaction mapping */
    for (aim_span word = aim_scan_token(&text); word.size > 0; word = aim_scan_token(&text)) {
        const aim_span value = {word.text + 4, word.size > 4 ? word.size - 4 : 0};
        if (aim_span_starts(word, "CHG="))
            AIM_TRY(aim_sdf_add_charge(sum, value));
        if (aim_span_starts(word, "RAD="))
            AIM_TRY(aim_sdf_add_radical(sum, value));
    }
    return aim_frame_push(f, number, position);
}

/* Reads up to the statement that begins with `keyword`. */
static aim_status find_statement(aimnet_reader *r, const char *keyword, aim_span *statement,
                                 int64_t *number)
{
    do {
        AIM_TRY(next_statement(r, statement, number));
        if (!statement->text)
            return AIM_READER_FAIL(r, *number, "\"M  END\" comes before \"M  V30 %s\"", keyword);
    } while (!aim_span_starts(*statement, keyword));
    return AIMNET_OK;
}

aim_status aim_sdf_v3000(aimnet_reader *r, aimnet_frame *f, aim_sdf_totals *sum)
{
    char quoted[AIM_QUOTE_SIZE];
    aim_span statement;
    int64_t number, n_atoms;
    AIM_TRY(find_statement(r, "COUNTS", &statement, &number));
    statement = (aim_span){statement.text + 6, statement.size - 6};
    const aim_span count = aim_scan_token(&statement);
    if (!aim_scan_int(count, &n_atoms) || n_atoms < 0)
        return AIM_READER_FAIL(r, number, "COUNTS: expected the number of atoms, found %s",
                               aim_span_quote(count, quoted));
    AIM_TRY_AT(r, number, aim_frame_reserve(f, &r->lines, n_atoms, AIM_SDF_MIN_ATOM_BYTES));
    if (n_atoms > 0)
        AIM_TRY(find_statement(r, "BEGIN ATOM", &statement, &number));
    for (int64_t i = 0; i < n_atoms; i++) {
        AIM_TRY(next_statement(r, &statement, &number));
        if (!statement.text || aim_span_starts(statement, "END ATOM"))
            return AIM_READER_FAIL(r, number, "the table ends after %lld of %lld atoms",
                                   (long long)i, (long long)n_atoms);
        AIM_TRY_AT(r, number, read_atom(f, statement, sum));
    }
    if (n_atoms > 0) {
        AIM_TRY(next_statement(r, &statement, &number));
        if (!statement.text || !aim_span_starts(statement, "END ATOM"))
            return AIM_READER_FAIL(r, number, "expected \"M  V30 END ATOM\" after %lld atoms",
                                   (long long)n_atoms);
    }
    while (statement.text)
        AIM_TRY(next_statement(r, &statement, &number));
    return AIMNET_OK;
}
