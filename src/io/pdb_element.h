/* SPDX-License-Identifier: MIT */
/* pdb_element.h - the element of an ATOM or HETATM record. */
#ifndef AIM_IO_PDB_ELEMENT_H
#define AIM_IO_PDB_ELEMENT_H

#include "base/status.h"
#include "io/scan.h"

/* From columns 77-78, or from the atom's name if they are empty. FORMAT if that is unknown or
 * ambiguous. */
AIM_NODISCARD aim_status aim_pdb_element(aim_span line, int *number);

#endif
