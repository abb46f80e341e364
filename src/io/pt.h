/* SPDX-License-Identifier: MIT */
/* pt.h - a torch.save archive that holds one dictionary with metadata and a state_dict of tensors
 * ("v2" model files).
 *
 * The archive is checked completely: its entries, the byte order, every storage's size against its
 * entry, every tensor against its storage. Nothing is copied: tensors and strings point into the
 * file's bytes, which must stay while the aim_pt is used. */
#ifndef AIM_IO_PT_H
#define AIM_IO_PT_H

#include "io/pickle.h"
#include "io/tensor.h"
#include "io/zip.h"

typedef struct aim_pt {
    aim_zip zip;
    aim_pickle pickle;
    aim_ref
        metadata; /* the root dictionary; values of unknown keys are untrusted and not looked at */
    aim_tensor *tensor; /* [n_tensors] in file order */
    size_t n_tensors;
    aim_names names; /* of the tensors */
} aim_pt;

/* Errors: FORMAT for what is malformed, MODEL for a proper torch archive of another kind
 * (TorchScript, raw checkpoint). */
AIM_NODISCARD aim_status aim_pt_open(const aim_alloc *a, const unsigned char *bytes, size_t size,
                                     aim_pt *pt);
void aim_pt_free(aim_pt *pt, const aim_alloc *a);

#endif
