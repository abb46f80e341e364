/* SPDX-License-Identifier: MIT */
/* stream.c - structures of many files, one after the other, and batches of them (stream.h).
 *
 * A frame that cannot be read costs that frame; a file that cannot be read on costs the rest of
 * that file. Frames keep their arrays from batch to batch, so memory is bounded by the largest
 * batch, not by the files. */
#include "stream.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "console.h"

const char *cli_format_name(const cli_int *format)
{
    static const char *const names[] = {"xyz", "sdf", "pdb", "cif", "poscar"};
    return format->given ? names[format->value] : NULL;
}

void cli_place_message(char message[CLI_MESSAGE_SIZE], const cli_item *item, const char *what)
{
    snprintf(message, CLI_MESSAGE_SIZE, "%s:%lld: %s", item->file, (long long)item->frame.line,
             what);
}

void cli_warn_of(const cli_item *item, const char *lines)
{
    enum { N = 32 };
    static char seen[N][AIMNET_MESSAGE_SIZE];
    static int n_seen;
    while (lines && *lines) {
        const int size = (int)strcspn(lines, "\n");
        int known = 0;
        char line[AIMNET_MESSAGE_SIZE], message[CLI_MESSAGE_SIZE];
        snprintf(line, sizeof line, "%.*s", size, lines);
        lines += size + (lines[size] == '\n');
        for (int i = 0; i < n_seen && !known; i++)
            known = strcmp(seen[i], line) == 0;
        if (known)
            continue;
        if (n_seen < N)
            memcpy(seen[n_seen++], line, sizeof line);
        cli_place_message(message, item, line);
        cli_warning("%s", message);
    }
}

static int set_error(cli_item *item, const char *file, int64_t index, const char *message)
{
    const size_t size = strlen(message) + 1;
    item->file = file;
    item->index = index;
    item->error = malloc(size);
    if (item->error == NULL)
        return 0;
    memcpy(item->error, message, size);
    return 1;
}

static void next_file(cli_stream *s)
{
    aimnet_reader_close(s->reader);
    s->reader = NULL;
    s->index = 0;
    s->at++;
}

/* An error item about the current file, which is given up. */
static cli_next give_up_file(cli_stream *s, cli_item *item, const char *message)
{
    const int ok = set_error(item, s->files[s->at], s->index, message);
    next_file(s);
    return ok ? CLI_NEXT_ITEM : CLI_NEXT_MEMORY;
}

cli_next cli_stream_next(cli_stream *s, cli_item *item)
{
    free(item->error);
    item->error = NULL;
    while (s->at < s->n_files) {
        const char *file = s->files[s->at];
        if (s->reader == NULL && aimnet_reader_open(file, s->format, &s->reader) != AIMNET_OK)
            return give_up_file(s, item, aimnet_last_error());
        const aimnet_status status = aimnet_reader_next(s->reader, &item->frame);
        if (status == AIMNET_OK) {
            item->file = file;
            item->index = s->index++;
            s->n_read++;
            return CLI_NEXT_ITEM;
        }
        if (status == AIMNET_ERR_FORMAT)
            return set_error(item, file, s->index++, aimnet_last_error()) ? CLI_NEXT_ITEM
                                                                          : CLI_NEXT_MEMORY;
        if (status != AIMNET_ERR_END)
            return give_up_file(s, item, aimnet_last_error());
        if (s->index == 0) {
            char message[1024];
            snprintf(message, sizeof message, "%s: no structure in this file", file);
            return give_up_file(s, item, message);
        }
        next_file(s);
    }
    return CLI_NEXT_END;
}

void cli_stream_close(cli_stream *s)
{
    aimnet_reader_close(s->reader);
    s->reader = NULL;
}

double cli_stream_fraction(const cli_stream *s)
{
    int64_t done = 0, total = -1;
    double part = 0.0;
    if (s->reader) {
        aimnet_reader_progress(s->reader, &done, &total);
        if (total < 0)
            return -1.0;
        part = total > 0 ? (double)done / (double)total : 1.0;
    }
    return s->n_files > 0 ? ((double)s->at + part) / (double)s->n_files : 1.0;
}

static int reserve(cli_batch *b, int capacity)
{
    if (capacity <= b->capacity)
        return 1;
    cli_item *items = realloc(b->items, (size_t)capacity * sizeof *items);
    if (items == NULL)
        return 0;
    memset(items + b->capacity, 0, (size_t)(capacity - b->capacity) * sizeof *items);
    b->items = items;
    b->capacity = capacity;
    return 1;
}

/* Arrays of a structure larger than a batch are not kept: else every slot might end up with such.
 */
static void drop_large(cli_batch *b, int64_t max_atoms)
{
    for (int i = 0; i < b->n; i++) {
        if (b->items[i].frame.n_atoms > max_atoms)
            aimnet_frame_free(&b->items[i].frame);
    }
}

static int64_t item_atoms(const cli_item *item)
{
    return item->error ? 0 : item->frame.n_atoms;
}

/* Another program feeds us through a pipe and is waiting for answers, perhaps: compute what is
 * here. */
static int waits_for_input(const cli_stream *s)
{
    return s->reader && strcmp(s->files[s->at], "-") == 0 && cli_stdin_is_idle();
}

int cli_batch_read(cli_batch *b, cli_stream *stream, int64_t max_atoms, int max_items)
{
    const int first = b->n; /* where the item read too much was left */
    drop_large(b, max_atoms);
    b->n = 0;
    b->n_atoms = 0;
    if (b->has_next && first > 0) {
        const cli_item kept = b->items[first];
        b->items[first] = b->items[0];
        b->items[0] = kept;
    }
    if (b->has_next) {
        b->has_next = 0;
        b->n = 1;
        b->n_atoms = item_atoms(&b->items[0]);
    }
    while (b->n < max_items && (b->n == 0 || b->n_atoms < max_atoms) && !cli_interrupted()) {
        if (b->n > 0 && waits_for_input(stream))
            break;
        if (b->n == b->capacity && !reserve(b, b->capacity ? 2 * b->capacity : 16))
            return 0;
        cli_item *item = &b->items[b->n];
        const cli_next next = cli_stream_next(stream, item);
        if (next == CLI_NEXT_MEMORY)
            return 0;
        if (next == CLI_NEXT_END)
            break;
        if (b->n > 0 && b->n_atoms + item_atoms(item) > max_atoms) {
            b->has_next = 1;
            break;
        }
        b->n_atoms += item_atoms(item);
        b->n++;
    }
    return 1;
}

void cli_item_free(cli_item *item)
{
    aimnet_frame_free(&item->frame);
    free(item->error);
    memset(item, 0, sizeof *item);
}

void cli_batch_free(cli_batch *b)
{
    for (int i = 0; i < b->capacity; i++)
        cli_item_free(&b->items[i]);
    free(b->items);
    memset(b, 0, sizeof *b);
}
