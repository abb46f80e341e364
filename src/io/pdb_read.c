/* SPDX-License-Identifier: MIT */
/* pdb_read.c - PDB files: ATOM and HETATM records, one structure per MODEL (or per END, as
 * trajectories write it).
 *
 * Columns as in version 3.3 of the wwPDB format. CRYST1 gives a cell (a along x, b in the xy
 * plane), which holds for all models, unless it is the placeholder 1 1 1 90 90 90 (or all zero);
 * symmetry is not applied, which earns a warning for groups other than P 1. Of alternative
 * locations the first in each residue is kept. The total charge is the sum of the formal charges in
 * columns 79-80 if any atom has one ("1+", "2-"); files of proteins seldom give all of them, so
 * --charge or the caller decides. Serial numbers are not used. A bad model is skipped up to its
 * ENDMDL or END. Registered in readers.def. */
#include "io/reader.h"

#include <math.h>
#include <string.h>

#include "io/cell.h"
#include "io/pdb_element.h"

int aim_pdb_detect(aim_span head);
aim_status aim_pdb_next(aimnet_reader *r, aimnet_frame *f);

enum { RECORD_NAME = 6, RESIDUE_ID = 6, LAST_COORDINATE = 54 };

typedef struct model {
    aimnet_frame *frame;
    int numbered;             /* there was a MODEL record: it must end with ENDMDL */
    char residue[RESIDUE_ID]; /* columns 22-27: chain, number, insertion */
    char location;            /* alternative location kept in this residue, 0: none seen yet */
    int64_t dropped;          /* atoms at other locations */
    int64_t charge;
    int has_charge;
    int bad_charges; /* fields in columns 79-80 that are no charge */
} model;

static aim_span span_of(const aim_line *line)
{
    return (aim_span){line->text, line->size};
}

static int is_record(aim_span line, const char *name)
{
    const aim_span record = aim_span_columns(line, 0, RECORD_NAME);
    return aim_span_equal(record, name) && line.text[0] == name[0];
}

/* ---------------------------------------------------------------- cell */

static int is_placeholder(const double p[6])
{
    const int ones = p[0] == 1.0 && p[1] == 1.0 && p[2] == 1.0;
    const int zeros = p[0] == 0.0 && p[1] == 0.0 && p[2] == 0.0;
    return ones || zeros;
}

static aim_status read_crystal(aimnet_reader *r, aim_span line)
{
    static const size_t from[6] = {6, 15, 24, 33, 40, 47}, size[6] = {9, 9, 9, 7, 7, 7};
    char quoted[AIM_QUOTE_SIZE];
    double p[6];
    r->has_crystal = 0;
    for (int i = 0; i < 6; i++) {
        const aim_span field = aim_span_columns(line, from[i], size[i]);
        if (!aim_scan_double(field, &p[i]) || !isfinite(p[i]))
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "CRYST1: expected a number in columns %zu-%zu, found %s", from[i] + 1,
                            from[i] + size[i], aim_span_quote(field, quoted));
    }
    if (is_placeholder(p))
        return AIMNET_OK;
    if (!aim_cell_from_parameters(p, r->crystal))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "CRYST1: lengths %g %g %g and angles %g %g %g make no cell", p[0], p[1],
                        p[2], p[3], p[4], p[5]);
    const aim_span group = aim_span_columns(line, 55, 11);
    r->crystal_symmetric =
        group.size > 0 && !aim_span_equal(group, "P 1") && !aim_span_equal(group, "P1");
    r->has_crystal = 1;
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- atoms */

/* "1+", "+1", "2-", "-2"; zero counts as nothing. */
static void add_charge(model *m, aim_span field)
{
    const char *t = field.text;
    if (field.size == 0 || aim_span_equal(field, "0"))
        return;
    const int digit_first = field.size == 2 && t[0] >= '0' && t[0] <= '9';
    const char sign = field.size == 2 ? t[digit_first] : ' ',
               digit = field.size == 2 ? t[!digit_first] : ' ';
    if ((sign != '+' && sign != '-') || digit < '0' || digit > '9') {
        m->bad_charges++;
        return;
    }
    m->charge += sign == '+' ? digit - '0' : '0' - digit;
    m->has_charge = 1;
}

/* Whether the atom is at the location that this residue keeps. */
static int keep_location(model *m, aim_span line)
{
    char residue[RESIDUE_ID];
    for (size_t i = 0; i < RESIDUE_ID; i++)
        residue[i] = line.size > 21 + i ? line.text[21 + i] : ' ';
    if (memcmp(residue, m->residue, sizeof residue) != 0) {
        memcpy(m->residue, residue, sizeof residue);
        m->location = 0;
    }
    const char location = line.size > 16 ? line.text[16] : ' ';
    if (location == ' ')
        return 1;
    if (!m->location)
        m->location = location;
    return m->location == location;
}

static aim_status read_atom(model *m, aim_span line)
{
    aim_span field[3];
    double x[3];
    int number;
    if (!keep_location(m, line)) {
        m->dropped++;
        return AIMNET_OK;
    }
    if (line.size < LAST_COORDINATE)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "the record ends in column %zu; expected coordinates in columns 31-54",
                        line.size);
    for (size_t d = 0; d < 3; d++)
        field[d] = aim_span_columns(line, 30 + 8 * d, 8);
    AIM_TRY(aim_reader_coordinates(field, x));
    AIM_TRY(aim_pdb_element(line, &number));
    add_charge(m, aim_span_columns(line, 78, 2));
    return aim_frame_push(m->frame, number, x);
}

