/* SPDX-License-Identifier: MIT */
/* console.c - standard output, diagnostics, terminal and signals of the command (console.h).
 *
 * Standard output goes through one 64 kB buffer and unbuffered stdio, so that the errno of a failed
 * write is known and reported once. EPIPE is silent: `aimnet energy big.xyz | head` is not a
 * mistake. */
#define _POSIX_C_SOURCE 200809L
#include "console.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#define isatty        _isatty
#define STDOUT_FILENO 1
#define STDERR_FILENO 2
#else
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

enum { OUT_SIZE = 1 << 16, MESSAGE_SIZE = 4096, SAME_WISH_MS = 200 };

static struct {
    char buffer[OUT_SIZE];
    size_t used;
    int failed;
} out;
static int quiet;
static int status_line_shown;
static volatile sig_atomic_t interrupted;

void cli_console_start(void)
{
#if !defined(_WIN32)
    /* A closed stream becomes one that fails in the same direction: reading from 0 and writing to 1
     * still give EBADF. */
    const int mode[3] = {O_WRONLY, O_RDONLY, O_RDWR};
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF && open("/dev/null", mode[fd]) != fd)
            return;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow: an error of write, too */
#else
    _setmode(STDOUT_FILENO, _O_BINARY);
#endif
    setvbuf(stdout, NULL, _IONBF, 0);
}

int cli_out_flush(void)
{
    if (out.failed || out.used == 0)
        return !out.failed;
    if (status_line_shown && cli_stdout_is_terminal())
        cli_status_line(NULL);
    size_t written = 0;
    while (written < out.used && !out.failed) {
        errno = 0;
        written += fwrite(out.buffer + written, 1, out.used - written, stdout);
        if (written == out.used)
            break;
        out.failed = errno != EINTR; /* a signal: what is finished is still printed */
        if (out.failed && errno != EPIPE)
            cli_error("standard output: cannot write: %s", strerror(errno));
    }
    out.used = 0;
    return !out.failed;
}

int cli_out_failed(void)
{
    return out.failed;
}

void cli_out(const char *text, size_t size)
{
    while (size > 0 && !out.failed) {
        const size_t room = OUT_SIZE - out.used;
        const size_t n = size < room ? size : room;
        memcpy(out.buffer + out.used, text, n);
        out.used += n;
        text += n;
        size -= n;
        if (out.used == OUT_SIZE)
            cli_out_flush();
    }
}

void cli_puts(const char *text)
{
    cli_out(text, strlen(text));
}

void cli_printf(const char *format, ...)
{
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0)
        cli_out(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void hide_control_characters(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

int cli_put_name(const char *name, int width)
{
    char shown[128];
    const int size = (int)strlen(name);
    if (size <= width)
        snprintf(shown, sizeof shown, "%s", name);
    else
        snprintf(shown, sizeof shown, "...%s", name + size - width + 3);
    hide_control_characters(shown);
    cli_puts(shown);
    return (int)strlen(shown);
}

static void message(const char *kind, const char *format, va_list args) CLI_PRINTF(2, 0);
static void message(const char *kind, const char *format, va_list args)
{
    char text[MESSAGE_SIZE];
    int n = snprintf(text, sizeof text, "aimnet: %s", kind);
    vsnprintf(text + n, sizeof text - (size_t)n - 1, format, args);
    hide_control_characters(text);
    n = (int)strlen(text);
    text[n] = '\n';
    cli_status_line(NULL);
    if (cli_stdout_is_terminal())
        cli_out_flush();
    fwrite(text, 1, (size_t)n + 1, stderr);
}

void cli_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    message("", format, args);
    va_end(args);
}

void cli_warning(const char *format, ...)
{
    va_list args;
    if (quiet)
        return;
    va_start(args, format);
    message("warning: ", format, args);
    va_end(args);
}

void cli_note(const char *format, ...)
{
    va_list args;
    if (quiet)
        return;
    va_start(args, format);
    message("", format, args);
    va_end(args);
}

void cli_set_quiet(int value)
{
    quiet = value;
}

int cli_stdout_is_terminal(void)
{
    static int known = -1;
    if (known < 0)
        known = isatty(STDOUT_FILENO) ? 1 : 0;
    return known;
}

int cli_wants_progress(void)
{
#if !defined(_WIN32)
    struct stat info;
    if (fstat(STDOUT_FILENO, &info) == 0 && S_ISFIFO(info.st_mode))
        return 0;
#endif
    return isatty(STDERR_FILENO);
}

double cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(_WIN32)
static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}
#else
/* `timeout` and shells signal a process and then its group, which is the same wish twice: only a
 * second signal that comes later ends the process. */
static void on_signal(int number)
{
    static struct timespec first;
    const int saved = errno;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!interrupted) {
        first = now;
        interrupted = 1;
        close(STDIN_FILENO); /* a reader that waits for a pipe goes on waiting after a signal; now
                                it fails */
    } else if (1000 * (now.tv_sec - first.tv_sec) + (now.tv_nsec - first.tv_nsec) / 1000000 >
               SAME_WISH_MS) {
        signal(number, SIG_DFL);
        raise(number);
    }
    errno = saved;
}
#endif

void cli_catch_interrupts(void)
{
#if defined(_WIN32)
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
#else
    const int numbers[2] = {SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 2; i++)
        sigaddset(&action.sa_mask, numbers[i]);
    for (int i = 0; i < 2; i++) {
        struct sigaction
            old; /* what the parent wants ignored stays ignored: `nohup`, or `&` in a script */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
#endif
}

int cli_stdin_is_idle(void)
{
#if defined(_WIN32)
    return 0;
#else
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) == 0;
#endif
}

int cli_replace_file(const char *from, const char *to)
{
#if defined(_WIN32)
    (void)remove(to); /* rename does not replace there */
#endif
    return rename(from, to);
}

int cli_interrupted(void)
{
    return interrupted != 0;
}

void cli_status_line(const char *text)
{
    if (text == NULL && !status_line_shown)
        return;
    fprintf(stderr, "\r\033[K%s", text ? text : "");
    fflush(stderr);
    status_line_shown = text != NULL;
}
