/* SPDX-License-Identifier: MIT */
/* poscar_write.c - one crystal as POSCAR of VASP 5: vectors and Cartesian positions with all digits,
 * atoms in their order (an element may come several times). Energy and stress stand in the title, as
 * in extended XYZ; other results have no place. Registered in writers.def. */
#include "io/writer.h"

#include <string.h>

aim_status aim_poscar_fits(const aimnet_writer *w, const aimnet_frame *f);
aim_status aim_poscar_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result);

/* The elements of successive atoms of one kind, or how many there are of each. */
static aim_status put_runs(aimnet_writer *w, const aimnet_frame *f, int counts)
{
    for (size_t i = 0, next; i < (size_t)f->n_atoms; i = next) {
        const char *symbol;
        for (next = i + 1; next < (size_t)f->n_atoms && f->numbers[next] == f->numbers[i];)
            next++;
        AIM_TRY(aim_writer_symbol(w, f, i, &symbol));
        if (counts)
            AIM_TRY(aim_string_printf(&w->text, &w->alloc, " %zu", next - i));
        else
            AIM_TRY(aim_string_printf(&w->text, &w->alloc, " %s", symbol));
    }
    return aim_writer_put(w, "\n");
}

static aim_status put_results(aimnet_writer *w, const aimnet_result *r)
{
    AIM_TRY(aim_writer_put(w, " energy="));
    AIM_TRY(aim_writer_number(w, r->energy));
    if (!r->stress)
        return AIMNET_OK;
    AIM_TRY(aim_writer_put(w, " stress=\""));
    AIM_TRY(aim_writer_numbers(w, r->stress, 9));
    return aim_writer_put(w, "\"");
}

/* The title as one line of printable characters that cannot be taken for another format; the
 * key=value pairs of extended XYZ, and of results written here before, are no title. */
static aim_status put_title(aimnet_writer *w, const char *title, const aimnet_result *result)
{
    enum { TITLE_MAX = 80 };
    AIM_TRY(aim_writer_put(w, "crystal "));
    if (!title || strchr(title, '='))
        title = "";
    for (int i = 0; title[i] && i < TITLE_MAX; i++) {
        const char c[2] = {title[i] >= ' ' && title[i] <= '~' ? title[i] : '?', '\0'};
        AIM_TRY(aim_writer_put(w, c));
    }
    if (result && result->status == AIMNET_OK)
        AIM_TRY(put_results(w, result));
    return aim_writer_put(w, "\n1.0\n");
}

static aim_status is_second(const aimnet_writer *w)
{
    return AIM_FAIL(AIMNET_ERR_ARG,
                    "%s: POSCAR holds one structure; write several as extended XYZ or CIF",
                    w->file.path);
}

aim_status aim_poscar_fits(const aimnet_writer *w, const aimnet_frame *f)
{
    AIM_TRY(aim_writer_needs_crystal(w, f, "POSCAR"));
    return w->n_frames > 0 || w->n_checked > 0 ? is_second(w) : AIMNET_OK;
}

aim_status aim_poscar_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result)
{
    AIM_TRY(aim_writer_needs_crystal(w, f, "POSCAR"));
    if (w->n_frames > 0)
        return is_second(w);
    AIM_TRY(put_title(w, f->title, result));
    for (size_t v = 0; v < 3; v++) {
        AIM_TRY(aim_writer_numbers(w, f->cell + 3 * v, 3));
        AIM_TRY(aim_writer_put(w, "\n"));
    }
    AIM_TRY(put_runs(w, f, 0));
    AIM_TRY(put_runs(w, f, 1));
    AIM_TRY(aim_writer_put(w, "Cartesian\n"));
    for (size_t i = 0; i < (size_t)f->n_atoms; i++) {
        const char *symbol;
        AIM_TRY(aim_writer_symbol(w, f, i, &symbol));
        AIM_TRY(aim_writer_numbers(w, f->coord + 3 * i, 3));
        AIM_TRY(aim_writer_put(w, "\n"));
    }
    return AIMNET_OK;
}
