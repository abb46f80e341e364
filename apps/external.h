/* SPDX-License-Identifier: MIT */
/* external.h - one structure that another program wants computed: energy and derivatives. */
#ifndef CLI_EXTERNAL_H
#define CLI_EXTERNAL_H

#include "engine.h"

/* A structure and its results; zero-initialise. */
typedef struct cli_external {
    int32_t n_atoms;
    int32_t *numbers; /* [n_atoms] */
    double *coord;    /* [n_atoms][3] Angstrom */
    double charge, mult;
    int threads; /* what the other program allows; 0: all */
    double energy;
    double *forces;          /* [n_atoms][3] */
    double dipole[3];        /* e A */
    double *hessian;         /* [3n][3n], if wanted */
    double *dipole_gradient; /* [3n][3] */
} cli_external;

int cli_external_allocate(cli_external *x, int32_t n_atoms, int want_hessian);
void cli_external_free(cli_external *x);
/* Computes everything that has room. Options of the command line win over x's charge, multiplicity
 * and threads. Prints what fails and copies it to `message`; returns an exit status. */
int cli_external_evaluate(cli_external *x, const cli_engine_options *options, char *message,
                          size_t size);
/* The whole of a text file, NUL-terminated, to be freed; NULL (with a message) if it cannot be read
 * or is larger than 64 MB. */
char *cli_external_read(const char *path);
/* The next line of a text that is being taken apart, without its end; NULL at the end. */
char *cli_external_line(char **text);

#endif
