/* SPDX-License-Identifier: MIT */
/* xyz_write.c - extended XYZ that ASE, OVITO and this library read back bit by bit.
 *
 * The comment line begins with what is known here (Lattice, Properties, energy, charge, mult,
 * dipole, stress, pbc) and goes on with what the input's comment said: the other key=value pairs of
 * extended XYZ, or free text as title="...". Results of another program in the input (energy,
 * stress, ...) are left out once there are results of ours, and no key comes twice. Numbers have
 * all digits that a double needs. Control characters become blanks and stray bytes '?', because
 * Python's text mode would stumble over them; an empty value is written as " " (ASE joins "" with
 * what follows). Registered in writers.def. */
#include "io/writer.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "data/element.h"
#include "io/comment.h"
#include "io/outfile.h"

enum { MAX_UNIQUE = 1000 };

aim_status aim_xyz_fits(const aimnet_writer *w, const aimnet_frame *f);
aim_status aim_xyz_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result);

/* ---------------------------------------------------------------- words */

/* Length of the well-formed UTF-8 character at s, 0 if there is none. */
static size_t utf8_length(aim_span s)
{
    const unsigned char *c = (const unsigned char *)s.text;
    const size_t n = c[0] < 0x80   ? 1
                     : c[0] < 0xC2 ? 0
                     : c[0] < 0xE0 ? 2
                     : c[0] < 0xF0 ? 3
                     : c[0] < 0xF5 ? 4
                                   : 0;
    if (n == 0 || n > s.size)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xC0u) != 0x80u)
            return 0;
    const int overlong = (c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xF0 && c[1] < 0x90);
    const int outside = (c[0] == 0xED && c[1] > 0x9F) || (c[0] == 0xF4 && c[1] > 0x8F);
    return overlong || outside ? 0 : n;
}

static int is_plain(aim_span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.text[i] <= ' ' || s.text[i] > '~' || strchr("\"'{}[]=\\,", s.text[i]))
            return 0;
    return s.size > 0;
}

/* A key or value, in quotes where it needs them. */
static aim_status put_word(aimnet_writer *w, aim_span s)
{
    if (is_plain(s))
        return aim_string_append(&w->text, &w->alloc, s.text, s.size);
    AIM_TRY(aim_writer_put(w, "\""));
    for (size_t i = 0; i < s.size;) {
        const aim_span rest = {s.text + i, s.size - i};
        const size_t n = utf8_length(rest);
        const unsigned char c = (unsigned char)s.text[i];
        if (c == '"' || c == '\\')
            AIM_TRY(aim_writer_put(w, "\\"));
        if (c < ' ' || c == 0x7F)
            AIM_TRY(aim_writer_put(w, " "));
        else if (n == 0)
            AIM_TRY(aim_writer_put(w, "?"));
        else
            AIM_TRY(aim_string_append(&w->text, &w->alloc, rest.text, n));
        i += n ? n : 1;
    }
    return aim_writer_put(w, s.size > 0 ? "\"" : " \"");
}

/* ---------------------------------------------------------------- comment line */

static int is_one_of(aim_span key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (aim_span_equal_nocase(key, names[i]))
            return 1;
    return 0;
}

/* Whether pair i of the input's comment is written again. */
static int is_kept(const aim_comment *c, size_t i, int has_results)
{
    static const char *const ours[] = {"Lattice",      "Properties", "pbc",         "charge",
                                       "total_charge", "mult",       "multiplicity"};
    static const char *const results[] = {"energy", "free_energy", "dipole", "stress", "virial"};
    const aim_span key = c->pairs[i].key;
    if (key.size == 0 || is_one_of(key, ours, sizeof ours / sizeof *ours) ||
        (has_results && is_one_of(key, results, sizeof results / sizeof *results)))
        return 0;
    for (size_t k = 0; k < c->n_pairs && c->n_pairs <= MAX_UNIQUE; k++) {
        if (k > i && aim_span_equal(key, c->pairs[k].key.text))
            return 0; /* the last one counts */
        if (aim_span_equal_nocase(key, "spin") &&
            (aim_span_equal_nocase(c->pairs[k].key, "mult") ||
             aim_span_equal_nocase(c->pairs[k].key, "multiplicity")))
            return 1; /* it did not give the multiplicity */
    }
    return !aim_span_equal_nocase(key, "spin");
}

