/* SPDX-License-Identifier: MIT */
/* opt_restart.c - the trajectory of `aimnet opt`: steps of all structures in the order in which
 * they were computed. Each frame is in the file as soon as it is known; after an interruption the
 * last frame of every structure is where it goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "opt.h"

static const char KEY[] = "opt_structure=";
enum { MAX_STRUCTURES = 1 << 24 };

/* The number after the last KEY of a comment, or -1. */
static int64_t structure_of(const char *title)
{
    const char *at = NULL;
    char *end;
    for (const char *found = title; (found = strstr(found, KEY)) != NULL; found++)
        at = found + sizeof KEY - 1;
    if (at == NULL || *at < '0' || *at > '9')
        return -1;
    const long long number = strtoll(at, &end, 10);
    return number >= MAX_STRUCTURES ? -1 : number;
}

static int keep(opt_context *c, aimnet_frame *frame, int64_t number)
{
    if (number >= c->n_start) {
        const size_t old = (size_t)c->n_start, n = 2 * (size_t)number + 16;
        aimnet_frame *grown = realloc(c->start, n * sizeof *grown);
        if (grown == NULL)
            return 0;
        memset(grown + old, 0, (n - old) * sizeof *grown);
        c->start = grown;
        c->n_start = (int64_t)n;
    }
    const aimnet_frame previous = c->start[number];
    c->start[number] = *frame;
    *frame = previous; /* its memory is used for the next one */
    return 1;
}

int opt_read_trajectory(opt_context *c, const char *path)
{
    aimnet_reader *reader;
    aimnet_frame frame = {0};
    int status = CLI_OK;
    if (aimnet_reader_open(path, "xyz", &reader) != AIMNET_OK) {
        cli_error("%s", aimnet_last_error());
        return CLI_FAILED;
    }
    while (status == CLI_OK) {
        const aimnet_status got = aimnet_reader_next(reader, &frame);
        if (got == AIMNET_ERR_END)
            break;
        const int64_t number = got == AIMNET_OK ? structure_of(frame.title) : -1;
        if (got != AIMNET_OK) {
            cli_error("%s", aimnet_last_error());
            status = CLI_FAILED;
        } else if (number < 0) {
            cli_error("%s:%lld: the comment has no %sN: not a trajectory of 'aimnet opt'", path,
                      (long long)frame.line, KEY);
            status = CLI_FAILED;
        } else if (!keep(c, &frame, number)) {
            cli_error("out of memory");
            status = CLI_FAILED;
        }
    }
    aimnet_frame_free(&frame);
    aimnet_reader_close(reader);
    return status;
}

const aimnet_frame *opt_start_of(const opt_context *c, int64_t number)
{
    return number < c->n_start && c->start[number].n_atoms > 0 ? &c->start[number] : NULL;
}

/* Whether a comment is a list of key=value pairs, so that more of them can follow. */
static int is_extended(const char *title)
{
    if (strstr(title, "Properties=") || strstr(title, "Lattice="))
        return 1;
    while (*title) {
        const size_t size = strcspn(title, " \t");
        if (size > 0 && memchr(title, '=', size) == NULL)
            return 0;
        title += size + (title[size] != '\0');
    }
    return 1;
}

static char *step_title(const opt_entry *e, const aimnet_opt_state *s)
{
    const char *title = e->item.frame.title ? e->item.frame.title : "";
    const int extended = is_extended(title);
    const size_t size = 2 * strlen(title) + 200;
    char *text = malloc(size);
    if (text == NULL)
        return NULL;
    size_t n = 0;
    if (!extended)
        n += (size_t)snprintf(text, size, "title=\"");
    for (const char *p = title; *p; p++) {
        if (!extended && (*p == '"' || *p == '\\'))
            text[n++] = '\\';
        text[n++] = *p;
    }
    snprintf(text + n, size - n, "%s %s%lld opt_step=%d opt_fmax=%.6g", extended ? "" : "\"", KEY,
             (long long)e->number, s->n_steps, s->fmax);
    return text;
}

int opt_write_step(opt_context *c, const opt_entry *e, const aimnet_opt_state *s)
{
    aimnet_frame frame = e->item.frame;
    aimnet_result result = {.energy = s->energy,
                            .forces = (double *)s->forces,
                            .charges = (double *)s->charges,
                            .stress = (double *)s->stress};
    frame.title = step_title(e, s);
    if (frame.title == NULL) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    frame.coord = (double *)s->coord;
    if (s->cell)
        memcpy(frame.cell, s->cell, sizeof frame.cell);
    frame.charge = s->charge;
    frame.mult = s->mult;
    const aimnet_status status = aimnet_writer_frame(c->trajectory, &frame, &result);
    free(frame.title);
    if (status == AIMNET_OK)
        return CLI_OK;
    cli_error("%s", aimnet_last_error());
    return CLI_FAILED;
}
