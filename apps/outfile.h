/* SPDX-License-Identifier: MIT */
/* outfile.h - a text file that appears under its name complete or not at all. */
#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include <stdio.h>

typedef struct cli_outfile {
    const char *path; /* as given, for messages; the caller's */
    char *target;     /* where it will be: symbolic links followed */
    char *temporary;  /* NULL: written directly (a pipe, a device) */
    FILE *file;
} cli_outfile;

/* Opens `path` for writing to o->file. Prints what fails; returns an exit status. */
int cli_outfile_open(cli_outfile *o, const char *path);
/* Puts the file into place, or removes it if a write has failed. Prints what fails; returns an exit
 * status. */
int cli_outfile_close(cli_outfile *o);

#endif
