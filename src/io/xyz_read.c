/* SPDX-License-Identifier: MIT */
/* xyz_read.c - XYZ and extended XYZ: number of atoms, comment, one line per atom, frame after
 * frame.
 *
 * Extended XYZ has key=value pairs in the comment (comment.c): Properties names the columns,
 * Lattice holds the cell vectors a b c, pbc the periodic axes (default: all three with a Lattice),
 * charge or total_charge, mult or multiplicity or spin (all 2S+1) in any case. In free text such
 * keys count only with a plain integer behind '='. Lines VEC1..VEC3 after the atoms are cell
 * vectors, too.
 *
 * A frame is accepted only when what follows it does not look like one more atom. After a bad frame
 * the reader counts the announced lines and goes on if a number of atoms stands there; otherwise it
 * looks for a line with nothing but an integer, followed by a line that is no atom and one that is.
 * So no atom is ever given to another frame. Registered in readers.def. */
#include "io/reader.h"

#include <math.h>
#include <string.h>

#include "data/element.h"

int aim_xyz_detect(aim_span head);
aim_status aim_xyz_next(aimnet_reader *r, aimnet_frame *f);

enum { MIN_ATOM_BYTES = 8, MAX_COLUMNS = 1 << 20, FIXED_DECIMALS = 4 };

/* Which column holds what, -1 if none does. */
typedef struct layout {
    int species, number, pos;
    int columns; /* that every line must have */
} layout;

static const layout plain_layout = {.species = 0, .number = -1, .pos = 1, .columns = 4};

/* ---------------------------------------------------------------- atoms */

typedef struct atom {
    int number;
    double x[3];
    aim_span culprit; /* of a problem */
    int more;         /* there are columns that the layout does not use */
} atom;

/* What is wrong with a line of atom data, or NULL. */
static const char *read_atom(const layout *want, aim_span line, atom *a)
{
    const int last = want->pos + 2 > want->species ? want->pos + 2 : want->species;
    a->number = 0;
    a->culprit = aim_span_trim(line);
    for (int column = 0; column < want->columns; column++) {
        const aim_span token = aim_scan_token(&line);
        if (token.size == 0)
            return want->columns == 4 ? "expected an element and x y z"
                                      : "expected more columns (see Properties)";
        if (column > last && column > want->number)
            continue;
        if (column == want->species && want->number < 0) {
            a->number = aim_element_from_text(token.text, token.size);
        } else if (column == want->number) {
            int64_t number;
            const int good = aim_scan_int(token, &number);
            a->number = good && number >= 1 && number <= AIM_ELEMENT_LAST ? (int)number : 0;
        } else if (column >= want->pos && column <= want->pos + 2) {
            double *x = &a->x[column - want->pos];
            if (!aim_scan_double(token, x) || !isfinite(*x)) {
                a->culprit = token;
                return "expected a finite coordinate";
            }
            continue;
        } else {
            continue;
        }
        if (a->number == 0) {
            a->culprit = token;
            return "expected an element (a symbol from H to Og, or an atomic number from 1 to 118)";
        }
    }
    a->more = aim_span_trim(line).size > 0;
    return NULL;
}

/* The whole line is one integer. */
static int is_count(aim_span line, int64_t *count)
{
    return aim_scan_int(aim_span_trim(line), count);
}

static aim_span span_of(const aim_line *line)
{
    return (aim_span){line->text, line->size};
}

/* ---------------------------------------------------------------- comment line */

static aim_span next_field(aim_span *rest)
{
    const char *colon = rest->size ? memchr(rest->text, ':', rest->size) : NULL;
    const size_t size = colon ? (size_t)(colon - rest->text) : rest->size;
    const aim_span field = {rest->text, size};
    rest->text += size + (colon != NULL);
    rest->size -= size + (colon != NULL);
    return field;
}

