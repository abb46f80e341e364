/* SPDX-License-Identifier: MIT */
/* embedding.h - which elements a file's weights know, where no list says it. Private to src/model.
 */
#ifndef AIM_MODEL_EMBEDDING_H
#define AIM_MODEL_EMBEDDING_H

#include "io/pickle_write.h"
#include "io/tensor.h"

enum { AIM_EMBEDDING_ROWS = 64 };

const aim_tensor *aim_tensor_named(const aim_tensor *tensor, size_t n, const char *name);
/* Sets known[z] for the rows of afv.weight that are not all NaN. Errors: MODEL, MEMORY. */
AIM_NODISCARD aim_status aim_embedding_species(const aim_alloc *a, const aim_tensor *tensor,
                                               size_t n, unsigned char known[AIM_EMBEDDING_ROWS]);
/* The elements as a list. */
void aim_put_species(aim_pickle_out *out, const unsigned char known[AIM_EMBEDDING_ROWS]);

#endif
