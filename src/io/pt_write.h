/* SPDX-License-Identifier: MIT */
/* pt_write.h - a v2 model file as torch.load reads it. */
#ifndef AIM_IO_PT_WRITE_H
#define AIM_IO_PT_WRITE_H

#include "io/outfile.h"
#include "io/pickle.h"
#include "io/tensor.h"

/* What a model file consists of. */
typedef struct aim_model_parts {
    const aim_pickle *tree;
    aim_ref metadata;         /* dictionary: its plain values are written, in their order */
    const aim_tensor *tensor; /* [n_tensors] written row by row, whatever their strides */
    size_t n_tensors;
} aim_model_parts;

/* Writes {metadata..., "state_dict": {name: tensor}}. The same parts give the same bytes. Errors:
 * FILE, MEMORY, MODEL for metadata that are no plain values. */
AIM_NODISCARD aim_status aim_pt_write(const aim_alloc *a, aim_outfile *out,
                                      const aim_model_parts *parts);

#endif
