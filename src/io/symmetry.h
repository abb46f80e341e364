/* SPDX-License-Identifier: MIT */
/* symmetry.h - symmetry operations as crystallographers write them, and the atoms they make. */
#ifndef AIM_IO_SYMMETRY_H
#define AIM_IO_SYMMETRY_H

#include "io/scan.h"

/* The largest number of operations that any space group has in a conventional cell (face-centred
 * cubic). */
enum { AIM_MAX_OPERATIONS = 192 };

/* x' = w x + t in fractional coordinates (columns) */
typedef struct aim_operation {
    int w[9];
    double t[3];
} aim_operation;

/* "x,y,z", "-x+1/2, y+0.5, 1/4-Z". 1, or 0 if it is none with determinant +1 or -1. */
int aim_operation_parse(aim_span text, aim_operation *op);
/* Equal up to a lattice translation. */
int aim_operation_equal(const aim_operation *a, const aim_operation *b);
int aim_operation_is_identity(const aim_operation *op);
void aim_operation_apply(const aim_operation *op, const double x[3], double y[3]);
/* Whether it keeps all lengths and angles of the cell (row vectors), to 1 %. */
int aim_operation_fits(const aim_operation *op, const double cell[9]);

/* Distance in Angstrom between fractional x and the nearest image of y, if that is short. */
double aim_image_distance(const double x[3], const double y[3], const double cell[9]);

#endif
