/* SPDX-License-Identifier: MIT */
/* poscar_read.c - VASP's POSCAR and CONTCAR: one crystal per file.
 *
 * Line 1 is a title, line 2 one scale (negative: the volume of the cell) or three, lines 3 to 5 the
 * vectors, line 6 the elements and line 7 how many there are of each; then "Selective dynamics", if
 * it is there, "Direct" or "Cartesian", and the positions, whose flags and comments are ignored.
 * What follows (velocities, the state of a thermostat) is not read. The format of VASP 4 has no
 * elements: it is refused with the remedy. Registered in readers.def. */
#include "io/cell.h"
#include "io/reader.h"

#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "data/element.h"

int aim_poscar_detect(aim_span head);
aim_status aim_poscar_next(aimnet_reader *r, aimnet_frame *f);

enum { MIN_BYTES = 5 /* of one position: "0 0 0" */ };

typedef struct header {
    double scale[3];
    int is_volume; /* scale[0] is the volume wanted */
    int cartesian;
    aim_string elements; /* line 6; a copy, because line 7 is read beside it */
} header;

static aim_status next_line(aimnet_reader *r, const char *expected, aim_line *line)
{
    AIM_TRY(aim_reader_line(r, line));
    if (!line->text)
        return AIM_READER_FAIL(r, line->number, "the file ends here; expected %s", expected);
    return AIMNET_OK;
}

/* The numbers that a line begins with, up to `most`, with a comment behind them if it does not
 * begin like a number. Returns how many there are. */
static int read_numbers(aim_span s, double *x, int most)
{
    int n = 0;
    while (n < most) {
        const aim_span word = aim_scan_token(&s);
        if (word.size == 0 || !aim_scan_double(word, &x[n]))
            break;
        n++;
    }
    return n;
}

static int all_finite(const double *x, int n)
{
    for (int i = 0; i < n; i++)
        if (!isfinite(x[i]) || fabs(x[i]) > AIM_CELL_MAX)
            return 0;
    return 1;
}

/* ---------------------------------------------------------------- header */

static aim_status read_scale(aimnet_reader *r, header *h)
{
    aim_line line;
    AIM_TRY(next_line(r, "a scale factor", &line));
    const int n = read_numbers((aim_span){line.text, line.size}, h->scale, 3);
    h->is_volume = n > 0 && h->scale[0] < 0.0;
    if (n != 3 || h->is_volume)
        h->scale[1] = h->scale[2] = h->scale[0];
    h->scale[0] = fabs(h->scale[0]);
    if (n == 0 || !isfinite(h->scale[0]) || h->scale[0] == 0.0 ||
        !(h->scale[1] > 0.0 || h->is_volume) || !(h->scale[2] > 0.0 || h->is_volume))
        return AIM_READER_FAIL(r, line.number,
                               "expected a scale factor: one number, negative for a volume, or "
                               "three positive ones");
    return AIMNET_OK;
}

static aim_status read_vectors(aimnet_reader *r, header *h, aimnet_frame *f)
{
    aim_line line = {0};
    for (int i = 0; i < 3; i++) {
        AIM_TRY(next_line(r, "a cell vector", &line));
        double *v = f->cell + (size_t)(3 * i);
        if (read_numbers((aim_span){line.text, line.size}, v, 3) != 3 || !all_finite(v, 3))
            return AIM_READER_FAIL(r, line.number, "expected three numbers: cell vector %d", i + 1);
    }
    const double volume = fabs(aim_det3(f->cell));
    if (h->is_volume && volume > 0.0)
        h->scale[0] = h->scale[1] = h->scale[2] = cbrt(h->scale[0] / volume);
    for (int k = 0; k < 9; k++)
        f->cell[k] *= h->scale[k % 3];
    if (!all_finite(f->cell, 9) || !(fabs(aim_det3(f->cell)) > 0.0))
        return AIM_READER_FAIL(r, line.number, "the cell vectors and the scale make no cell");
    f->has_cell = f->pbc[0] = f->pbc[1] = f->pbc[2] = 1;
    return AIMNET_OK;
}

