/* SPDX-License-Identifier: MIT */
/* torch.h - what all archives of PyTorch share: entries under one prefix, records of its own, and
 * storages that tensors are windows on. */
#ifndef AIM_IO_TORCH_H
#define AIM_IO_TORCH_H

#include "io/pickle.h"
#include "io/tensor.h"
#include "io/zip.h"

typedef struct aim_torch {
    aim_zip zip;
    aim_slice prefix;  /* of the entries' names, with the slash */
    size_t size;       /* of the file */
    size_t unfolded;   /* bytes of all tensors so far */
    int is_script;     /* TorchScript: objects and code instead of plain values */
    aim_pickle pickle; /* of data.pkl; filled by pt.c or script.c */
} aim_torch;

/* Opens the archive and checks its entries; the pickle is not read yet. Errors: FORMAT. */
AIM_NODISCARD aim_status aim_torch_open(const aim_alloc *a, const unsigned char *bytes, size_t size,
                                        aim_torch *t);
void aim_torch_free(aim_torch *t, const aim_alloc *a);

/* NULL: there is none. name: without the prefix. */
const aim_zip_entry *aim_torch_record(const aim_torch *t, const char *name);

/* A value of the pickle as a tensor, checked against its storage; the name is left alone. Errors:
 * FORMAT, also when all tensors together are larger than the file. */
AIM_NODISCARD aim_status aim_torch_tensor(aim_torch *t, aim_ref value, aim_tensor *tensor);

#endif
