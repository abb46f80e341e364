/* SPDX-License-Identifier: MIT */
/* reader.c - opens structure files, recognises their format, and hands out their structures one by
 * one.
 *
 * The content decides about the format first, the name only when the content does not show it (a
 * damaged first line). The formats are listed in readers.def. A bad structure does not end the
 * stream: the format's reader looks for the beginning of the next one, and what it cannot be sure
 * of it skips. Called by the public API (api/io_api.c). */
#include "io/reader.h"

#include <math.h>
#include <string.h>

#define READER(name, suffixes, about)                                                              \
    int aim_##name##_detect(aim_span head);                                                        \
    aim_status aim_##name##_next(aimnet_reader *reader, aimnet_frame *frame);
#include "io/readers.def"
#undef READER

static const aim_reader_type types[] = {
#define READER(name, suffixes, about)                                                              \
    {#name, suffixes, about, aim_##name##_detect, aim_##name##_next},
#include "io/readers.def"
#undef READER
};
enum { N_TYPES = sizeof types / sizeof *types };

/* A path's name ends in one of the suffixes, in any case and perhaps followed by ".gz". */
static int has_suffix(const char *path, const char *suffixes)
{
    aim_span name = {path, strlen(path)}, rest = {suffixes, strlen(suffixes)};
    if (name.size > 3 && aim_equal_nocase(path + name.size - 3, ".gz"))
        name.size -= 3;
    for (aim_span s = aim_scan_token(&rest); s.size > 0; s = aim_scan_token(&rest)) {
        char suffix[16] = "";
        memcpy(suffix, s.text, s.size < sizeof suffix ? s.size : sizeof suffix - 1);
        if (name.size >= s.size &&
            aim_span_equal_nocase((aim_span){name.text + name.size - s.size, s.size}, suffix))
            return 1;
    }
    return 0;
}

static const aim_reader_type *type_by_format(const char *format)
{
    for (int i = 0; i < N_TYPES; i++) {
        char suffix[16] = ".";
        if (aim_equal_nocase(types[i].name, format))
            return &types[i];
        const size_t n = strlen(format);
        if (n + 2 > sizeof suffix)
            continue;
        memcpy(suffix + 1, format, n + 1);
        if (has_suffix(suffix, types[i].suffixes) && suffix[1] != '.')
            return &types[i];
    }
    return NULL;
}

static aim_status find_type(aimnet_reader *r, const char *format)
{
    const aim_span head = {r->lines.data + r->lines.pos, r->lines.end - r->lines.pos};
    if (format) {
        r->type = type_by_format(format);
        return r->type
                   ? AIMNET_OK
                   : AIM_FAIL(AIMNET_ERR_ARG,
                              "structure format \"%s\" is unknown; expected xyz, sdf, pdb, cif or "
                              "poscar",
                              format);
    }
    for (int i = 0; i < N_TYPES && !r->type; i++)
        if (types[i].detect(head))
            r->type = &types[i];
    for (int i = 0; i < N_TYPES && !r->type; i++)
        if (has_suffix(r->name, types[i].suffixes))
            r->type = &types[i];
    if (r->type)
        return AIMNET_OK;
    if (aim_span_trim(head).size == 0)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "%s: the file is empty; expected XYZ, SDF, PDB, CIF or POSCAR", r->name);
    return AIM_FAIL(
        AIMNET_ERR_FORMAT,
        "%s: not recognised as a structure file; expected XYZ (first line: number of atoms), "
        "SDF, PDB, CIF or POSCAR",
        r->name);
}

static aim_status open_reader(aimnet_reader *r, const char *path, const void *bytes, size_t size,
                              const char *name, const char *format)
{
    AIM_TRY(aim_strdup(&r->alloc, name, &r->name));
    if (path)
        AIM_TRY(aim_source_open(&r->lines.source, &r->alloc, path, r->name));
    else
        AIM_TRY(aim_source_open_memory(&r->lines.source, &r->alloc, bytes, size, r->name));
    AIM_TRY(aim_lines_start(&r->lines));
    return find_type(r, format);
}

