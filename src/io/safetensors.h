/* SPDX-License-Identifier: MIT */
/* safetensors.h - a file of named tensors behind a JSON header
 * (https://github.com/huggingface/safetensors).
 *
 * The file is checked completely: header within the file and below 100 MB, known types, shapes
 * whose product is the number of bytes, every byte behind the header in exactly one tensor, every
 * name once. Nothing is copied: the tensors point into the bytes. */
#ifndef AIM_IO_SAFETENSORS_H
#define AIM_IO_SAFETENSORS_H

#include "io/tensor.h"

enum { AIM_SAFETENSORS_HEADER = 100000000 }; /* longest header, the limit of the format */

typedef struct aim_safetensors {
    aim_tensor *tensor; /* [n_tensors] in the header's order */
    size_t n_tensors;
    aim_names names;
} aim_safetensors;

/* Whether the bytes begin like such a file. */
int aim_safetensors_probe(const unsigned char *bytes, size_t size);
/* Errors: FORMAT. */
AIM_NODISCARD aim_status aim_safetensors_open(const aim_alloc *a, const unsigned char *bytes,
                                              size_t size, aim_safetensors *st);
void aim_safetensors_free(aim_safetensors *st, const aim_alloc *a);

/* "F32", ... or NULL for a type that the format does not have. */
const char *aim_safetensors_dtype(aim_dtype dtype);

#endif
