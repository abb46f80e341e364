/* SPDX-License-Identifier: MIT */
/* source.h - bytes in order from a file, a pipe, standard input ("-") or memory; gzip data are
 * inflated on the way. */
#ifndef AIM_IO_SOURCE_H
#define AIM_IO_SOURCE_H

#include "base/alloc.h"

typedef struct aim_inflate aim_inflate;

/* Stays where it was opened: it holds pointers into itself. */
typedef struct aim_source {
    aim_alloc alloc;
    const char *name; /* for messages; borrowed */
    int fd;           /* -1: memory */
    int owns_fd;
    const unsigned char *memory; /* borrowed; all of it for memory, the first bytes of a file */
    size_t memory_size, memory_pos;
    unsigned char head[8]; /* first bytes of a file, read to recognise compression */
    aim_inflate *zip;      /* not NULL: gzip */
    int64_t consumed;      /* bytes taken from the file or memory */
    int64_t size;          /* total, -1 for a pipe */
} aim_source;

/* name must outlive the source. FILE if it cannot be opened, FORMAT for a compression other than
 * gzip. */
AIM_NODISCARD aim_status aim_source_open(aim_source *s, const aim_alloc *alloc, const char *path,
                                         const char *name);
AIM_NODISCARD aim_status aim_source_open_memory(aim_source *s, const aim_alloc *alloc,
                                                const void *bytes, size_t size, const char *name);
/* Reads 1..n bytes into buffer; *got = 0 at the end. A pipe gives what it has instead of waiting
 * for n. */
AIM_NODISCARD aim_status aim_source_read(aim_source *s, void *buffer, size_t n, size_t *got);
void aim_source_close(aim_source *s);

#endif
