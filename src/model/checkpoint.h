/* SPDX-License-Identifier: MIT */
/* checkpoint.h - a training checkpoint (weights alone) with the YAML that it was trained with.
 * Private to src/model. */
#ifndef AIM_MODEL_CHECKPOINT_H
#define AIM_MODEL_CHECKPOINT_H

#include "io/pickle_write.h"
#include "io/tensor.h"

/* Metadata as a v2 file would have them for the model as it was trained: long-range modules stay
 * where the YAML has them. Errors: MODEL, MEMORY. */
AIM_NODISCARD aim_status aim_checkpoint_describe(const aim_alloc *a, const aim_tensor *tensor,
                                                 size_t n, aim_slice yaml, aim_pickle_out *out);

#endif
