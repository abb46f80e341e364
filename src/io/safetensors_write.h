/* SPDX-License-Identifier: MIT */
/* safetensors_write.h - named tensors as a file of safetensors. */
#ifndef AIM_IO_SAFETENSORS_WRITE_H
#define AIM_IO_SAFETENSORS_WRITE_H

#include "io/outfile.h"
#include "io/tensor.h"

/* The header names the tensors in the order given; the data stand by falling size of their type, so
 * that every tensor is aligned to its type. The same tensors give the same bytes. Errors: FILE,
 * MEMORY, ARG for a header beyond the format's limit. */
AIM_NODISCARD aim_status aim_safetensors_write(const aim_alloc *a, aim_outfile *out,
                                               const aim_tensor *tensor, size_t n_tensors);

#endif