/* One NAME:TYPE:COLUMNS of Properties. */
static aim_status add_property(layout *out, aim_span name, aim_span type, aim_span count)
{
    char quoted[AIM_QUOTE_SIZE];
    int64_t columns;
    int *slot = NULL;
    int64_t want = 1;
    if (type.size != 1 || !strchr("RISL", type.text[0]))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "Properties: type %s, expected R, I, S or L",
                        aim_span_quote(type, quoted));
    if (!aim_scan_int(count, &columns) || columns < 1 || columns > MAX_COLUMNS - out->columns)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "Properties: %s columns, expected a positive number",
                        aim_span_quote(count, quoted));
    if (aim_span_equal(name, "species") || aim_span_equal(name, "symbols")) {
        slot = &out->species;
        if (type.text[0] != 'S')
            return AIM_FAIL(
                AIMNET_ERR_FORMAT,
                "Properties: species of type %c may be type numbers of a program; expected "
                "species:S:1, or Z:I:1 for atomic numbers",
                type.text[0]);
    } else if (aim_span_equal(name, "Z") || aim_span_equal(name, "numbers")) {
        slot = &out->number;
    } else if (aim_span_equal(name, "pos") || aim_span_equal(name, "positions")) {
        slot = &out->pos;
        want = 3;
    }
    if (slot && (*slot >= 0 || columns != want))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "Properties: %s must come once, with %d column(s)",
                        aim_span_quote(name, quoted), (int)want);
    if (slot)
        *slot = out->columns;
    out->columns += (int)columns;
    return AIMNET_OK;
}

static aim_status read_properties(aim_span value, layout *out)
{
    *out = (layout){-1, -1, -1, 0};
    while (value.size > 0) {
        const aim_span name = next_field(&value), type = next_field(&value);
        AIM_TRY(add_property(out, name, type, next_field(&value)));
    }
    if (out->pos < 0 || (out->species < 0 && out->number < 0))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "Properties has no %s; expected for example species:S:1:pos:R:3",
                        out->pos < 0 ? "pos" : "species (or Z)");
    return AIMNET_OK;
}

static aim_status read_layout(const aim_comment *c, layout *out)
{
    const aim_pair *properties = aim_comment_find(c, "Properties");
    *out = plain_layout;
    return properties ? read_properties(properties->value, out) : AIMNET_OK;
}

static aim_status read_lattice(const aim_comment *c, aimnet_frame *f)
{
    for (size_t i = 0; i < c->n_pairs; i++) {
        const aim_pair *p = &c->pairs[i];
        const int exact = aim_span_equal(p->key, "Lattice");
        if (!p->has_value || (!exact && (f->has_cell || !aim_span_equal_nocase(p->key, "lattice"))))
            continue;
        double cell[9];
        int good = aim_value_doubles(p->value, cell, 9) == 9;
        for (int k = 0; good && k < 9; k++)
            good = isfinite(cell[k]);
        if (!good && exact)
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "Lattice needs nine finite numbers \"ax ay az bx by bz cx cy cz\"");
        if (!good)
            continue;
        memcpy(f->cell, cell, sizeof cell);
        f->has_cell = 1;
        f->pbc[0] = f->pbc[1] = f->pbc[2] = 1;
    }
    return AIMNET_OK;
}

static aim_status read_pbc(const aim_comment *c, aimnet_frame *f)
{
    char quoted[AIM_QUOTE_SIZE];
    const aim_pair *p = aim_comment_find(c, "pbc");
    int pbc[3];
    if (!p)
        return AIMNET_OK;
    if (aim_value_flags(p->value, pbc)) {
        memcpy(f->pbc, pbc, sizeof pbc);
        return AIMNET_OK;
    }
    aim_span_quote(p->value, quoted);
    if (!c->extended)
        return aim_frame_warn(f, "pbc=%s in the comment is no periodicity and was ignored", quoted);
    return AIM_FAIL(AIMNET_ERR_FORMAT,
                    "pbc=%s; expected three of T or F, for example pbc=\"T T F\"", quoted);
}

