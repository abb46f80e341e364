/* SPDX-License-Identifier: MIT */
/* writer.c - structures to a file that appears complete or not at all (outfile.c), in the format
 * that its name asks for. The formats are listed in writers.def. Called by the public API
 * (api/io_api.c). */
#include "io/writer.h"

#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "data/element.h"
#include "io/cell.h"

enum { FLUSH_SIZE = 1 << 18 };

#define WRITER(name, suffixes)                                                                     \
    aim_status aim_##name##_fits(const aimnet_writer *w, const aimnet_frame *f);                   \
    aim_status aim_##name##_put(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *r);
#include "io/writers.def"
#undef WRITER

static const aim_writer_type types[] = {
#define WRITER(name, suffixes) {#name, suffixes, aim_##name##_fits, aim_##name##_put},
#include "io/writers.def"
#undef WRITER
};

/* ---------------------------------------------------------------- words */

aim_status aim_writer_put(aimnet_writer *w, const char *text)
{
    return aim_string_append(&w->text, &w->alloc, text, strlen(text));
}

aim_status aim_writer_number(aimnet_writer *w, double x)
{
    char text[32];
    return aim_string_append(&w->text, &w->alloc, text, aim_format_double(text, x));
}

aim_status aim_writer_numbers(aimnet_writer *w, const double *x, int n)
{
    for (int i = 0; i < n; i++) {
        if (i > 0)
            AIM_TRY(aim_writer_put(w, " "));
        AIM_TRY(aim_writer_number(w, x[i]));
    }
    return AIMNET_OK;
}

aim_status aim_writer_symbol(const aimnet_writer *w, const aimnet_frame *f, size_t i,
                             const char **symbol)
{
    const double *x = f->coord + 3 * i;
    *symbol = aim_element_symbol(f->numbers[i]);
    if (!*symbol)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s: atom %zu has atomic number %d; expected 1 to %d",
                        w->file.path, i, (int)f->numbers[i], AIM_ELEMENT_LAST);
    if (!isfinite(x[0]) || !isfinite(x[1]) || !isfinite(x[2]))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s: atom %zu has a coordinate that is not finite: it cannot be written",
                        w->file.path, i);
    return AIMNET_OK;
}

aim_status aim_writer_needs_crystal(const aimnet_writer *w, const aimnet_frame *f,
                                    const char *format)
{
    if (!(f->has_cell && f->pbc[0] && f->pbc[1] && f->pbc[2]))
        return AIM_FAIL(
            AIMNET_ERR_ARG,
            "%s: %s holds structures that are periodic along three axes only; write this "
            "one as extended XYZ (a name that ends in .xyz)",
            w->file.path, format);
    for (int v = 0; v < 3; v++)
        if (!(aim_norm3(f->cell + (size_t)(3 * v)) <= AIM_CELL_MAX))
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "%s: cell vector %d is longer than the %g A that %s may have; write "
                            "extended XYZ",
                            w->file.path, v + 1, AIM_CELL_MAX, format);
    if (!(fabs(aim_det3(f->cell)) > 0.0))
        return AIM_FAIL(AIMNET_ERR_ARG, "%s: the cell is singular", w->file.path);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- files */

static const aim_writer_type *type_of(const char *path)
{
    const aim_span name = {path, strlen(path)};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        aim_span rest = {types[k].suffixes, strlen(types[k].suffixes)};
        for (aim_span s = aim_scan_token(&rest); s.size > 0; s = aim_scan_token(&rest)) {
            char suffix[16] = "";
            memcpy(suffix, s.text, s.size < sizeof suffix ? s.size : sizeof suffix - 1);
            if (name.size >= s.size &&
                aim_span_equal_nocase((aim_span){path + name.size - s.size, s.size}, suffix))
                return &types[k];
        }
    }
    return &types[0];
}

static aim_status flush(aimnet_writer *w)
{
    w->failed = aim_outfile_write(&w->file, w->text.data, w->text.size);
    w->text.size = 0;
    return w->failed;
}

static aim_status open_file(aimnet_writer *w, const char *path, int append)
{
    if (!append)
        return aim_outfile_open(&w->file, &w->alloc, path);
    if (w->type != &types[0])
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s: structures can be appended to extended XYZ only (a name that ends in "
                        ".xyz)",
                        path);
    return aim_outfile_append(&w->file, &w->alloc, path);
}

static aim_status writer_create(const aim_alloc *alloc, const char *path, int append,
                                aimnet_writer **writer)
{
    aimnet_writer *w;
    *writer = NULL;
    AIM_TRY(aim_new0(alloc, 1, sizeof *w, "a structure writer", &w));
    w->alloc = *alloc;
    w->type = type_of(path);
    const aim_status status = open_file(w, path, append);
    if (status == AIMNET_OK)
        *writer = w;
    else
        aim_free(alloc, w);
    return status;
}

aim_status aim_writer_append(const aim_alloc *alloc, const char *path, aimnet_writer **writer)
{
    return writer_create(alloc, path, 1, writer);
}

aim_status aim_writer_open(const aim_alloc *alloc, const char *path, aimnet_writer **writer)
{
    return writer_create(alloc, path, 0, writer);
}

aim_status aim_writer_frame(aimnet_writer *w, const aimnet_frame *f, const aimnet_result *result)
{
    if (w->failed)
        return AIM_FAIL(w->failed, "%s: an earlier structure could not be written", w->file.path);
    const size_t before = w->text.size;
    const aim_status status = w->type->put(w, f, result);
    if (status != AIMNET_OK) {
        w->text.size = before; /* whole structures only */
        return status;
    }
    w->n_frames++;
    if (w->text.size >= FLUSH_SIZE || !w->file.target)
        return flush(w);
    return AIMNET_OK;
}

aim_status aim_writer_check(aimnet_writer *w, const aimnet_frame *f)
{
    const char *symbol;
    AIM_TRY(w->type->fits(w, f));
    for (size_t i = 0; i < (size_t)f->n_atoms; i++)
        AIM_TRY(aim_writer_symbol(w, f, i, &symbol));
    w->n_checked++;
    return AIMNET_OK;
}

aim_status aim_writer_close(aimnet_writer *w, int commit)
{
    if (!w)
        return AIMNET_OK;
    const aim_alloc alloc = w->alloc;
    aim_status status = AIMNET_OK;
    if (commit && w->failed)
        status =
            AIM_FAIL(w->failed, "%s: not written, because writing failed before", w->file.path);
    else if (commit)
        status = flush(w);
    if (commit && status == AIMNET_OK)
        status = aim_outfile_commit(&w->file);
    aim_outfile_close(&w->file);
    aim_string_free(&w->text, &alloc);
    aim_comment_free(&w->comment, &alloc);
    aim_free(&alloc, w);
    return status;
}