/* ---------------------------------------------------------------- models */

static aim_status finish(aimnet_reader *r, const model *m)
{
    aimnet_frame *f = m->frame;
    f->has_charge = m->has_charge;
    f->charge = (double)m->charge;
    f->has_cell = r->has_crystal;
    if (r->has_crystal) {
        memcpy(f->cell, r->crystal, sizeof f->cell);
        f->pbc[0] = f->pbc[1] = f->pbc[2] = 1;
    }
    if (r->text.size > 0)
        AIM_TRY(aim_frame_title(f, (aim_span){r->text.data, r->text.size}));
    if (r->has_crystal && r->crystal_symmetric)
        AIM_TRY(aim_frame_warn(
            f, "CRYST1 names a space group other than P 1; its symmetry is not applied: "
               "only the atoms of the file are in the cell"));
    if (m->dropped > 0)
        AIM_TRY(aim_frame_warn(f, "%lld atom(s) at alternative locations were left out",
                               (long long)m->dropped));
    if (m->bad_charges > 0)
        AIM_TRY(aim_frame_warn(
            f, "%d field(s) in columns 79-80 are no charges like 1+ and were ignored",
            m->bad_charges));
    return AIMNET_OK;
}

/* The first TITLE, or else COMPND record is the title of all models. */
static aim_status read_title(aimnet_reader *r, aim_span line)
{
    const int better = is_record(line, "TITLE");
    if (r->text.size > 0 && (r->title_final || !better))
        return AIMNET_OK;
    const aim_span text = aim_span_columns(line, 10, 70);
    r->title_final = better;
    r->text.size = 0;
    return aim_string_append(&r->text, &r->alloc, text.text, text.size);
}

/* Reads one line of a model; *ended = 1 when the model is complete. */
static aim_status read_record(aimnet_reader *r, model *m, const aim_line *line, int *ended)
{
    const aim_span text = span_of(line);
    const int some = m->frame->n_atoms > 0;
    *ended = 0;
    if (is_record(text, "ATOM") || is_record(text, "HETATM"))
        return read_atom(m, text);
    if (is_record(text, "TITLE") || is_record(text, "COMPND"))
        return read_title(r, text);
    const int model = is_record(text, "MODEL"), crystal = is_record(text, "CRYST1");
    if ((model || crystal) && some) { /* without an END: belongs to what follows */
        aim_lines_unread(&r->lines);
        *ended = 1;
        return AIMNET_OK;
    }
    if (crystal)
        return read_crystal(r, text);
    if (model)
        m->numbered = 1;
    else if (is_record(text, "ENDMDL") || is_record(text, "END"))
        *ended = some || m->numbered;
    return AIMNET_OK;
}

/* After an error: up to the end of the model. */
static aim_status skip_model(aimnet_reader *r)
{
    aim_line line;
    for (;;) {
        const aim_status status = aim_lines_next(&r->lines, &line);
        if (status != AIMNET_OK)
            r->ended = 1;
        if (status != AIMNET_OK || !line.text || is_record(span_of(&line), "ENDMDL") ||
            is_record(span_of(&line), "END"))
            return status;
        if (is_record(span_of(&line), "MODEL")) {
            aim_lines_unread(&r->lines);
            return AIMNET_OK;
        }
    }
}

int aim_pdb_detect(aim_span head)
{
    static const char *const records[] = {
        "HEADER", "OBSLTE", "TITLE",  "SPLIT",  "CAVEAT", "COMPND", "SOURCE", "KEYWDS",
        "EXPDTA", "NUMMDL", "MDLTYP", "AUTHOR", "REVDAT", "JRNL",   "REMARK", "DBREF",
        "SEQRES", "CRYST1", "ORIGX1", "SCALE1", "MODEL",  "ATOM",   "HETATM",
    };
    while (head.size > 0 && aim_is_space(head.text[0])) {
        head.text++;
        head.size--;
    }
    const char *end = head.size ? memchr(head.text, '\n', head.size) : NULL;
    const aim_span line = {head.text, end ? (size_t)(end - head.text) : head.size};
    for (size_t i = 0; line.size > 0 && i < sizeof records / sizeof *records; i++)
        if (is_record(line, records[i]))
            return 1;
    return 0;
}

aim_status aim_pdb_next(aimnet_reader *r, aimnet_frame *f)
{
    model m = {.frame = f};
    aim_line line;
    int ended = 0;
    if (r->inside)
        AIM_TRY(skip_model(r));
    r->inside = 0;
    AIM_TRY(aim_reader_line(r, &line));
    if (!line.text)
        return AIMNET_ERR_END;
    AIM_TRY(aim_frame_begin(f, &r->alloc, r->n_frames, line.number));
    AIM_TRY(aim_frame_reserve(f, &r->lines, 0, 1));
    r->inside = 1;
    while (line.text) {
        AIM_TRY_AT(r, line.number, read_record(r, &m, &line, &ended));
        if (ended)
            break;
        AIM_TRY(aim_reader_line(r, &line));
    }
    r->inside = 0;
    if (!ended && f->n_atoms == 0 && !m.numbered)
        return AIMNET_ERR_END;
    if (!ended && m.numbered)
        return AIM_READER_FAIL(r, line.number,
                               "the file ends inside a MODEL after %d atom(s); expected ENDMDL",
                               (int)f->n_atoms);
    if (f->n_atoms == 0)
        return AIM_READER_FAIL(r, line.number, "a MODEL without ATOM or HETATM records");
    return finish(r, &m);
}
