/* SPDX-License-Identifier: MIT */
/* freq.h - what `aimnet freq` was asked for, one analysed structure, and how it is written. */
#ifndef CLI_FREQ_H
#define CLI_FREQ_H

#include "aimnet_vib.h"
#include "engine.h"
#include "stream.h"

typedef struct freq_options {
    cli_real temperature, pressure, symmetry_number, scale, rotor_cutoff, step;
    int json, quiet;
    const char *write_hessian, *read_hessian, *molden, *animate, *svg;
    cli_int format;
    cli_engine_options engine;
} freq_options;

typedef struct freq_run {
    const freq_options *options;
    aimnet_thermo_options conditions;
    cli_engine engine;
    int n_done;
} freq_run;

/* One structure with its modes. */
typedef struct freq_entry {
    cli_item item;
    aimnet_system system;
    aimnet_result result; /* energy, forces, charges at the geometry */
    double *memory;       /* block of all arrays */
    double *hessian, *dipole_gradient;
    aimnet_vib *vib;
    const aimnet_vib_modes *modes;
    aimnet_thermo thermo;
    double fmax;
    char doubt[256];                /* what speaks against the geometry, or "" */
    char message[CLI_MESSAGE_SIZE]; /* why it failed */
} freq_entry;

/* freq_print.c */
void freq_print_table(const freq_run *r, const freq_entry *e);
void freq_print_json(const freq_run *r, const freq_entry *e);
void freq_print_json_failure(const freq_entry *e);
/* freq_files.c: return an exit status; failures are printed. */
int freq_write_molden(const char *path, const freq_entry *e);
int freq_write_animations(const char *prefix, const freq_entry *e);
int freq_write_svg(const char *path, const freq_run *r, const freq_entry *e);

#endif
