/* SPDX-License-Identifier: MIT */
/* outfile.h - a file that appears under its name complete or not at all; "-" is standard output. */
#ifndef AIM_IO_OUTFILE_H
#define AIM_IO_OUTFILE_H

#include "base/alloc.h"

typedef struct aim_outfile {
    aim_alloc alloc;
    char *path;   /* as given, for messages */
    char *target; /* where it will be (symbolic links followed); NULL when written directly (a pipe,
                     a device) */
    char *temporary;
    int fd;
    int owns_fd;
    int appends; /* to what was there: a write that fails leaves nothing of itself */
} aim_outfile;

AIM_NODISCARD aim_status aim_outfile_open(aim_outfile *o, const aim_alloc *alloc, const char *path);
/* Opens for appending, creating the file if need be; what is written is there at once, and commit
 * only makes it durable. */
AIM_NODISCARD aim_status aim_outfile_append(aim_outfile *o, const aim_alloc *alloc,
                                            const char *path);
AIM_NODISCARD aim_status aim_outfile_write(aim_outfile *o, const void *bytes, size_t size);
/* Puts the file into place. After a failure the target is what it was before. Call close afterwards
 * in any case. */
AIM_NODISCARD aim_status aim_outfile_commit(aim_outfile *o);
/* Discards what was not committed. */
void aim_outfile_close(aim_outfile *o);

#endif
