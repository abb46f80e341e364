/* SPDX-License-Identifier: MIT */
/* zip.h - the directory of a ZIP archive as torch.save writes it, over bytes in memory.
 *
 * Accepted: stored entries that lie one after the other and fill the file exactly, each with a
 * local header that agrees with the central directory, alignment padding in the local extra field,
 * an optional data descriptor, and zip64 records. Entries may be deflated, as the code in
 * TorchScript is, to 16 MiB altogether. Every checksum is verified. Everything else is FORMAT: other
 * compression, encryption, several disks, comments, gaps, overlaps, duplicate or unsafe
 * names. */
#ifndef AIM_IO_ZIP_H
#define AIM_IO_ZIP_H

#include "io/names.h"

typedef struct aim_zip_entry {
    aim_slice name; /* inside the archive's bytes, as is `data` */
    const unsigned char *data;
    size_t size;  /* of `data` in the file */
    int deflated; /* data must be inflated: aim_zip_inflate */
    size_t full;  /* size when inflated */
} aim_zip_entry;

typedef struct aim_zip {
    aim_zip_entry *entry; /* [n_entries] in file order */
    size_t n_entries;
    aim_names names;
} aim_zip;

/* The bytes must stay as they are while the zip is used. */
AIM_NODISCARD aim_status aim_zip_open(const aim_alloc *a, const unsigned char *bytes, size_t size,
                                      aim_zip *zip);
void aim_zip_free(aim_zip *zip, const aim_alloc *a);
/* The contents of an entry, deflated or not, in memory that the caller frees. */
AIM_NODISCARD aim_status aim_zip_inflate(const aim_alloc *a, const aim_zip_entry *entry,
                                         unsigned char **bytes);
/* NULL: no such entry */
const aim_zip_entry *aim_zip_find(const aim_zip *zip, aim_slice name);

#endif
