/* SPDX-License-Identifier: MIT */
/* frame.c - the memory of a frame: arrays that are kept from one structure of a stream to the next.
 *
 * A file says how many atoms follow before it gives them; a hostile one says two billion. The
 * declared number is trusted only when that many lines can still come. Otherwise the arrays double
 * as atoms are really read, so that memory is at most a small multiple of the bytes read. */
#include "io/frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { FIRST_ATOMS = 1024 };

typedef struct frame_priv {
    aim_alloc alloc;
    int32_t capacity; /* atoms */
    aim_string title, warnings;
} frame_priv;

int32_t aim_frame_capacity(const aimnet_frame *f)
{
    const frame_priv *p = f->priv;
    return p->capacity;
}

static aim_status set_text(frame_priv *p, aim_string *s, aim_span text, char **out)
{
    s->size = 0;
    AIM_TRY(aim_string_append(s, &p->alloc, text.text, text.size));
    for (size_t i = 0; i < s->size; i++)
        if (s->data[i] == '\0')
            s->data[i] = '?';
    *out = s->data;
    return AIMNET_OK;
}

aim_status aim_frame_begin(aimnet_frame *f, const aim_alloc *alloc, int64_t index, int64_t line)
{
    frame_priv *p = f->priv;
    if (!p) {
        *f = (aimnet_frame){0};
        AIM_TRY(aim_new0(alloc, 1, sizeof *p, "a structure", &p));
        p->alloc = *alloc;
        f->priv = p;
    }
    f->n_atoms = 0;
    f->has_cell = f->has_charge = f->has_mult = 0;
    memset(f->cell, 0, sizeof f->cell);
    f->pbc[0] = f->pbc[1] = f->pbc[2] = 0;
    f->charge = 0.0;
    f->mult = 1.0;
    f->index = index;
    f->line = line;
    AIM_TRY(set_text(p, &p->warnings, (aim_span){"", 0}, &f->warnings));
    return aim_frame_title(f, (aim_span){"", 0});
}

static aim_status set_capacity(aimnet_frame *f, int32_t capacity)
{
    frame_priv *p = f->priv;
    const size_t old = (size_t)f->n_atoms, new = (size_t)capacity;
    if (capacity <= p->capacity)
        return AIMNET_OK;
    AIM_TRY(aim_grow(&p->alloc, 3 * old, 3 * new, sizeof *f->coord, "coordinates", &f->coord));
    AIM_TRY(aim_grow(&p->alloc, old, new, sizeof *f->numbers, "atomic numbers", &f->numbers));
    p->capacity = capacity;
    return AIMNET_OK;
}

aim_status aim_frame_reserve(aimnet_frame *f, const aim_lines *lines, int64_t n_atoms,
                             int min_bytes)
{
    const int64_t remaining = aim_lines_remaining(lines);
    if (n_atoms > INT32_MAX)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%lld atoms; expected at most %d", (long long)n_atoms,
                        INT32_MAX);
    if (remaining >= 0 && n_atoms > 0 && n_atoms > (remaining + 1) / min_bytes)
        return AIM_FAIL(
            AIMNET_ERR_FORMAT,
            "%lld atoms are announced, but only %lld bytes follow: the file is cut off or "
            "the number is wrong",
            (long long)n_atoms, (long long)remaining);
    if (remaining < 0 && n_atoms > FIRST_ATOMS)
        n_atoms = FIRST_ATOMS;
    return set_capacity(f, n_atoms > 0 ? (int32_t)n_atoms : 1);
}

aim_status aim_frame_grow(aimnet_frame *f)
{
    const int32_t capacity = aim_frame_capacity(f);
    if (capacity > INT32_MAX / 2)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "more than %d atoms in one structure", capacity);
    return set_capacity(f, capacity < FIRST_ATOMS ? FIRST_ATOMS : 2 * capacity);
}

aim_status aim_frame_title(aimnet_frame *f, aim_span title)
{
    frame_priv *p = f->priv;
    return set_text(p, &p->title, title, &f->title);
}

aim_status aim_frame_warn(aimnet_frame *f, const char *format, ...)
{
    frame_priv *p = f->priv;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (p->warnings.size > 0)
        AIM_TRY(aim_string_append(&p->warnings, &p->alloc, "\n", 1));
    AIM_TRY(aim_string_append(&p->warnings, &p->alloc, text, strlen(text)));
    f->warnings = p->warnings.data;
    return AIMNET_OK;
}

void aim_frame_free(aimnet_frame *f)
{
    frame_priv *p = f ? f->priv : NULL;
    if (!f)
        return;
    if (p) {
        const aim_alloc alloc = p->alloc;
        aim_free(&alloc, f->numbers);
        aim_free(&alloc, f->coord);
        aim_string_free(&p->title, &alloc);
        aim_string_free(&p->warnings, &alloc);
        aim_free(&alloc, p);
    }
    *f = (aimnet_frame){0};
}
