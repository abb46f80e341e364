/* SPDX-License-Identifier: MIT */
/* sdf_read.c - MDL molfiles and SD files: V2000, V3000, and the older files without a version.
 *
 * The formats are those of BIOVIA's "CTfile formats" (2020). Total charge: the sum of the formal
 * charges, from M  CHG lines (or CHG= in V3000); the charge column of the atom block counts only in
 * records without any M  CHG or M  RAD line, as the format says. Multiplicity: unpaired electrons +
 * 1, with a doublet centre (M  RAD value 2, or charge code 4) counted as one and a triplet centre
 * as two, all parallel; two or more centres get a warning, because their coupling is not in the
 * file. A drawing (2D flag, all z = 0) is read with a warning. After a bad record reading goes on
 * behind the next $$$$. Registered in readers.def; the V3000 table is read by sdf_v3000.c. */
#include "io/sdf.h"

#include <string.h>

#include "data/element.h"

int aim_sdf_detect(aim_span head);
aim_status aim_sdf_next(aimnet_reader *r, aimnet_frame *f);

enum { COUNTS_LINE = 4, MAX_FORMAL_CHARGE = 15, MAX_V2000_ATOMS = 999 };

/* ---------------------------------------------------------------- shared with V3000 */

aim_status aim_sdf_add_charge(aim_sdf_totals *sum, aim_span value)
{
    char quoted[AIM_QUOTE_SIZE];
    int64_t charge;
    if (!aim_scan_int(value, &charge) || charge < -MAX_FORMAL_CHARGE || charge > MAX_FORMAL_CHARGE)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "formal charge %s; expected -%d to %d",
                        aim_span_quote(value, quoted), MAX_FORMAL_CHARGE, MAX_FORMAL_CHARGE);
    sum->charge += charge;
    sum->has_charge = 1;
    return AIMNET_OK;
}

aim_status aim_sdf_add_radical(aim_sdf_totals *sum, aim_span value)
{
    char quoted[AIM_QUOTE_SIZE];
    int64_t kind;
    if (!aim_scan_int(value, &kind) || kind < 0 || kind > 3)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "radical %s; expected 0 to 3",
                        aim_span_quote(value, quoted));
    sum->n_radicals += kind > 0;
    sum->unpaired += kind > 1 ? kind - 1 : 0;
    return AIMNET_OK;
}

aim_status aim_sdf_symbol(aim_span symbol, int *number)
{
    char quoted[AIM_QUOTE_SIZE];
    *number = aim_element_from_symbol(symbol.text, symbol.size);
    return *number
               ? AIMNET_OK
               : AIM_FAIL(AIMNET_ERR_FORMAT, "expected an element symbol from H to Og, found %s",
                          aim_span_quote(symbol, quoted));
}

aim_status aim_sdf_line(aimnet_reader *r, aim_line *line)
{
    if (r->record_ended) {
        *line = (aim_line){.number = r->lines.number};
        return AIMNET_OK;
    }
    AIM_TRY(aim_reader_line(r, line));
    if (line->text && aim_span_starts((aim_span){line->text, line->size}, "$$$$")) {
        r->record_ended = 1;
        line->text = NULL;
    }
    return AIMNET_OK;
}

static aim_span span_of(const aim_line *line)
{
    return (aim_span){line->text, line->text ? line->size : 0};
}

/* ---------------------------------------------------------------- V2000 */

typedef struct atom_fields {
    aim_span x[3], symbol, charge;
} atom_fields;

/* The field holds a number as F10.4 writes it: then columns are what separates fields, not blanks.
 */
static int is_f10_4(aim_span line, size_t from)
{
    return line.size >= from + 10 && line.text[from + 5] == '.' && line.text[from + 9] >= '0' &&
           line.text[from + 9] <= '9';
}

/* By columns if the numbers are written as the format says, else by blanks, else by columns after
 * all. */
static atom_fields split_atom(aim_span line)
{
    atom_fields f;
    aim_span rest = line;
    double x;
    int blanks = !is_f10_4(line, 0) || !is_f10_4(line, 10) || !is_f10_4(line, 20);
    for (size_t d = 0; d < 3; d++) {
        f.x[d] = aim_scan_token(&rest);
        blanks = blanks && aim_scan_double(f.x[d], &x);
    }
    f.symbol = aim_scan_token(&rest);
    if (blanks && f.symbol.size > 0) {
        (void)aim_scan_token(&rest); /* mass difference */
        f.charge = aim_scan_token(&rest);
        return f;
    }
    for (size_t d = 0; d < 3; d++)
        f.x[d] = aim_span_columns(line, 10 * d, 10);
    f.symbol = aim_span_columns(line, 31, 3);
    f.charge = aim_span_columns(line, 36, 3);
    return f;
}

/* The charge column: 1, 2, 3 are +3, +2, +1; 5, 6, 7 are -1, -2, -3; 4 is a doublet radical. */
static aim_status add_charge_code(aim_span field, aim_sdf_totals *sum)
{
    char quoted[AIM_QUOTE_SIZE];
    int64_t code = 0;
    if (field.size > 0 && (!aim_scan_int(field, &code) || code < 0 || code > 7))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "charge code %s (columns 37-39); expected 0 to 7",
                        aim_span_quote(field, quoted));
    if (code == 4)
        return aim_sdf_add_radical(sum, (aim_span){"2", 1});
    if (code > 0) {
        sum->has_charge = 1;
        sum->charge += 4 - code;
    }
    return AIMNET_OK;
}

