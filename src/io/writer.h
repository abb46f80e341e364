/* SPDX-License-Identifier: MIT */
/* writer.h - structures with results to a file, and what the writers of the formats share. */
#ifndef AIM_IO_WRITER_H
#define AIM_IO_WRITER_H

#include "aimnet_io.h"
#include "base/text.h"
#include "io/comment.h"
#include "io/outfile.h"

typedef struct aim_writer_type {
    const char *name, *suffixes;
    aim_status (*fits)(const aimnet_writer *writer, const aimnet_frame *frame);
    aim_status (*put)(aimnet_writer *writer, const aimnet_frame *frame,
                      const aimnet_result *result);
} aim_writer_type;

struct aimnet_writer {
    aim_alloc alloc;
    aim_outfile file;
    const aim_writer_type *type;
    aim_string text; /* not yet written */
    aim_comment comment;
    int64_t n_frames;  /* written so far */
    int64_t n_checked; /* that may still come, or have come */
    aim_status failed; /* the output is incomplete: it must not be committed */
};

/* As aimnet_writer_open() and so on, with an allocator. */
AIM_NODISCARD aim_status aim_writer_append(const aim_alloc *alloc, const char *path,
                                           aimnet_writer **writer);
AIM_NODISCARD aim_status aim_writer_open(const aim_alloc *alloc, const char *path,
                                         aimnet_writer **writer);
AIM_NODISCARD aim_status aim_writer_frame(aimnet_writer *writer, const aimnet_frame *frame,
                                          const aimnet_result *result);
AIM_NODISCARD aim_status aim_writer_check(aimnet_writer *writer, const aimnet_frame *frame);
AIM_NODISCARD aim_status aim_writer_close(aimnet_writer *writer, int commit);

AIM_NODISCARD aim_status aim_writer_put(aimnet_writer *writer, const char *text);
/* With all digits that a double needs; several are separated by blanks. */
AIM_NODISCARD aim_status aim_writer_number(aimnet_writer *writer, double x);
AIM_NODISCARD aim_status aim_writer_numbers(aimnet_writer *writer, const double *x, int n);
/* Symbol of atom i, after checking that the atom can be written. */
AIM_NODISCARD aim_status aim_writer_symbol(const aimnet_writer *writer, const aimnet_frame *frame,
                                           size_t i, const char **symbol);
/* Fails unless the structure is periodic along all three axes. format: for the message. */
AIM_NODISCARD aim_status aim_writer_needs_crystal(const aimnet_writer *writer,
                                                  const aimnet_frame *frame, const char *format);

#endif
