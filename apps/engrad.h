/* SPDX-License-Identifier: MIT */
/* engrad.h - energy and gradient in the file format of ORCA, in atomic units. */
#ifndef CLI_ENGRAD_H
#define CLI_ENGRAD_H

#include "aimnet.h"

/* The values that give models their meaning (CODATA 2014, as everywhere in this project). */
#define CLI_HARTREE 27.211386024367243 /* eV */
#define CLI_BOHR    0.5291772105638411 /* Angstrom */

/* Writes `path` under a temporary name first. forces NULL: no gradient block; coordinates: the last
 * block of ORCA's own files, which it does not expect from external programs. Prints what fails;
 * returns an exit status. */
int cli_engrad_write(const char *path, const aimnet_system *system, double energy,
                     const double *forces, int coordinates);
/* path with its extension replaced (".gz" in front of it as well), into out. Returns 0 if too long.
 */
int cli_replace_extension(char *out, size_t size, const char *path, const char *extension);

#endif