static aim_status read_atom(aimnet_frame *f, aim_span line, aim_sdf_totals *sum)
{
    const atom_fields field = split_atom(line);
    double x[3];
    int number;
    AIM_TRY(aim_reader_coordinates(field.x, x));
    AIM_TRY(aim_sdf_symbol(field.symbol, &number));
    AIM_TRY(add_charge_code(field.charge, sum));
    return aim_frame_push(f, number, x);
}

static aim_status read_atoms(aimnet_reader *r, aimnet_frame *f, int64_t n_atoms,
                             aim_sdf_totals *sum)
{
    aim_line line;
    for (int64_t i = 0; i < n_atoms; i++) {
        AIM_TRY(aim_sdf_line(r, &line));
        if (!line.text)
            return AIM_READER_FAIL(r, line.number, "the record ends after %lld of %lld atoms",
                                   (long long)i, (long long)n_atoms);
        AIM_TRY_AT(r, line.number, read_atom(f, span_of(&line), sum));
    }
    return AIMNET_OK;
}

/* What the property lines say about each atom; the last statement about an atom counts. */
typedef struct properties {
    int superseded; /* there are such lines: the charge column does not count */
    struct {
        signed char has_charge, charge, radical, unpaired;
    } atom[MAX_V2000_ATOMS];
} properties;

/* "M  CHGnn8 aaa vvv ..." and the same with RAD. */
static aim_status read_property(const aimnet_frame *f, aim_span line, int is_charge, properties *p)
{
    char quoted[AIM_QUOTE_SIZE];
    int64_t count, atom;
    aim_span rest = {line.text + 6, line.size - 6};
    const aim_span first = aim_scan_token(&rest);
    if (!aim_scan_int(first, &count) || count < 0)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "expected the number of entries, found %s",
                        aim_span_quote(first, quoted));
    for (int64_t i = 0; i < count; i++) {
        const aim_span a = aim_scan_token(&rest), value = aim_scan_token(&rest);
        if (!aim_scan_int(a, &atom) || atom < 1 || atom > f->n_atoms)
            return AIM_FAIL(
                AIMNET_ERR_FORMAT, "entry %lld of %lld: expected an atom from 1 to %d, found %s",
                (long long)i + 1, (long long)count, (int)f->n_atoms, aim_span_quote(a, quoted));
        aim_sdf_totals one = {0};
        AIM_TRY(is_charge ? aim_sdf_add_charge(&one, value) : aim_sdf_add_radical(&one, value));
        if (is_charge) {
            p->atom[atom - 1].has_charge = 1;
            p->atom[atom - 1].charge = (signed char)one.charge;
        } else {
            p->atom[atom - 1].radical = (signed char)one.n_radicals;
            p->atom[atom - 1].unpaired = (signed char)one.unpaired;
        }
    }
    p->superseded = 1;
    return AIMNET_OK;
}

static aim_sdf_totals total(const properties *p, int32_t n_atoms)
{
    aim_sdf_totals sum = {0};
    for (int32_t i = 0; i < n_atoms; i++) {
        sum.has_charge |= p->atom[i].has_charge;
        sum.charge += p->atom[i].charge;
        sum.n_radicals += p->atom[i].radical;
        sum.unpaired += p->atom[i].unpaired;
    }
    return sum;
}

/* Everything behind the atoms, up to "M  END". */
static aim_status read_rest(aimnet_reader *r, const aimnet_frame *f, int64_t n_bonds, properties *p)
{
    aim_line line;
    for (int64_t i = 0;; i++) {
        AIM_TRY(aim_sdf_line(r, &line));
        const aim_span text = span_of(&line);
        const int end = aim_span_starts(text, "M  END");
        if (!line.text || (end && i < n_bonds))
            return AIM_READER_FAIL(
                r, line.number,
                "the record ends %lld line(s) behind the atoms; expected %lld bond(s) "
                "and \"M  END\"",
                (long long)i, (long long)n_bonds);
        if (end)
            return AIMNET_OK;
        const int charge = aim_span_starts(text, "M  CHG");
        if (i >= n_bonds && (charge || aim_span_starts(text, "M  RAD")))
            AIM_TRY_AT(r, line.number, read_property(f, text, charge, p));
    }
}

/* Columns 1-3 and 4-6 of the counts line. */
static aim_status read_counts(aim_span line, int64_t *n_atoms, int64_t *n_bonds)
{
    char quoted[AIM_QUOTE_SIZE];
    const aim_span atoms = aim_span_columns(line, 0, 3), bonds = aim_span_columns(line, 3, 3);
    if (aim_scan_int(atoms, n_atoms) && *n_atoms >= 0 && aim_scan_int(bonds, n_bonds) &&
        *n_bonds >= 0)
        return AIMNET_OK;
    return AIM_FAIL(AIMNET_ERR_FORMAT,
                    "expected the numbers of atoms and bonds in columns 1-3 and 4-6, found %s",
                    aim_span_quote(line, quoted));
}

