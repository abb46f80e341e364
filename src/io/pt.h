/* SPDX-License-Identifier: MIT */
/* pt.h - archives of torch.save: a dictionary with metadata and a state_dict ("v2" model files), a
 * bare state_dict (training checkpoints), or one tensor.
 *
 * Everything is checked: the archive's entries, the byte order, every storage's size against its
 * entry, every tensor against its storage. Nothing is copied: tensors and strings point into the
 * file's bytes, which must stay as well. */
#ifndef AIM_IO_PT_H
#define AIM_IO_PT_H

#include "io/torch.h"

typedef enum aim_pt_kind {
    AIM_PT_MODEL, /* {..., "state_dict": {name: tensor}} */
    AIM_PT_STATE, /* {name: tensor} */
    AIM_PT_TENSOR /* a tensor; its name is empty */
} aim_pt_kind;

typedef struct aim_pt {
    aim_pt_kind kind;
    aim_ref metadata;   /* MODEL: the root dictionary; values of unknown keys are untrusted and not
                           looked at */
    aim_tensor *tensor; /* [n_tensors] in file order */
    size_t n_tensors;
    aim_names names; /* of the tensors */
} aim_pt;

/* Reads the pickle of an archive that was opened and is no TorchScript; the archive must stay while
 * the aim_pt is used. Errors: FORMAT for what is malformed, MODEL for something else than the three
 * kinds. */
AIM_NODISCARD aim_status aim_pt_open(const aim_alloc *a, aim_torch *archive, aim_pt *pt);
void aim_pt_free(aim_pt *pt, const aim_alloc *a);

#endif
