/* SPDX-License-Identifier: MIT */
/* cell.h - cell vectors from lengths and angles. */
#ifndef AIM_IO_CELL_H
#define AIM_IO_CELL_H

/* Angstrom: longer vectors of a cell are taken for a mistake by CIF and POSCAR. */
#define AIM_CELL_MAX 1e5

/* p = {a, b, c in Angstrom, alpha, beta, gamma in degrees}. cell: row vectors, a along x, b in the
 * xy plane with y > 0, c with z > 0. Returns 0 if there is no such cell. */
int aim_cell_from_parameters(const double p[6], double cell[9]);
/* The other way round. */
void aim_cell_parameters(const double cell[9], double p[6]);

#endif
