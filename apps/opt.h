/* SPDX-License-Identifier: MIT */
/* opt.h - what `aimnet opt` was asked for, the structures on their way, and how they are printed.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include "aimnet_opt.h"
#include "engine.h"
#include "progress.h"
#include "stream.h"

typedef struct opt_options {
    cli_int method, level, cell, steps;
    cli_real fmax, ediff, smax, max_move, pressure;
    const char *fix_axes, *freeze;
    int json, quiet, restart, host_steps;
    const char *output, *trajectory;
    cli_int format;
    cli_engine_options engine;
} opt_options;

/* Where a trajectory goes on with a structure. */
typedef struct opt_start {
    int64_t number;
    aimnet_frame frame;
} opt_start;

/* One structure from input to output. */
typedef struct opt_entry {
    cli_item item;  /* its frame has the final coordinates and cell once done */
    int64_t number; /* of the structure in the whole input */
    int slot;       /* in the pool, or -1 */
    int done;
    int n_written;          /* steps that stand in the trajectory */
    aimnet_opt_state state; /* when done; `result` and the frame hold its arrays */
    aimnet_result result;
    double *numbers;                /* block of result's arrays */
    char message[CLI_MESSAGE_SIZE]; /* why it failed or did not converge, or "" */
} opt_entry;

typedef struct opt_context {
    const opt_options *options;
    aimnet_opt_options criteria;
    cli_engine *engine;
    aimnet_opt *pool;
    cli_stream stream;
    cli_progress progress;
    aimnet_writer *output, *trajectory;
    opt_entry *queue; /* [capacity] ring: entries in input order, the oldest at `head` */
    int head, n_queued, capacity;
    int64_t n_read, n_atoms_running;
    int input_ended, single; /* single: the input is one structure, its steps are printed */
    opt_entry spare;         /* read ahead, to know whether there is a second one */
    int has_spare;
    opt_start *start; /* [n_start] last frames of a trajectory, in the order of structures */
    int64_t n_start, start_capacity;
    int64_t n_converged, n_open, n_failed, n_evaluations;
    int completed; /* all of the input was seen, all results were printed */
    int file_width, header_done;
} opt_context;

/* opt_run.c: everything between open and closed files; returns an exit status. */
int opt_run(opt_context *c);
void opt_free(opt_context *c);
/* opt_restart.c: reads the last frame of every structure. */
int opt_read_trajectory(opt_context *c, const char *path);
const aimnet_frame *opt_start_of(const opt_context *c, int64_t number);
/* Appends the current point to the trajectory; returns an exit status. */
int opt_write_step(opt_context *c, const opt_entry *e, const aimnet_opt_state *state);

/* opt_print.c */
void opt_print_start(opt_context *c, const char *const *files, int n_files);
void opt_print_step(opt_context *c, const opt_entry *e, const aimnet_opt_state *state);
void opt_print_entry(opt_context *c, const opt_entry *e);
void opt_print_end(const opt_context *c);

#endif
