/* SPDX-License-Identifier: MIT */
/* energy.h - what `aimnet energy` was asked for, the results of one batch, and the two forms in
 * which they are printed. */
#ifndef CLI_ENERGY_H
#define CLI_ENERGY_H

#include "engine.h"
#include "stream.h"

typedef struct energy_options {
    int forces, charges, dipole, quadrupole, stress, hessian, terms, outputs;
    int json, quiet, engrad;
    const char *output; /* -o */
    cli_int format;
    cli_engine_options engine;
} energy_options;

/* One item of a batch with its result; result.status is not OK when there is none, and `error` says
 * why. */
typedef struct energy_record {
    const cli_item *item;
    aimnet_system system;
    aimnet_result result;
    const char *error; /* "FILE:LINE: ...", or NULL */
    int index;         /* of the system in the last evaluation, for the model's further outputs */
    char message[CLI_MESSAGE_SIZE];
} energy_record;

typedef struct energy_context {
    const energy_options *options;
    cli_engine *engine;
    int has_spin; /* the model has two charge channels */
    int is_ensemble;
    int64_t n_done, n_failed, n_atoms;
    double *scratch; /* for the model's further outputs */
    size_t scratch_size;
    int file_width; /* of the table's first column */
    int header_done;
} energy_context;

void energy_json_record(energy_context *c, const energy_record *r);
void energy_json_failure(const energy_record *r);

void energy_table_start(energy_context *c, const char *const *files, int n_files);
void energy_table_record(energy_context *c, const energy_record *r);
void energy_table_end(const energy_context *c);

/* Further outputs of the model for this structure: name, values [rows][width] (rows 1 if not per
 * atom), valid until the next call. Returns 0 when output `index` cannot be had. */
int energy_output(energy_context *c, const energy_record *r, int index, const char **name,
                  int *per_atom, int *width, const double **values);

#endif
