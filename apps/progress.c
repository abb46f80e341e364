/* SPDX-License-Identifier: MIT */
/* progress.c - the progress bar (progress.h): appears after half a second, at most ten times a
 * second, one line, removed at the end. */
#include "progress.h"

#include <stdio.h>
#include <string.h>

#include "console.h"

static const double DELAY = 0.5, INTERVAL = 0.1; /* seconds */
enum { BAR = 30 };

void cli_progress_start(cli_progress *p, int quiet)
{
    memset(p, 0, sizeof *p);
    p->enabled = !quiet && cli_wants_progress();
    if (p->enabled)
        p->started = p->shown = cli_seconds();
}

static void format_time(char *text, size_t size, double seconds)
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
}

void cli_progress_update(cli_progress *p, double fraction, int64_t count, const char *what)
{
    char bar[BAR + 1], time[32], line[160];
    if (!p->enabled)
        return;
    const double now = cli_seconds(), elapsed = now - p->started;
    if (elapsed < DELAY || now - p->shown < INTERVAL)
        return;
    p->shown = now;
    if (fraction < 0.0) {
        format_time(time, sizeof time, elapsed);
        snprintf(line, sizeof line, "%lld %s, %.0f/s, %s", (long long)count, what,
                 (double)count / elapsed, time);
    } else {
        const int filled = (int)(fraction * BAR);
        for (int i = 0; i < BAR; i++)
            bar[i] = i < filled ? '#' : '.';
        bar[BAR] = '\0';
        format_time(time, sizeof time,
                    fraction > 0.0 ? elapsed * (1.0 - fraction) / fraction : 0.0);
        snprintf(line, sizeof line, "[%s] %3.0f %%  %lld %s, %s left", bar, 100.0 * fraction,
                 (long long)count, what, time);
    }
    cli_status_line(line);
}

void cli_progress_end(cli_progress *p)
{
    if (p->enabled)
        cli_status_line(NULL);
    p->enabled = 0;
}
