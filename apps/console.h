/* SPDX-License-Identifier: MIT */
/* console.h - the process's surroundings: standard output (buffered, every write checked),
 * diagnostics on standard error, terminal properties and interruption. The only place of the
 * command that knows POSIX. */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <stddef.h>

#if defined(__GNUC__) || defined(__clang__)
#if defined(_WIN32)
#define CLI_PRINTF(f, a) __attribute__((format(gnu_printf, f, a)))
#else
#define CLI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#endif
#else
#define CLI_PRINTF(f, a)
#endif

/* Exit statuses of every command. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NOT_CONVERGED = 3, CLI_INTERRUPTED = 130 };

/* Call first: makes sure that descriptors 0 to 2 exist (a file opened later must never land there),
 * and that a reader of our output who leaves early is an error of write instead of a signal. */
void cli_console_start(void);

/* Standard output. After a failed write everything is dropped; cli_out_failed tells. */
void cli_out(const char *text, size_t size);
void cli_puts(const char *text);
void cli_printf(const char *format, ...) CLI_PRINTF(1, 2);
/* A name that came from outside: control characters as '?'; of one longer than `width` the end,
 * after "...". Returns the columns used. */
int cli_put_name(const char *name, int width);
int cli_out_flush(void);  /* 1: everything is written */
int cli_out_failed(void); /* a write failed; the flush that met it has said so (a reader that left
                             is not worth a word) */

/* "aimnet: ..." and a newline on standard error; control characters are shown as '?'. */
void cli_error(const char *format, ...) CLI_PRINTF(1, 2);
/* The same with "warning: " or nothing in front; both say nothing after cli_set_quiet(1) (notes of
 * usage errors come before it). */
void cli_warning(const char *format, ...) CLI_PRINTF(1, 2);
void cli_note(const char *format, ...) CLI_PRINTF(1, 2);
void cli_set_quiet(int quiet);

int cli_stdout_is_terminal(void);
/* Standard error is a terminal, and standard output is not a pipe (to `less`, for example). */
int cli_wants_progress(void);
/* Standard input is a pipe or terminal that has nothing to read now, but may have later. */
int cli_stdin_is_idle(void);
double cli_seconds(void); /* monotonic clock */

/* From now on SIGINT and SIGTERM only set a flag (a second one, later, ends the process at once). */
void cli_catch_interrupts(void);
int cli_interrupted(void);
/* rename(from, to) that replaces `to` on every system. */
int cli_replace_file(const char *from, const char *to);

/* One line at the bottom of the terminal that later output overwrites. text NULL removes it. */
void cli_status_line(const char *text);

#endif
