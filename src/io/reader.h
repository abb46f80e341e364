/* SPDX-License-Identifier: MIT */
/* reader.h - a stream of structures, and what the readers of the formats share. */
#ifndef AIM_IO_READER_H
#define AIM_IO_READER_H

#include "base/text.h"
#include "io/cif_token.h"
#include "io/comment.h"
#include "io/frame.h"

/* A reader's `next` either fills the frame (OK), or reports the end (END, nothing else written), or
 * fails: FORMAT for a bad structure, with the message "NAME:LINE: ...". After FORMAT or MEMORY
 * reader->lost is set, and the following call first looks for the beginning of another structure.
 * Any other failure ends the stream. */
typedef struct aim_reader_type {
    const char *name, *suffixes, *about;
    int (*detect)(aim_span head);
    aim_status (*next)(aimnet_reader *reader, aimnet_frame *frame);
} aim_reader_type;

struct aimnet_reader {
    aim_alloc alloc;
    char *name; /* for messages */
    const aim_reader_type *type;
    aim_lines lines;
    int64_t n_frames; /* reported so far, good and bad */
    int ended;
    int lost;            /* the last structure was bad: look for the next one */
    int64_t skip;        /* XYZ: lines of the lost structure that were not read, -1 if unknown */
    aim_comment comment; /* scratch of XYZ */
    /* SDF, PDB: a structure was begun, and its rest may be unread; CIF: a data_ was read */
    int inside;
    int record_ended; /* SDF: its $$$$ was read */
    /* SDF: a line continued over several; PDB: title of all models; CIF: the block's name */
    aim_string text;
    int title_final; /* PDB: it is a TITLE record's */
    int has_crystal; /* PDB: the last CRYST1 record gave a cell, which holds for all models ... */
    int crystal_symmetric; /* ... and a space group other than P 1 */
    double crystal[9];
    aim_cif_state cif;
};

/* alloc: used for everything the reader and its frames own. Otherwise as in aimnet_io.h. */
AIM_NODISCARD aim_status aim_reader_open(const aim_alloc *alloc, const char *path,
                                         const char *format, aimnet_reader **reader);
AIM_NODISCARD aim_status aim_reader_open_memory(const aim_alloc *alloc, const void *bytes,
                                                size_t size, const char *name, const char *format,
                                                aimnet_reader **reader);
AIM_NODISCARD aim_status aim_reader_next(aimnet_reader *reader, aimnet_frame *frame);
void aim_reader_close(aimnet_reader *reader);

/* The next line; a line that is too long or a NUL byte in it is a FORMAT error. line->text is NULL
 * at the end. */
AIM_NODISCARD aim_status aim_reader_line(aimnet_reader *reader, aim_line *line);
/* Fails with "NAME:LINE: ..." */
#define AIM_READER_FAIL(reader, number, ...)                                                       \
    aim_reader_place((reader), (number), AIM_FAIL(AIMNET_ERR_FORMAT, __VA_ARGS__))
/* Puts "NAME:LINE: " in front of the current message. */
AIM_NODISCARD aim_status aim_reader_place(const aimnet_reader *reader, int64_t line,
                                          aim_status status);
/* AIM_TRY that adds the place. */
#define AIM_TRY_AT(reader, number, call)                                                           \
    do {                                                                                           \
        aim_status aim_try_at_ = (call);                                                           \
        if (aim_try_at_ != AIMNET_OK)                                                              \
            return aim_reader_place((reader), (number), aim_try_at_);                              \
    } while (0)

/* Three coordinates; a message that names the axis if one is not a finite number. */
AIM_NODISCARD aim_status aim_reader_coordinates(const aim_span field[3], double x[3]);

#endif
