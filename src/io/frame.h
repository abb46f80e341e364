/* SPDX-License-Identifier: MIT */
/* frame.h - filling an aimnet_frame: every reader calls begin, then reserve and push, then title
 * and warnings. */
#ifndef AIM_IO_FRAME_H
#define AIM_IO_FRAME_H

#include "aimnet_io.h"
#include "io/lines.h"
#include "io/scan.h"

/* Empties the frame (zero-initialised or filled before) for another structure. */
AIM_NODISCARD aim_status aim_frame_begin(aimnet_frame *f, const aim_alloc *alloc, int64_t index,
                                         int64_t line);
/* Room for the declared number of atoms if `lines` has as many bytes left as that takes (FORMAT
 * otherwise), for the first few if it cannot say: then the arrays grow as atoms arrive. min_bytes:
 * of one atom's line. */
AIM_NODISCARD aim_status aim_frame_reserve(aimnet_frame *f, const aim_lines *lines, int64_t n_atoms,
                                           int min_bytes);
AIM_NODISCARD aim_status aim_frame_grow(aimnet_frame *f);
AIM_NODISCARD aim_status aim_frame_title(aimnet_frame *f, aim_span title);
AIM_NODISCARD aim_status aim_frame_warn(aimnet_frame *f, const char *format, ...) AIM_PRINTF(2, 3);
int32_t aim_frame_capacity(const aimnet_frame *f);
void aim_frame_free(aimnet_frame *f);

/* Appends an atom. */
AIM_NODISCARD static inline aim_status aim_frame_push(aimnet_frame *f, int number,
                                                      const double x[3])
{
    if (f->n_atoms >= aim_frame_capacity(f))
        AIM_TRY(aim_frame_grow(f));
    const size_t i = (size_t)f->n_atoms++;
    f->numbers[i] = number;
    f->coord[3 * i] = x[0];
    f->coord[3 * i + 1] = x[1];
    f->coord[3 * i + 2] = x[2];
    return AIMNET_OK;
}

#endif
