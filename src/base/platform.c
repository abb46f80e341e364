/* SPDX-License-Identifier: MIT */
/* platform.c - the two sides of platform.h. The Windows one was written for MinGW-w64 with POSIX
 * threads (winpthreads), whose C library has the rest of what is used elsewhere (stat, opendir,
 * pthread_create). */
#define _DEFAULT_SOURCE   1
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include "base/platform.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#if defined(_WIN32)

#include <direct.h>
#include <io.h>
#include <windows.h>

int aim_os_sync(int fd)
{
    return _commit(fd);
}

int aim_os_rename(const char *from, const char *to)
{
    if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
        return 0;
    errno = GetLastError() == ERROR_ACCESS_DENIED ? EACCES : ENOENT;
    return -1;
}

int aim_os_set_mode(int fd, unsigned mode)
{
    (void)fd, (void)mode;
    return 0;
}

char *aim_os_resolve(const char *path, char *resolved, size_t size)
{
    return _fullpath(resolved, path, size);
}

int aim_os_make_folder(const char *path)
{
    return _mkdir(path);
}

int aim_os_is_folder(const char *path)
{
    const DWORD attributes = GetFileAttributesA(path); /* stat() finds no "folder/" here */
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

int aim_os_try_lock(int fd)
{
    OVERLAPPED at = {0};
    const HANDLE file = (HANDLE)_get_osfhandle(fd);
    if (LockFileEx(file, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0x7fffffff,
                   &at))
        return 1;
    return GetLastError() != ERROR_LOCK_VIOLATION && GetLastError() != ERROR_IO_PENDING;
}

void aim_os_sleep(double seconds)
{
    Sleep((DWORD)(1e3 * seconds));
}

void *aim_os_library_open(const char *name)
{
    return (void *)LoadLibraryA(name);
}

void *aim_os_library_symbol(void *library, const char *name)
{
    void *symbol = NULL;
    const FARPROC function = GetProcAddress((HMODULE)library, name);
    memcpy(&symbol, &function, sizeof symbol);
    return symbol;
}

void aim_os_library_close(void *library)
{
    FreeLibrary((HMODULE)library);
}

int aim_os_processors(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors > 0 ? (int)info.dwNumberOfProcessors : 1;
}

#else

#include <dlfcn.h>
#include <sys/file.h>
#include <unistd.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

int aim_os_sync(int fd)
{
    return fsync(fd);
}

int aim_os_rename(const char *from, const char *to)
{
    return rename(from, to);
}

int aim_os_set_mode(int fd, unsigned mode)
{
    return fchmod(fd, (mode_t)mode);
}

char *aim_os_resolve(const char *path, char *resolved, size_t size)
{
    char whole[PATH_MAX];
    if (!realpath(path, whole) || strlen(whole) >= size)
        return NULL;
    return memcpy(resolved, whole, strlen(whole) + 1);
}

int aim_os_make_folder(const char *path)
{
    return mkdir(path, 0777);
}

int aim_os_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int aim_os_try_lock(int fd)
{
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return 1;
    }
    return 1;
}

void aim_os_sleep(double seconds)
{
    const struct timespec step = {(time_t)seconds,
                                  (long)(1e9 * (seconds - (double)(time_t)seconds))};
    (void)nanosleep(&step, NULL);
}

void *aim_os_library_open(const char *name)
{
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

void *aim_os_library_symbol(void *library, const char *name)
{
    return dlsym(library, name);
}

void aim_os_library_close(void *library)
{
    dlclose(library);
}

int aim_os_processors(void)
{
#if defined(_SC_NPROCESSORS_ONLN)
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online > 0)
        return (int)online;
#endif
    return 1;
}

#endif