/* "Si", "Fe_pv", "O/4b0d7c2c" */
static int element_of(aim_span word)
{
    size_t n = 0;
    while (n < word.size && word.text[n] != '_' && word.text[n] != '/')
        n++;
    return aim_element_from_symbol(word.text, n);
}

static aim_status read_elements(aimnet_reader *r, header *h)
{
    char quoted[AIM_QUOTE_SIZE];
    int64_t count;
    aim_line line;
    AIM_TRY(next_line(r, "element symbols", &line));
    aim_span rest = {line.text, line.size}, all = rest;
    aim_span word = aim_scan_token(&rest);
    if (word.size > 0 && aim_scan_int(word, &count))
        return AIM_READER_FAIL(r, line.number,
                               "a POSCAR of VASP 4, which does not say the elements: insert a line "
                               "with their symbols before this one");
    if (word.size == 0)
        return AIM_READER_FAIL(r, line.number, "expected element symbols, found an empty line");
    for (; word.size > 0; word = aim_scan_token(&rest))
        if (element_of(word) == 0)
            return AIM_READER_FAIL(r, line.number, "%s is not an element",
                                   aim_span_quote(word, quoted));
    return aim_string_append(&h->elements, &r->alloc, all.text, all.size);
}

/* Puts all atoms of the frame at the origin, for the positions to come. */
static aim_status read_counts(aimnet_reader *r, const header *h, aimnet_frame *f, int64_t *n_atoms)
{
    static const double origin[3] = {0};
    char quoted[AIM_QUOTE_SIZE];
    aim_line line;
    AIM_TRY(next_line(r, "the numbers of atoms", &line));
    for (int pass = 0; pass < 2; pass++) { /* first the sum, then the elements */
        aim_span elements = {h->elements.data, h->elements.size}, counts = {line.text, line.size};
        int64_t total = 0, count;
        for (aim_span e = aim_scan_token(&elements); e.size > 0; e = aim_scan_token(&elements)) {
            const aim_span word = aim_scan_token(&counts);
            if (!aim_scan_int(word, &count) || count < 0 || count > INT32_MAX)
                return AIM_READER_FAIL(r, line.number,
                                       "expected a number of atoms for each element, found %s",
                                       aim_span_quote(word, quoted));
            total += count;
            for (int64_t i = 0; i < count && pass == 1; i++)
                AIM_TRY(aim_frame_push(f, element_of(e), origin));
        }
        const aim_span more = aim_scan_token(&counts);
        if (more.size > 0 && more.text[0] != '!' && more.text[0] != '#')
            return AIM_READER_FAIL(r, line.number, "%s is one number more than there are elements",
                                   aim_span_quote(more, quoted));
        if (total == 0)
            return AIM_READER_FAIL(r, line.number, "a structure without atoms");
        if (pass == 0)
            AIM_TRY_AT(r, line.number, aim_frame_reserve(f, &r->lines, total, MIN_BYTES));
        *n_atoms = total;
    }
    return AIMNET_OK;
}

