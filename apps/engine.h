/* SPDX-License-Identifier: MIT */
/* engine.h - the options that all computing commands share, and the models and calculator that they
 * describe. */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include "aimnet.h"
#include "args.h"

typedef struct cli_engine_options {
    cli_list model;
    const char *config, *device;
    cli_int precision, threads;
    cli_real charge;
    cli_int mult;
    cli_int coulomb;
    cli_real coulomb_cutoff, dsf_alpha, ewald_accuracy, d3_cutoff, d3_smoothing, lr_cutoff;
    int no_coulomb, no_dispersion, mixed_families, no_graph, fast;
    cli_int batch_atoms;
    cli_real device_memory;
} cli_engine_options;

enum { CLI_N_ENGINE_ARGS = 21 };
extern const cli_arg cli_engine_args[CLI_N_ENGINE_ARGS];

typedef struct cli_engine {
    aimnet_model *models[CLI_LIST_SIZE];
    aimnet_model_info info; /* of the first */
    int n_models;
    aimnet_calc *calc;
    aimnet_options options; /* as used for the calculator */
    char notes[512];        /* about options without effect, lines separated by '\n' */
} cli_engine;

/* Loads the models and makes the calculator. Failures are printed; returns an exit status.
 * cli_engine_close also takes what is half built or zeroed. */
int cli_engine_open(const cli_engine_options *options, cli_engine *engine);
/* Every line as a warning. */
void cli_warn_lines(const char *lines);
void cli_engine_close(cli_engine *engine);

/* Atoms evaluated together: --batch-atoms, or enough work for every thread or the GPU. */
int64_t cli_engine_batch_atoms(const cli_engine_options *options, const cli_engine *engine);

/* --charge and --mult, where given, replace what the structure says. */
void cli_engine_override(const cli_engine_options *options, aimnet_system *system);

/* "Model default, Coulomb simple, D3(BJ) within 15 A, single precision", wrapped at 80 columns. */
void cli_engine_headline(const cli_engine *engine);
/* The values of the JSON keys "model" and "coulomb". */
void cli_engine_json_model(const cli_engine *engine);
void cli_engine_json_coulomb(const cli_engine *engine, const aimnet_result *result);

#endif
