/* SPDX-License-Identifier: MIT */
/* sdf.h - what the two generations of the molfile format share. */
#ifndef AIM_IO_SDF_H
#define AIM_IO_SDF_H

#include "io/reader.h"

enum { AIM_SDF_MIN_ATOM_BYTES = 8 }; /* of an atom's line: "0 0 0 C" */

/* Sums over the atoms. */
typedef struct aim_sdf_totals {
    int has_charge; /* some atom's charge is given */
    int64_t charge;
    int64_t n_radicals; /* centres */
    int64_t unpaired;   /* electrons */
} aim_sdf_totals;

/* A formal charge of -15..15, and 1, 2, 3 for a singlet, doublet, triplet centre (0: none), from
 * text. */
AIM_NODISCARD aim_status aim_sdf_add_charge(aim_sdf_totals *sum, aim_span value);
AIM_NODISCARD aim_status aim_sdf_add_radical(aim_sdf_totals *sum, aim_span value);
AIM_NODISCARD aim_status aim_sdf_symbol(aim_span symbol, int *number);
/* The next line of the record; text NULL at its end ($$$$ or the end of the file), again and again.
 */
AIM_NODISCARD aim_status aim_sdf_line(aimnet_reader *r, aim_line *line);
/* Reads a V3000 table behind its counts line, up to "M  END". */
AIM_NODISCARD aim_status aim_sdf_v3000(aimnet_reader *r, aimnet_frame *f, aim_sdf_totals *sum);

#endif
