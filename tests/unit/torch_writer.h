/* SPDX-License-Identifier: MIT */
/* torch_writer.h - for tests: writes ZIP archives and pickles as torch.save does, and also wrong
 * ones.
 *
 *     torch_zip z = {.descriptor = 1};
 *     torch_zip_add(&z, "archive/data.pkl", pickle.at, pickle.n);
 *     torch_zip_finish(&z);                         // z.file holds the archive
 *     torch_buffer_free(&z.file);
 *
 * Memory comes from malloc and its failure ends the test. */
#ifndef AIM_TESTS_TORCH_WRITER_H
#define AIM_TESTS_TORCH_WRITER_H

#include "fail_alloc.h"

/* ---------------------------------------------------------------- bytes */

typedef struct torch_buffer {
    unsigned char *at;
    size_t n, capacity;
} torch_buffer;

void torch_put(torch_buffer *b, const void *bytes, size_t n);

void torch_put_le(torch_buffer *b, uint64_t value, size_t n);

void torch_buffer_free(torch_buffer *b);

/* A whole file; the caller frees it. */
torch_buffer torch_read_file(const char *path);

/* ---------------------------------------------------------------- archives */

enum { TORCH_MAX_ENTRIES = 256 };

typedef struct torch_zip {
    /* how to write */
    int descriptor; /* sizes and CRC behind the data, zeros in the local header */
    int wide;       /* zip64 fields for sizes and offsets */
    int plain_end;  /* no zip64 end record */
    size_t align;   /* 0: 64 */
    /* the file so far */
    torch_buffer file, directory;
    size_t count;
    size_t start[TORCH_MAX_ENTRIES]; /* offsets of the local headers */
} torch_zip;

void torch_zip_add(torch_zip *z, const char *name, const void *data, size_t size);

void torch_zip_text(torch_zip *z, const char *name, const char *text);

/* Appends the directory and the end records. z->start[z->count] becomes the directory's offset. */
void torch_zip_finish(torch_zip *z);

/* ---------------------------------------------------------------- pickles */

/* A pickle being written; `memo` is the number of the next BINPUT, as Python's pickler counts. */
typedef struct torch_pickle {
    torch_buffer out;
    unsigned memo;
    int plain; /* nothing is memorised */
} torch_pickle;

void torch_op(torch_pickle *p, int opcode);

void torch_memo(torch_pickle *p);

void torch_begin(torch_pickle *p);

void torch_text(torch_pickle *p, const char *text);

void torch_int(torch_pickle *p, int64_t value);

void torch_float(torch_pickle *p, double value);

void torch_bool(torch_pickle *p, int value);

void torch_global(torch_pickle *p, const char *module, const char *name);

/* An empty OrderedDict. */
void torch_ordered_dict(torch_pickle *p);

void torch_tuple(torch_pickle *p, int n, const int64_t *values);

/* What torch.save writes for a tensor on storage `key`. */
typedef struct torch_tensor {
    const char *storage; /* "FloatStorage", ... */
    const char *key;
    int64_t elements, offset;
    int ndim;
    int64_t shape[8], stride[8];
} torch_tensor;

void torch_tensor_value(torch_pickle *p, const torch_tensor *t);

#endif
