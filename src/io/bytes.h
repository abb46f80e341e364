/* SPDX-License-Identifier: MIT */
/* bytes.h - a whole file in memory. */
#ifndef AIM_IO_BYTES_H
#define AIM_IO_BYTES_H

#include "base/alloc.h"

/* Reads a regular file completely. *bytes is NULL on failure. Errors: FILE with the reason, MEMORY.
 */
AIM_NODISCARD aim_status aim_bytes_read(const aim_alloc *a, const char *path, unsigned char **bytes,
                                        size_t *size);

int aim_path_exists(const char *path); /* as anything */
int aim_path_is_directory(const char *path);
/* Makes the last folder of a path, unless it exists. Errors: FILE. */
AIM_NODISCARD aim_status aim_path_make_directory(const char *path);

#endif
