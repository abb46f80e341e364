/* SPDX-License-Identifier: MIT */
/* zip_write.h - an archive as torch.save lays it out: stored entries, data at multiples of 64
 * bytes, checksums.
 *
 *     aim_zip_out z = {.alloc = a, .file = &out};
 *     AIM_TRY(aim_zip_put(&z, "archive/data.pkl", bytes, size));
 *     AIM_TRY(aim_zip_end(&z));            // and aim_zip_out_free(&z) in any case */
#ifndef AIM_IO_ZIP_WRITE_H
#define AIM_IO_ZIP_WRITE_H

#include "base/text.h"
#include "io/outfile.h"

typedef struct aim_zip_out {
    const aim_alloc *alloc;
    aim_outfile *file;
    uint64_t at; /* bytes written */
    unsigned count;
    aim_string directory;
} aim_zip_out;

/* Errors: FILE, MEMORY, and ARG for archives beyond 4 GiB or 65534 entries. */
AIM_NODISCARD aim_status aim_zip_put(aim_zip_out *z, const char *name, const void *data,
                                     size_t size);
AIM_NODISCARD aim_status aim_zip_end(aim_zip_out *z);
void aim_zip_out_free(aim_zip_out *z);

#endif