static aim_status read_mode(aimnet_reader *r, header *h)
{
    char quoted[AIM_QUOTE_SIZE];
    aim_line line;
    AIM_TRY(next_line(r, "Direct or Cartesian", &line));
    aim_span word = aim_span_trim((aim_span){line.text, line.size});
    if (word.size > 0 && (word.text[0] == 'S' || word.text[0] == 's')) {
        AIM_TRY(next_line(r, "Direct or Cartesian", &line));
        word = aim_span_trim((aim_span){line.text, line.size});
    }
    if (memchr(word.text, '=', word.size))
        return AIM_READER_FAIL(r, line.number,
                               "an XDATCAR trajectory; expected POSCAR or CONTCAR: save its frames "
                               "as extended XYZ");
    const char first = word.size > 0 ? word.text[0] : '\0';
    h->cartesian = first != '\0' && strchr("CcKk", first) != NULL;
    if (!h->cartesian && first != 'D' && first != 'd')
        return AIM_READER_FAIL(r, line.number, "expected Direct or Cartesian, found %s",
                               aim_span_quote(word, quoted));
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- positions */

static aim_status read_positions(aimnet_reader *r, const header *h, aimnet_frame *f)
{
    aim_line line;
    for (size_t i = 0; i < (size_t)f->n_atoms; i++) {
        AIM_TRY(aim_reader_line(r, &line));
        if (!line.text)
            return AIM_READER_FAIL(r, line.number, "the file ends after %zu of %d positions", i,
                                   (int)f->n_atoms);
        aim_span rest = {line.text, line.size}, field[3];
        double x[3], *to = f->coord + 3 * i;
        for (int d = 0; d < 3; d++)
            field[d] = aim_scan_token(&rest);
        AIM_TRY_AT(r, line.number, aim_reader_coordinates(field, x));
        if (!h->cartesian)
            aim_vecmat3(x, f->cell, to);
        for (int d = 0; d < 3 && h->cartesian; d++)
            to[d] = x[d] * h->scale[d];
        if (!isfinite(to[0]) || !isfinite(to[1]) || !isfinite(to[2]))
            return AIM_READER_FAIL(r, line.number, "the position is not finite");
    }
    return AIMNET_OK;
}

/* Another line of three numbers directly behind the last position: the counts are wrong. */
static aim_status check_end(aimnet_reader *r, const aimnet_frame *f)
{
    aim_line line;
    double x[3];
    AIM_TRY(aim_reader_line(r, &line));
    if (line.text && read_numbers((aim_span){line.text, line.size}, x, 3) == 3)
        return AIM_READER_FAIL(r, line.number,
                               "a position more than the %d atoms that line 7 announces",
                               (int)f->n_atoms);
    return AIMNET_OK;
}

static aim_status read_file(aimnet_reader *r, header *h, aimnet_frame *f)
{
    aim_line line;
    int64_t n_atoms;
    AIM_TRY(next_line(r, "a title", &line));
    AIM_TRY(aim_frame_begin(f, &r->alloc, r->n_frames, line.number));
    AIM_TRY(aim_frame_title(f, aim_span_trim((aim_span){line.text, line.size})));
    AIM_TRY(read_scale(r, h));
    AIM_TRY(read_vectors(r, h, f));
    AIM_TRY(read_elements(r, h));
    AIM_TRY(read_counts(r, h, f, &n_atoms));
    AIM_TRY(read_mode(r, h));
    AIM_TRY(read_positions(r, h, f));
    return check_end(r, f);
}

/* The line at the beginning of *head, which moves behind it. */
static aim_span take_line(aim_span *head)
{
    const char *end = head->size ? memchr(head->text, '\n', head->size) : NULL;
    const size_t n = end ? (size_t)(end - head->text) : head->size;
    const aim_span line = {head->text, n};
    *head = (aim_span){head->text + n + (end != NULL), head->size - n - (end != NULL)};
    return line;
}

int aim_poscar_detect(aim_span head)
{
    double x[4];
    (void)take_line(&head);
    if (read_numbers(take_line(&head), x, 1) != 1)
        return 0;
    for (int i = 0; i < 3; i++) { /* exactly three: an atom of XYZ has four words */
        if (i >= 2 && head.size == 0)
            return 1; /* no more is here yet */
        if (read_numbers(take_line(&head), x, 4) != 3)
            return 0;
    }
    if (head.size == 0)
        return 1;
    aim_span line = take_line(&head);
    const aim_span word = aim_scan_token(&line);
    int64_t count;
    return word.size > 0 && (element_of(word) > 0 || aim_scan_int(word, &count));
}

aim_status aim_poscar_next(aimnet_reader *r, aimnet_frame *f)
{
    header h = {0};
    if (r->n_frames > 0)
        return AIMNET_ERR_END;
    const aim_status status = read_file(r, &h, f);
    aim_string_free(&h.elements, &r->alloc);
    return status;
}
