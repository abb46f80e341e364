/* SPDX-License-Identifier: MIT */
/* stream.h - the structures of any number of files as one stream, in order, and in batches. What
 * cannot be read is an item too, so that its message appears in its place. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include "aimnet_io.h"
#include "args.h"

/* The option --format of every command that reads structures, in its struct of options. */
#define CLI_FORMAT_ARG(options)                                                                    \
    {                                                                                              \
        .name = "format", .kind = CLI_CHOICE, .meta = "FORMAT",                                    \
        .choices = "xyz|sdf|pdb|cif|poscar", .offset = offsetof(options, format),                  \
        .help =                                                                                    \
            "format of the input: xyz, sdf, pdb, cif or poscar (default: recognised by content "   \
            "and name)"                                                                            \
    }
const char *cli_format_name(const cli_int *format); /* NULL if not given */

typedef struct cli_item {
    aimnet_frame frame; /* reused from item to item */
    const char *file;   /* as given on the command line */
    int64_t index;      /* of the frame in its file */
    char *error;        /* "FILE:LINE: ..." if it could not be read, else NULL */
} cli_item;

enum { CLI_MESSAGE_SIZE = 2048 };
/* "FILE:LINE: what", with the line on which the structure starts. */
void cli_place_message(char message[CLI_MESSAGE_SIZE], const cli_item *item, const char *what);
/* Warns of every line of `lines` (NULL: none). What many structures share is said for the first of
 * them only. */
void cli_warn_of(const cli_item *item, const char *lines);

typedef struct cli_stream {
    const char *const *files;
    const char *format; /* NULL: detect */
    int n_files, at;    /* at: the file being read */
    aimnet_reader *reader;
    int64_t index;  /* of the next frame */
    int64_t n_read; /* structures handed out */
} cli_stream;

typedef enum cli_next { CLI_NEXT_ITEM, CLI_NEXT_END, CLI_NEXT_MEMORY } cli_next;

/* The next structure or error of the stream. CLI_NEXT_MEMORY: an error could not even be written
 * down. */
cli_next cli_stream_next(cli_stream *stream, cli_item *item);
void cli_stream_close(cli_stream *stream);
/* Part of the input that has been read, 0 to 1, or -1 when it cannot be known. */
double cli_stream_fraction(const cli_stream *stream);

typedef struct cli_batch {
    cli_item *
        items; /* [capacity]; the first n are the batch, the next may hold what was read too much */
    int n, capacity, has_next;
    int64_t n_atoms;
} cli_batch;

/* Reads items until max_atoms atoms or max_items items would be exceeded; at least one unless the
 * stream has ended (n = 0). Stops early on an interrupt. Returns 0 when memory is short. */
int cli_batch_read(cli_batch *batch, cli_stream *stream, int64_t max_atoms, int max_items);
void cli_batch_free(cli_batch *batch);

void cli_item_free(cli_item *item);

#endif
