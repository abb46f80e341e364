/* SPDX-License-Identifier: MIT */
/* model_file.h - for tests: a model file taken apart, changed here and there, and written again.
 *
 *     model_file f;
 *     model_file_open(&f, "base");                  // tests/golden/models/base.pt
 *     model_file_yaml(&f, "aim_size: 5", "aim_size: 6");
 *     torch_buffer_free(model_file_field(&f, "cutoff"));   // empty: the field is left out
 *     torch_buffer bytes = model_file_bytes(&f);
 *     model_file_close(&f);
 *
 * Fields are kept as the opcodes of their value, without memo. */
#ifndef AIM_TESTS_MODEL_FILE_H
#define AIM_TESTS_MODEL_FILE_H

#include "torch_writer.h"

#include "io/pt.h"

typedef struct model_field {
    char key[64];
    torch_buffer value; /* opcodes; empty: not written */
} model_field;

typedef struct model_tensor {
    char name[128]; /* empty: not written */
    const char *storage;
    int ndim;
    int64_t shape[8], stride[8];
    torch_buffer data; /* the whole storage */
} model_tensor;

typedef struct model_file {
    torch_buffer source;
    aim_torch archive;
    aim_pt pt;
    char *yaml;
    model_field field[32];
    int n_fields;
    model_tensor tensor[96];
    int n_tensors;
} model_file;

torch_buffer *model_file_field(model_file *f, const char *key);

/* Replaces a field by the given opcodes, for example "N" or "K\2". */
void model_file_set(model_file *f, const char *key, const void *opcodes, size_t n);

void model_file_set_text(model_file *f, const char *key, const char *text);

void model_file_open(model_file *f, const char *name);

model_tensor *model_file_tensor(model_file *f, const char *name);

/* Replaces the first occurrence of `from`, which must exist. */
void model_file_yaml(model_file *f, const char *from, const char *to);

torch_buffer model_file_pickle(const model_file *f);

/* The archive with a given pickle. */
torch_buffer model_file_archive(const model_file *f, const torch_buffer *pickle);

torch_buffer model_file_bytes(const model_file *f);

void model_file_close(model_file *f);

#endif