static aim_status put_input_comment(aimnet_writer *w, const char *title, int has_results)
{
    const aim_comment *c = &w->comment;
    const aim_span text = aim_span_trim((aim_span){title, strlen(title)});
    if (text.size == 0)
        return AIMNET_OK;
    AIM_TRY(aim_comment_parse(&w->comment, &w->alloc, text));
    if (!c->extended) {
        AIM_TRY(aim_writer_put(w, " title="));
        return put_word(w, text);
    }
    for (size_t i = 0; i < c->n_pairs; i++) {
        if (!is_kept(c, i, has_results))
            continue;
        AIM_TRY(aim_writer_put(w, " "));
        AIM_TRY(put_word(w, c->pairs[i].key));
        if (!c->pairs[i].has_value)
            continue;
        AIM_TRY(aim_writer_put(w, "="));
        AIM_TRY(put_word(w, c->pairs[i].value));
    }
    return AIMNET_OK;
}

static aim_status put_list(aimnet_writer *w, const char *key, const double *x, int n)
{
    AIM_TRY(aim_writer_put(w, key));
    AIM_TRY(aim_writer_put(w, "=\""));
    AIM_TRY(aim_writer_numbers(w, x, n));
    return aim_writer_put(w, "\"");
}

static aim_status put_value(aimnet_writer *w, const char *key, double x)
{
    AIM_TRY(aim_writer_put(w, key));
    return aim_writer_number(w, x);
}

static aim_status put_comment(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result)
{
    const int good = result && result->status == AIMNET_OK;
    const int periodic = f->has_cell && (f->pbc[0] || f->pbc[1] || f->pbc[2]);
    char pbc[] = " pbc=\"F F F\"";
    if (f->has_cell) {
        AIM_TRY(put_list(w, "Lattice", f->cell, 9));
        AIM_TRY(aim_writer_put(w, " "));
    }
    AIM_TRY(aim_writer_put(w, "Properties=species:S:1:pos:R:3"));
    if (good && result->forces)
        AIM_TRY(aim_writer_put(w, ":forces:R:3"));
    if (good && result->charges)
        AIM_TRY(aim_writer_put(w, ":charges:R:1"));
    if (good && result->spin_charges)
        AIM_TRY(aim_writer_put(w, ":spin_charges:R:1"));
    if (good)
        AIM_TRY(put_value(w, " energy=", result->energy));
    AIM_TRY(put_value(w, " charge=", f->charge));
    AIM_TRY(put_value(w, " mult=", f->mult));
    if (good && result->dipole)
        AIM_TRY(put_list(w, " dipole", result->dipole, 3));
    if (good && result->stress && periodic)
        AIM_TRY(put_list(w, " stress", result->stress, 9));
    for (size_t d = 0; d < 3; d++)
        if (f->has_cell && f->pbc[d])
            pbc[6 + 2 * d] = 'T';
    AIM_TRY(aim_writer_put(w, pbc));
    AIM_TRY(put_input_comment(w, f->title ? f->title : "", result != NULL));
    return aim_writer_put(w, "\n");
}

/* ---------------------------------------------------------------- atoms */

static aim_status put_atom(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result,
                           size_t i)
{
    const int good = result && result->status == AIMNET_OK;
    const char *symbol;
    AIM_TRY(aim_writer_symbol(w, f, i, &symbol));
    AIM_TRY(aim_writer_put(w, symbol));
    AIM_TRY(aim_writer_put(w, symbol[1] ? " " : "  "));
    AIM_TRY(aim_writer_numbers(w, f->coord + 3 * i, 3));
    if (good && result->forces) {
        AIM_TRY(aim_writer_put(w, " "));
        AIM_TRY(aim_writer_numbers(w, result->forces + 3 * i, 3));
    }
    if (good && result->charges) {
        AIM_TRY(aim_writer_put(w, " "));
        AIM_TRY(aim_writer_number(w, result->charges[i]));
    }
    if (good && result->spin_charges) {
        AIM_TRY(aim_writer_put(w, " "));
        AIM_TRY(aim_writer_number(w, result->spin_charges[i]));
    }
    return aim_writer_put(w, "\n");
}

aim_status aim_xyz_fits(const aimnet_writer *w, const aimnet_frame *f)
{
    (void)w;
    (void)f;
    return AIMNET_OK;
}

aim_status aim_xyz_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result)
{
    AIM_TRY(aim_string_printf(&w->text, &w->alloc, "%d\n", (int)f->n_atoms));
    AIM_TRY(put_comment(w, f, result));
    for (size_t i = 0; i < (size_t)f->n_atoms; i++)
        AIM_TRY(put_atom(w, f, result, i));
    return AIMNET_OK;
}