static aim_status create(const aim_alloc *alloc, const char *path, const void *bytes, size_t size,
                         const char *name, const char *format, aimnet_reader **reader)
{
    aimnet_reader *r;
    *reader = NULL;
    AIM_TRY(aim_new0(alloc, 1, sizeof *r, "a structure reader", &r));
    r->alloc = *alloc;
    r->lines.source.fd = -1;
    r->lines.source.alloc = *alloc;
    const aim_status status = open_reader(r, path, bytes, size, name, format);
    if (status == AIMNET_OK)
        *reader = r;
    else
        aim_reader_close(r);
    return status;
}

aim_status aim_reader_open(const aim_alloc *alloc, const char *path, const char *format,
                           aimnet_reader **reader)
{
    return create(alloc, path, NULL, 0, path, format, reader);
}

aim_status aim_reader_open_memory(const aim_alloc *alloc, const void *bytes, size_t size,
                                  const char *name, const char *format, aimnet_reader **reader)
{
    return create(alloc, NULL, bytes, size, name, format, reader);
}

aim_status aim_reader_next(aimnet_reader *r, aimnet_frame *frame)
{
    aim_status status = AIMNET_ERR_END;
    if (!r->ended)
        status = r->type->next(r, frame);
    if (status == AIMNET_ERR_END && !r->ended && r->n_frames == 0) {
        status = AIM_FAIL(AIMNET_ERR_FORMAT, "%s: no structure in this file; expected %s", r->name,
                          r->type->about);
        r->ended = 1;
    }
    if (status == AIMNET_ERR_END) {
        r->ended = 1;
        return AIM_FAIL(AIMNET_ERR_END, "%s: no further structure", r->name);
    }
    r->lost = status != AIMNET_OK;
    if (r->lost)
        frame->n_atoms = 0;
    r->n_frames++;
    if (status != AIMNET_OK && status != AIMNET_ERR_FORMAT && status != AIMNET_ERR_MEMORY)
        r->ended = 1;
    return status;
}

void aim_reader_close(aimnet_reader *r)
{
    if (!r)
        return;
    const aim_alloc alloc = r->alloc;
    aim_lines_close(&r->lines);
    aim_comment_free(&r->comment, &alloc);
    aim_string_free(&r->text, &alloc);
    aim_string_free(&r->cif.text, &alloc);
    aim_free(&alloc, r->name);
    aim_free(&alloc, r);
}

aim_status aim_reader_place(const aimnet_reader *r, int64_t line, aim_status status)
{
    return aim_fail_prefix(status, "%s:%lld", r->name, (long long)line);
}

aim_status aim_reader_line(aimnet_reader *r, aim_line *line)
{
    const aim_status status = aim_lines_next(&r->lines, line);
    if (status != AIMNET_OK) {
        r->ended = 1; /* nothing more can be read */
        return status;
    }
    if (line->too_long)
        return AIM_READER_FAIL(r, line->number, "line longer than %d bytes", AIM_LINE_MAX);
    return AIMNET_OK;
}

aim_status aim_reader_coordinates(const aim_span field[3], double x[3])
{
    char quoted[AIM_QUOTE_SIZE];
    for (int d = 0; d < 3; d++) {
        if (!aim_scan_double(field[d], &x[d]))
            return AIM_FAIL(AIMNET_ERR_FORMAT, "%c coordinate %s is not a number", 'x' + d,
                            aim_span_quote(field[d], quoted));
        if (!isfinite(x[d]))
            return AIM_FAIL(AIMNET_ERR_FORMAT, "%c coordinate %s is not finite", 'x' + d,
                            aim_span_quote(field[d], quoted));
    }
    return AIMNET_OK;
}
