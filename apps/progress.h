/* SPDX-License-Identifier: MIT */
/* progress.h - a bar on the terminal for work that takes longer than a moment; nothing when
 * standard error is not a terminal. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

typedef struct cli_progress {
    int enabled;
    double started, shown; /* seconds */
} cli_progress;

void cli_progress_start(cli_progress *p, int quiet);
/* fraction 0 to 1, or negative when unknown; count is the number of things done, called `what`. */
void cli_progress_update(cli_progress *p, double fraction, int64_t count, const char *what);
void cli_progress_end(cli_progress *p);

#endif
