/* SPDX-License-Identifier: MIT */
/* cache.h - where downloaded models lie, and the digests that were seen when they came.
 *
 *     <cache>/<file>                                          models of the registry, under the
 *                                                             names that the Python package uses
 *     <cache>/huggingface/<owner>--<name>@<revision>/<file>   repositories
 *     <file>.sha256                                           a digest that was pinned, in the form
 *                                                             that `sha256sum -c` reads
 *     <file>.part                                             an unfinished download */
#ifndef AIM_FETCH_CACHE_H
#define AIM_FETCH_CACHE_H

#include "base/text.h"
#include "fetch/registry.h"

/* AIMNET_CACHE_DIR, else XDG_CACHE_HOME/aimnet, else HOME/.cache/aimnet. Nothing is created. Errors:
 * FILE if none of the three is set. */
AIM_NODISCARD aim_status aim_cache_dir(const aim_alloc *a, aim_string *path);
/* Creates a folder and those above it. Errors: FILE with the remedy. */
AIM_NODISCARD aim_status aim_cache_make(const char *folder);

/* Digest of a file's bytes. Errors: FILE. */
AIM_NODISCARD aim_status aim_file_sha256(const char *path, char hex[65]);
/* The digest in PATH.sha256; hex is "" if there is no such file. Errors: FORMAT. */
AIM_NODISCARD aim_status aim_pin_read(const aim_alloc *a, const char *path, char hex[65]);
AIM_NODISCARD aim_status aim_pin_write(const aim_alloc *a, const char *path, const char *hex);

/* Removes what this library may have put into the cache, nothing else; `each` (may be NULL) is told
 * every path. dry_run: only tells. Errors: FILE for the first file that cannot be removed (the
 * others are removed all the same). */
typedef void (*aim_cache_each)(void *user, const char *path);
AIM_NODISCARD aim_status aim_cache_clear(const aim_alloc *a, const aim_registry *reg, int dry_run,
                                         aim_cache_each each, void *user);

#endif