/* A number given under one of two names; at most one value. In free text only an integer counts. */
static aim_status read_total(const aim_comment *c, aimnet_frame *f, const char *name,
                             const char *other_name, int integer, int *has, double *value)
{
    char quoted[AIM_QUOTE_SIZE];
    for (size_t i = 0; i < c->n_pairs; i++) {
        const aim_pair *p = &c->pairs[i];
        double x;
        if (!p->has_value ||
            (!aim_span_equal_nocase(p->key, name) && !aim_span_equal_nocase(p->key, other_name)))
            continue;
        const int good = aim_value_doubles(p->value, &x, 1) == 1 && isfinite(x) &&
                         (x == floor(x) || (c->extended && !integer));
        if (!good) {
            aim_span_quote(p->value, quoted);
            if (c->extended)
                return AIM_FAIL(AIMNET_ERR_FORMAT, "%s=%s; expected %s", p->key.text, quoted,
                                integer ? "a whole number (2S+1)" : "a number");
            AIM_TRY(aim_frame_warn(f, "%.40s=%s in the comment is not understood and was ignored",
                                   p->key.text, quoted));
            continue;
        }
        if (*has && x != *value)
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "%s is given twice, as %g and %g; expected one value", name, *value, x);
        *has = 1;
        *value = x;
    }
    return AIMNET_OK;
}

static aim_status read_multiplicity(const aim_comment *c, aimnet_frame *f)
{
    int has_spin = 0;
    double spin = 0.0;
    AIM_TRY(read_total(c, f, "mult", "multiplicity", 1, &f->has_mult, &f->mult));
    AIM_TRY(read_total(c, f, "spin", "spin", 1, &has_spin, &spin));
    if (has_spin && spin == 0.0) { /* some data sets write 0 for "unspecified" */
        AIM_TRY(aim_frame_warn(f, "spin=0 is no multiplicity (2S+1) and was ignored"));
    } else if (has_spin && f->has_mult && spin != f->mult) {
        AIM_TRY(aim_frame_warn(f, "mult=%g was used, spin=%g was ignored", f->mult, spin));
    } else if (has_spin) {
        f->has_mult = 1;
        f->mult = spin;
    }
    if (f->has_mult && f->mult < 1.0)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "multiplicity %g; expected 2S+1, at least 1", f->mult);
    return AIMNET_OK;
}

static aim_status read_comment(aimnet_reader *r, aimnet_frame *f, aim_span line, layout *columns)
{
    const aim_comment *c = &r->comment;
    AIM_TRY(aim_frame_title(f, line));
    AIM_TRY(aim_comment_parse(&r->comment, &r->alloc, line));
    AIM_TRY(read_layout(c, columns));
    AIM_TRY(read_lattice(c, f));
    AIM_TRY(read_pbc(c, f));
    AIM_TRY(read_total(c, f, "charge", "total_charge", 0, &f->has_charge, &f->charge));
    return read_multiplicity(c, f);
}

/* ---------------------------------------------------------------- after the atoms */

/* "VEC1 x y z" as ADF and ASE write cell vectors; *is_vector tells whether the line is one. */
static aim_status read_vector(aimnet_frame *f, aim_span line, int *is_vector)
{
    aim_span rest = line, field[3];
    const aim_span name = aim_scan_token(&rest);
    *is_vector = name.size == 4 && aim_span_starts(name, "VEC") && name.text[3] >= '1' &&
                 name.text[3] <= '3';
    if (!*is_vector)
        return AIMNET_OK;
    const int i = name.text[3] - '1';
    for (int d = 0; d < 3; d++)
        field[d] = aim_scan_token(&rest);
    if (i == 0) {
        memset(f->cell, 0, sizeof f->cell);
        f->pbc[0] = f->pbc[1] = f->pbc[2] = 0;
        f->has_cell = 1;
    }
    if (!f->has_cell || (i > 0 && !f->pbc[i - 1]) || f->pbc[i])
        return AIM_FAIL(AIMNET_ERR_FORMAT, "VEC%d out of order; expected VEC1, VEC2, VEC3", i + 1);
    f->pbc[i] = 1;
    return aim_reader_coordinates(field, f->cell + 3 * i);
}

/* One more atom, even a damaged one: an element with something behind it. */
static int is_like_atom(const layout *columns, aim_span line)
{
    atom a;
    aim_span rest = line;
    const aim_span first = aim_scan_token(&rest);
    const int element = aim_element_from_text(first.text, first.size) > 0;
    return (element && aim_span_trim(rest).size > 0) || !read_atom(columns, line, &a);
}

