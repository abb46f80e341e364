/* SPDX-License-Identifier: MIT */
/* lines.h - the lines of a source, one at a time, with a mark to go back to. */
#ifndef AIM_IO_LINES_H
#define AIM_IO_LINES_H

#include "io/source.h"

enum { AIM_LINE_MAX = 1 << 22 }; /* bytes; longer lines are cut and flagged */

typedef struct aim_line {
    const char *text; /* NULL at the end of the input; text[size] is readable and white space */
    size_t size;      /* without the end of line (\n or \r\n) */
    int64_t number;   /* one-based */
    int unterminated; /* the last line of the file, without an end of line */
    int too_long;     /* only the first AIM_LINE_MAX bytes are here; the mark is gone */
} aim_line;

/* Stays where it was opened (see aim_source). */
typedef struct aim_lines {
    aim_source source;
    char *data;
    size_t capacity;
    size_t pos, end; /* unread bytes are data[pos, end) */
    size_t last;     /* where the last line began */
    size_t mark;     /* bytes from here on are kept; SIZE_MAX: no mark */
    int64_t number, mark_number;
    int at_end; /* the source has no more bytes */
    int can_unread;
} aim_lines;

/* source must be open. Reads the first bytes: at least the lines needed to recognise a format, or
 * all there are. */
AIM_NODISCARD aim_status aim_lines_start(aim_lines *l);
/* The next line; valid until the next call. */
AIM_NODISCARD aim_status aim_lines_next(aim_lines *l, aim_line *line);
/* The last line will be read again. No effect after a line that was too long. */
void aim_lines_unread(aim_lines *l);
/* Remembers the place after the last line; rewind goes back to it once (0 if that is no longer
 * possible). */
void aim_lines_mark(aim_lines *l);
int aim_lines_rewind(aim_lines *l);
/* Bytes not yet read, or -1 if that is unknown (pipe, compressed). */
int64_t aim_lines_remaining(const aim_lines *l);
/* Bytes of the file that were used so far. */
int64_t aim_lines_consumed(const aim_lines *l);
/* Closes the source, too. */
void aim_lines_close(aim_lines *l);

#endif
