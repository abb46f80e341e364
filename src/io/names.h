/* SPDX-License-Identifier: MIT */
/* names.h - slices of text inside a file's bytes, a sorted index over them, and safe printing of
 * what strangers wrote.
 *
 * Used by the readers of model files for archive entries and tensors: look-up in log n, and
 * duplicates found in n log n whatever the names are (a hash table could be attacked by choosing
 * them). */
#ifndef AIM_IO_NAMES_H
#define AIM_IO_NAMES_H

#include "base/alloc.h"

typedef struct aim_slice {
    const char *text; /* not NUL-terminated; belongs to the file's bytes */
    size_t size;
} aim_slice;

int aim_slice_is(aim_slice s, const char *text);
int aim_slice_starts(aim_slice s, const char *prefix);
/* s without its first n bytes (n <= s.size) */
aim_slice aim_slice_from(aim_slice s, size_t n);

/* A printable copy for messages: control and non-ASCII bytes become '?', long text is cut with
 * "...". Returns out. */
enum { AIM_SHOWN_SIZE = 80 };
const char *aim_shown(char out[AIM_SHOWN_SIZE], aim_slice s);

/* The items are structs of `stride` bytes that begin with an aim_slice. They must not move while
 * the index is used. */
typedef struct aim_names {
    const unsigned char *items;
    size_t stride, count;
    uint32_t *order; /* [count] item numbers, sorted by name */
} aim_names;
AIM_NODISCARD aim_status aim_names_create(aim_names *names, const aim_alloc *a, const void *items,
                                          size_t stride, size_t count);
void aim_names_free(aim_names *names, const aim_alloc *a);
#define AIM_NO_NAME SIZE_MAX
/* Number of the item of that name, or AIM_NO_NAME. */
size_t aim_names_find(const aim_names *names, aim_slice name);
/* Number of an item whose name occurs twice, or AIM_NO_NAME. */
size_t aim_names_duplicate(const aim_names *names);

#endif
