/* SPDX-License-Identifier: MIT */
/* platform.h - what POSIX systems and Windows call by different names: files, folders, libraries at
 * run time, processors. errno has the reason where a function says that it failed. */
#ifndef AIM_BASE_PLATFORM_H
#define AIM_BASE_PLATFORM_H

#include <stddef.h>

/* Data of an open file to the disk. 0: done. */
int aim_os_sync(int fd);
/* Renames a file, replacing one of the new name. 0: done. */
int aim_os_rename(const char *from, const char *to);
/* Permissions of an open file (without meaning on Windows). 0: done. */
int aim_os_set_mode(int fd, unsigned mode);
/* The file behind links, absolute, into resolved[size]; NULL if it is not there or does not fit. */
char *aim_os_resolve(const char *path, char *resolved, size_t size);
/* 0: made. */
int aim_os_make_folder(const char *path);
int aim_os_is_folder(const char *path); /* also with a '/' at the end */
/* An exclusive lock that ends with the process. 1: taken, or the file system has none; 0: somebody
 * else has it. */
int aim_os_try_lock(int fd);
void aim_os_sleep(double seconds);

/* NULL: it cannot be loaded. */
void *aim_os_library_open(const char *name);
void *aim_os_library_symbol(void *library, const char *name);
void aim_os_library_close(void *library);

#if defined(_WIN32)
#define lstat stat /* no links that would matter */
#endif

/* Processors that are there; at least 1. */
int aim_os_processors(void);

#endif
