/* SPDX-License-Identifier: MIT */
/* npy.h - arrays of doubles in NumPy's .npy files (format 1.0 to 3.0), C order.
 *
 * Writing: aim_npy_begin, then the values in order with aim_outfile_write, then aim_outfile_commit
 * and aim_outfile_close. Files are untrusted: the header is parsed strictly and the size of the data
 * must be what the shape says. */
#ifndef AIM_IO_NPY_H
#define AIM_IO_NPY_H

#include "io/outfile.h"

enum { AIM_NPY_DIMS = 4 };

typedef struct aim_npy {
    int n_dims;
    int64_t shape[AIM_NPY_DIMS];
    size_t count;
    double *data; /* [count] the caller's to free */
} aim_npy;

/* Reads '<f8', '>f8', '<f4' or '>f4'. On failure nothing is allocated: FILE, FORMAT, MEMORY. */
AIM_NODISCARD aim_status aim_npy_read(const aim_alloc *alloc, const char *path, aim_npy *npy);
/* The same from bytes in memory; `name` is used in messages. */
AIM_NODISCARD aim_status aim_npy_parse(const aim_alloc *alloc, const unsigned char *bytes,
                                       size_t size, const char *name, aim_npy *npy);
/* Opens the file and writes the header of a rows x columns matrix of this machine's doubles. */
AIM_NODISCARD aim_status aim_npy_begin(aim_outfile *out, const aim_alloc *alloc, const char *path,
                                       int64_t rows, int64_t columns);

#endif
