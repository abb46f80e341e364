/* SPDX-License-Identifier: MIT */
/* lattice.h - the frame in which a periodic system is searched, and wrapping of atoms into it.
 *
 * The periodic cell vectors may be very skewed, and those of other axes arbitrary or zero. The
 * frame has the shortest vectors found for the periodic directions, frame_d = sum_e u[d][e] cell_e
 * with integers u, and unit vectors perpendicular to all of them for the other directions (their
 * rows of u are 0). Row vectors, Angstrom. */
#ifndef AIM_NLIST_LATTICE_H
#define AIM_NLIST_LATTICE_H

#include "base/status.h"

typedef struct aim_lattice {
    int periodic[3]; /* of the frame's directions */
    int any,
        identity; /* at least one periodic direction; u maps every periodic direction to itself */
    int32_t u[9];
    double frame[9];
    double inverse[9]; /* fractional coordinates of x are x inverse */
    double
        height[3]; /* distance of the planes between which direction d repeats; 1 for the others */
} aim_lattice;

/* cell: [9] or NULL, pbc: [3] or NULL (no periodicity). Errors: ERR_SYSTEM for cells that are
 * singular or not finite. */
AIM_NODISCARD aim_status aim_lattice_set(aim_lattice *lattice, const double *cell,
                                         const int32_t *pbc);
/* w = the integers that bring x into the frame: 0 <= fractional coordinate < 1 along periodic
 * directions up to rounding, w = 0 for the others; inside = x - w frame, fraction = its fractional
 * coordinates. */
void aim_lattice_wrap(const aim_lattice *lattice, const double x[3], double w[3], double inside[3],
                      double fraction[3]);

#endif