/* ---------------------------------------------------------------- records */

/* The last word of the counts line. */
static int is_version(aim_span line, const char *version)
{
    aim_span last = {"", 0};
    for (aim_span word = aim_scan_token(&line); word.size > 0; word = aim_scan_token(&line))
        last = word;
    return aim_span_equal(last, version);
}

static aim_status read_table(aimnet_reader *r, aimnet_frame *f, const aim_line *counts,
                             aim_sdf_totals *sum)
{
    const int64_t number = counts->number;
    int64_t n_atoms, n_bonds;
    if (is_version(span_of(counts), "V3000"))
        return aim_sdf_v3000(r, f, sum);
    AIM_TRY_AT(r, number, read_counts(span_of(counts), &n_atoms, &n_bonds));
    AIM_TRY_AT(r, number, aim_frame_reserve(f, &r->lines, n_atoms, AIM_SDF_MIN_ATOM_BYTES));
    AIM_TRY(read_atoms(r, f, n_atoms, sum));
    properties p = {0};
    AIM_TRY(read_rest(r, f, n_bonds, &p));
    if (p.superseded)
        *sum = total(&p, f->n_atoms);
    return AIMNET_OK;
}

static aim_status finish(aimnet_frame *f, int drawing, const aim_sdf_totals *sum)
{
    int flat = drawing && f->n_atoms > 1;
    for (int32_t i = 0; flat && i < f->n_atoms; i++)
        flat = f->coord[3 * i + 2] == 0.0;
    f->has_charge = sum->has_charge;
    f->charge = (double)sum->charge;
    f->has_mult = sum->n_radicals > 0;
    f->mult = (double)sum->unpaired + 1.0;
    if (flat)
        AIM_TRY(aim_frame_warn(f, "a two-dimensional drawing: its coordinates are no geometry"));
    if (sum->n_radicals > 1)
        AIM_TRY(aim_frame_warn(f, "%lld radical centres: parallel spins assumed, multiplicity %g",
                               (long long)sum->n_radicals, f->mult));
    return AIMNET_OK;
}

/* line: the first that is not blank; `at`: which line of the record it is (1 title, 2 program, 3
 * comment, 4 counts). */
static aim_status read_record(aimnet_reader *r, aimnet_frame *f, aim_line *line, int at)
{
    aim_sdf_totals sum = {0};
    int drawing = 0;
    for (;; at++) {
        if (at == 1)
            AIM_TRY_AT(r, line->number, aim_frame_title(f, span_of(line)));
        if (at == 2)
            drawing = aim_span_equal_nocase(aim_span_columns(span_of(line), 20, 2), "2D");
        if (at == COUNTS_LINE)
            break;
        AIM_TRY(aim_sdf_line(r, line));
        if (!line->text)
            return AIM_READER_FAIL(
                r, line->number,
                "the record ends on its line %d; expected three header lines and the "
                "counts line",
                at);
    }
    AIM_TRY(read_table(r, f, line, &sum));
    return finish(f, drawing, &sum);
}

/* Skips what is left of a record: data items, or everything after an error. */
static aim_status skip_record(aimnet_reader *r)
{
    aim_line line = {.text = ""};
    while (line.text && !r->record_ended) {
        const aim_status status = aim_lines_next(&r->lines, &line);
        if (status != AIMNET_OK) {
            r->ended = 1;
            return status;
        }
        r->record_ended = aim_span_starts(span_of(&line), "$$$$");
    }
    return AIMNET_OK;
}

int aim_sdf_detect(aim_span head)
{
    aim_span line = {"", 0};
    for (int i = 1; i <= COUNTS_LINE; i++) {
        const char *end = head.size ? memchr(head.text, '\n', head.size) : NULL;
        line = (aim_span){head.text, end ? (size_t)(end - head.text) : head.size};
        head.text += line.size + (end != NULL);
        head.size -= line.size + (end != NULL);
    }
    return is_version(line, "V2000") || is_version(line, "V3000");
}

aim_status aim_sdf_next(aimnet_reader *r, aimnet_frame *f)
{
    aim_line line;
    int blank = 0;
    if (r->inside)
        AIM_TRY(skip_record(r));
    r->inside = 1;
    r->record_ended = 0;
    for (;; blank++) {
        AIM_TRY(aim_reader_line(r, &line));
        if (!line.text)
            return AIMNET_ERR_END;
        if (aim_span_trim(span_of(&line)).size > 0)
            break;
    }
    if (aim_span_starts(span_of(&line), "$$$$"))
        r->record_ended = 1;
    AIM_TRY(aim_frame_begin(f, &r->alloc, r->n_frames, line.number - blank));
    if (r->record_ended || blank >= COUNTS_LINE)
        return AIM_READER_FAIL(r, line.number,
                               "expected three header lines and the counts line, found %s",
                               r->record_ended ? "the end of the record" : "more blank lines");
    return read_record(r, f, &line, blank + 1);
}
