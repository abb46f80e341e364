/* SPDX-License-Identifier: MIT */
/* json_write.h - a dictionary of a tree as a JSON document. */
#ifndef AIM_IO_JSON_WRITE_H
#define AIM_IO_JSON_WRITE_H

#include "base/text.h"
#include "io/pickle.h"

/* Appends the plain values of a dictionary, one key per line; the key `without` is left out. ASCII
 * only, floats always with a point or an exponent, tuples as lists. Errors: MEMORY, MODEL for NaN
 * and infinities, which JSON does not have, and for what unfolds to more than 4 MiB. */
AIM_NODISCARD aim_status aim_json_write(const aim_alloc *a, const aim_pickle *tree, aim_ref dict,
                                        const char *without, aim_string *out);

#endif