/* The line after the frame must not be one more atom. */
static aim_status check_end(aimnet_reader *r, aimnet_frame *f, const layout *columns)
{
    aim_line line;
    int is_vector;
    do {
        if (aim_lines_next(&r->lines, &line) != AIMNET_OK)
            return AIMNET_OK; /* this frame is complete: the next call reports it */
        if (!line.text)
            return AIMNET_OK;
        if (line.too_long)
            return AIM_READER_FAIL(r, line.number, "line longer than %d bytes", AIM_LINE_MAX);
        AIM_TRY_AT(r, line.number, read_vector(f, span_of(&line), &is_vector));
    } while (is_vector);
    aim_lines_unread(&r->lines);
    if (is_like_atom(columns, span_of(&line)))
        return AIM_READER_FAIL(
            r, line.number,
            "one more atom; expected the end of the structure, since line %lld announces "
            "%d atom(s)",
            (long long)f->line, (int)f->n_atoms);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- frames */

/* Whether the next two lines are a comment and an atom. The comment must not look like an atom
 * itself. */
static aim_status try_beginning(aimnet_reader *r, int *good)
{
    aim_line line;
    atom a;
    layout columns;
    *good = 0;
    AIM_TRY(aim_lines_next(&r->lines, &line));
    if (!line.text || line.too_long || !read_atom(&plain_layout, span_of(&line), &a))
        return AIMNET_OK;
    AIM_TRY(aim_comment_parse(&r->comment, &r->alloc, span_of(&line)));
    if (read_layout(&r->comment, &columns) != AIMNET_OK)
        return AIMNET_OK;
    AIM_TRY(aim_lines_next(&r->lines, &line));
    *good = line.text && !line.too_long && !read_atom(&columns, span_of(&line), &a);
    return AIMNET_OK;
}

/* Whether a frame begins with the last line, which is an integer; *header is that line, read again.
 */
static aim_status try_frame(aimnet_reader *r, aim_line *header, int *good)
{
    aim_lines_unread(&r->lines);
    aim_lines_mark(&r->lines);
    AIM_TRY(aim_lines_next(&r->lines, header));
    AIM_TRY(try_beginning(r, good));
    if (aim_lines_rewind(&r->lines))
        return aim_lines_next(&r->lines, header);
    *good = 0; /* a line too long to keep: it was no atom */
    return AIMNET_OK;
}

static int is_separator(const aim_line *line)
{
    const aim_span s = aim_span_trim(span_of(line));
    return s.size == 0 || aim_span_equal(s, ">"); /* ORCA writes ">" between structures */
}

/* The line with the number of atoms, in normal operation; text NULL at the end. */
static aim_status find_header(aimnet_reader *r, aim_line *line)
{
    do {
        AIM_TRY(aim_reader_line(r, line));
    } while (line->text && is_separator(line));
    return AIMNET_OK;
}

/* The same after a bad frame. */
static aim_status find_next_header(aimnet_reader *r, aim_line *line)
{
    int64_t count;
    int good;
    for (;;) {
        aim_status status = aim_lines_next(&r->lines, line);
        if (status == AIMNET_OK && !line->text)
            return AIMNET_OK;
        if (r->skip == 0 && status == AIMNET_OK && is_separator(line))
            continue;
        if (status == AIMNET_OK && !line->too_long && is_count(span_of(line), &count)) {
            good = r->skip == 0;
            if (!good)
                status = try_frame(r, line, &good);
            r->skip = -1;
            if (status == AIMNET_OK && good)
                return AIMNET_OK;
        }
        if (status != AIMNET_OK) {
            r->ended = 1;
            return status;
        }
        r->skip -= r->skip >= 0;
    }
}

static aim_status bad_header(const aimnet_reader *r, const aim_line *line)
{
    char quoted[AIM_QUOTE_SIZE];
    atom a;
    const char *hint = "";
    if (!read_atom(&plain_layout, span_of(line), &a))
        hint = " (two lines come before the atoms: their number, and a comment)";
    return AIM_READER_FAIL(r, line->number, "expected the number of atoms, found %s%s",
                           aim_span_quote(span_of(line), quoted), hint);
}

/* Digits behind the point of the last number of a line. */
static int decimals(aim_span line)
{
    line = aim_span_trim(line);
    int n = 0;
    while (line.size > 0 && line.text[line.size - 1] >= '0' && line.text[line.size - 1] <= '9') {
        line.size--;
        n++;
    }
    return line.size > 0 && line.text[line.size - 1] == '.' ? n : 0;
}

static aim_status read_atoms(aimnet_reader *r, aimnet_frame *f, int32_t n_atoms,
                             const layout *columns, int64_t comment_line)
{
    char quoted[AIM_QUOTE_SIZE];
    aim_line line = {0};
    atom a = {0};
    int repeats = columns->columns == 4, other = 0; /* column 2 repeats the atomic number */
    int digits = 0;                                 /* of the last but one line */
    for (int32_t i = 0; i < n_atoms; i++) {
        AIM_TRY(aim_reader_line(r, &line));
        if (!line.text)
            return AIM_READER_FAIL(r, line.number, "the file ends after %d of %d atoms", (int)i,
                                   (int)n_atoms);
        const char *problem = read_atom(columns, span_of(&line), &a);
        if (problem) {
            aim_lines_unread(&r->lines);
            return AIM_READER_FAIL(r, line.number, "atom %d (of 0 to %d): %s, found %s", (int)i,
                                   (int)n_atoms - 1, problem, aim_span_quote(a.culprit, quoted));
        }
        r->skip--;
        AIM_TRY_AT(r, line.number, aim_frame_push(f, a.number, a.x));
        repeats = repeats && a.more && a.x[0] == a.number;
        other |= a.number != f->numbers[0];
        if (i == n_atoms - 2)
            digits = decimals(span_of(&line));
    }
    if (line.unterminated && digits >= FIXED_DECIMALS && decimals(span_of(&line)) < digits)
        AIM_TRY(aim_frame_warn(f, "the last line has no end and fewer digits than the one before: "
                                  "the file may be cut off"));
    if (repeats && other)
        return AIM_READER_FAIL(
            r, comment_line + 1,
            "the second column repeats the atomic numbers; expected element x y z: "
            "remove that column");
    return AIMNET_OK;
}

static aim_status read_frame(aimnet_reader *r, aimnet_frame *f, int64_t n_atoms)
{
    aim_line line;
    layout columns;
    AIM_TRY(aim_reader_line(r, &line));
    if (!line.text)
        return AIM_READER_FAIL(r, line.number,
                               "the file ends here; expected a comment line and %lld atom(s)",
                               (long long)n_atoms);
    const int64_t comment_line = line.number;
    AIM_TRY_AT(r, f->line, aim_frame_reserve(f, &r->lines, n_atoms, MIN_ATOM_BYTES));
    r->skip = n_atoms;
    AIM_TRY_AT(r, comment_line, read_comment(r, f, span_of(&line), &columns));
    AIM_TRY(read_atoms(r, f, (int32_t)n_atoms, &columns, comment_line));
    AIM_TRY(check_end(r, f, &columns));
    if (!f->has_cell && (f->pbc[0] || f->pbc[1] || f->pbc[2])) {
        if (r->comment.extended)
            return AIM_READER_FAIL(
                r, comment_line, "pbc without Lattice; expected Lattice=\"...\" or pbc=\"F F F\"");
        f->pbc[0] = f->pbc[1] = f->pbc[2] = 0;
        return aim_frame_warn(f, "pbc without Lattice was ignored");
    }
    return AIMNET_OK;
}

int aim_xyz_detect(aim_span head)
{
    int64_t count;
    while (head.size > 0 && aim_is_space(head.text[0])) {
        head.text++;
        head.size--;
    }
    const char *end = head.size ? memchr(head.text, '\n', head.size) : NULL;
    if (end)
        head.size = (size_t)(end - head.text);
    return is_count(head, &count) && count >= 0;
}

aim_status aim_xyz_next(aimnet_reader *r, aimnet_frame *f)
{
    aim_line line;
    int64_t n_atoms;
    AIM_TRY(r->lost ? find_next_header(r, &line) : find_header(r, &line));
    if (!line.text)
        return AIMNET_ERR_END;
    r->skip = -1;
    AIM_TRY(aim_frame_begin(f, &r->alloc, r->n_frames, line.number));
    if (!is_count(span_of(&line), &n_atoms))
        return bad_header(r, &line);
    if (n_atoms < 0)
        return AIM_READER_FAIL(r, line.number, "%lld atoms; expected a number from 0 on",
                               (long long)n_atoms);
    return read_frame(r, f, n_atoms);
}
