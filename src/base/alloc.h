/* SPDX-License-Identifier: MIT */
/* alloc.h - the only malloc of the library. Every owner carries an aim_alloc (the user's hooks or
 * malloc/free) by value. */
#ifndef AIM_BASE_ALLOC_H
#define AIM_BASE_ALLOC_H

#include "base/status.h"

typedef aimnet_allocator aim_alloc;

/* malloc/free */
aim_alloc aim_alloc_default(void);
/* *allocator, or the default for NULL; ARG if only one of the two hooks is set. */
AIM_NODISCARD aim_status aim_alloc_from(const aimnet_allocator *allocator, aim_alloc *out);

/* count * size bytes, overflow-checked, not cleared. *block is NULL on failure. A request of 0
 * bytes gives a valid block. `what` names the block in the message of a failure. */
AIM_NODISCARD aim_status aim_new(const aim_alloc *a, size_t count, size_t size, const char *what,
                                 void *block);
/* The same, cleared. */
AIM_NODISCARD aim_status aim_new0(const aim_alloc *a, size_t count, size_t size, const char *what,
                                  void *block);
/* Grows *block (a pointer to the pointer) from old_count to new_count elements, keeping the old
 * ones; *block stays valid on failure. */
AIM_NODISCARD aim_status aim_grow(const aim_alloc *a, size_t old_count, size_t new_count,
                                  size_t size, const char *what, void *block);
void aim_free(const aim_alloc *a, void *block);
/* Copy of a string. */
AIM_NODISCARD aim_status aim_strdup(const aim_alloc *a, const char *text, char **copy);

/* `block` above is the address of the pointer that receives the memory, as void *:
 *     aim_new(a, n, sizeof *x, "x", &x). */

#endif
