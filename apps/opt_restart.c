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

/* The number after the last KEY of a comment, or -1. */
static int64_t structure_of(const char *title)
{
    const char *at = NULL;
    for (const char *found = title; (found = strstr(found, KEY)) != NULL; found++)
        at = found + sizeof KEY - 1;
    return at && *at >= '0' && *at <= '9' ? strtoll(at, NULL, 10) : -1;
}

/* Index of the first frame of a structure from `number` on. */
static int64_t place_of(const opt_context *c, int64_t number)
{
    int64_t low = 0, high = c->n_start;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (c->start[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The frame becomes the last one of structure `number`; *frame gets memory for the next. */
static int keep(opt_context *c, aimnet_frame *frame, int64_t number)
{
    const int64_t at = place_of(c, number);
    if (at < c->n_start && c->start[at].number == number) {
        const aimnet_frame previous = c->start[at].frame;
        c->start[at].frame = *frame;
        *frame = previous;
        return 1;
    }
    if (c->n_start == c->start_capacity) {
        const int64_t capacity = 2 * c->start_capacity + 16;
        opt_start *grown = realloc(c->start, (size_t)capacity * sizeof *grown);
        if (grown == NULL)
            return 0;
        c->start = grown;
        c->start_capacity = capacity;
    }
    memmove(c->start + at + 1, c->start + at, (size_t)(c->n_start - at) * sizeof *c->start);
    c->start[at] = (opt_start){.number = number, .frame = *frame};
    c->n_start++;
    *frame = (aimnet_frame){0};
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
    const int64_t at = place_of(c, number);
    return at < c->n_start && c->start[at].number == number ? &c->start[at].frame : NULL;
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
