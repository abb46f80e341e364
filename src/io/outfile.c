/* SPDX-License-Identifier: MIT */
/* outfile.c - output by temporary file, fsync and rename.
 *
 * The temporary file stands beside the target (the same file system, so that rename is atomic) and
 * takes the target's permissions if that exists. A crash leaves the old file, or the new one, never
 * half of it; the directory is synchronised, too. Pipes, devices and standard output are written
 * directly. Used by xyz_write.c. */
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include "io/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/platform.h"

#ifndef O_BINARY
#define O_BINARY 0
#endif
#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif
#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

enum { MAX_TRIES = 1000, OPEN_FLAGS = O_WRONLY | O_BINARY | O_CLOEXEC };

static aim_status failed(const aim_outfile *o, const char *what)
{
    return AIM_FAIL(AIMNET_ERR_FILE, "%s: %s: %s", o->path, what, strerror(errno));
}

/* Creates "<target>.tmp<pid>-<n>". */
static aim_status create_temporary(aim_outfile *o)
{
    const size_t size = strlen(o->target) + 40;
    AIM_TRY(aim_new(&o->alloc, size, 1, "the name of a temporary file", &o->temporary));
    for (int n = 0; n < MAX_TRIES; n++) {
        snprintf(o->temporary, size, "%s.tmp%ld-%d", o->target, (long)getpid(), n);
        o->fd = open(o->temporary, OPEN_FLAGS | O_CREAT | O_EXCL, 0666);
        if (o->fd >= 0 || errno != EEXIST)
            break;
    }
    o->owns_fd = 1;
    if (o->fd >= 0)
        return AIMNET_OK;
    const aim_status status = failed(o, "no temporary file can be created beside it");
    aim_free(&o->alloc, o->temporary); /* not ours to remove */
    o->temporary = NULL;
    return status;
}

static aim_status open_direct(aim_outfile *o)
{
    o->fd = open(o->path, OPEN_FLAGS);
    o->owns_fd = 1;
    return o->fd >= 0 ? AIMNET_OK : failed(o, "cannot be opened for writing");
}

static aim_status open_path(aim_outfile *o)
{
    struct stat info;
    char resolved[PATH_MAX];
    const int exists = stat(o->path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: is a directory, expected a file name", o->path);
    if (exists && !S_ISREG(info.st_mode))
        return open_direct(o);
    const char *target =
        exists && aim_os_resolve(o->path, resolved, sizeof resolved) ? resolved : o->path;
    AIM_TRY(aim_strdup(&o->alloc, target, &o->target));
    AIM_TRY(create_temporary(o));
    if (exists && aim_os_set_mode(o->fd, info.st_mode & 07777) != 0)
        return failed(o, "the temporary file cannot get its permissions");
    return AIMNET_OK;
}

aim_status aim_outfile_open(aim_outfile *o, const aim_alloc *alloc, const char *path)
{
    *o = (aim_outfile){.alloc = *alloc, .fd = -1};
    aim_status status = aim_strdup(alloc, path, &o->path);
    if (status == AIMNET_OK && strcmp(path, "-") == 0)
        o->fd = STDOUT_FILENO;
    else if (status == AIMNET_OK)
        status = open_path(o);
    if (status != AIMNET_OK)
        aim_outfile_close(o);
    return status;
}

aim_status aim_outfile_append(aim_outfile *o, const aim_alloc *alloc, const char *path)
{
    *o = (aim_outfile){.alloc = *alloc, .fd = -1};
    aim_status status = aim_strdup(alloc, path, &o->path);
    if (status == AIMNET_OK) {
        o->fd = open(path, OPEN_FLAGS | O_CREAT | O_APPEND, 0666);
        o->owns_fd = o->appends = 1;
        if (o->fd < 0)
            status = failed(o, "cannot be opened for appending");
    }
    if (status != AIMNET_OK)
        aim_outfile_close(o);
    return status;
}

/* Takes the last `size` bytes off a file that grows: whoever reads it later finds whole pieces. */
static void take_back(const aim_outfile *o, size_t size)
{
    struct stat info;
    if (o->appends && fstat(o->fd, &info) == 0 && S_ISREG(info.st_mode) &&
        info.st_size >= (off_t)size)
        (void)!ftruncate(o->fd, info.st_size - (off_t)size);
}

aim_status aim_outfile_write(aim_outfile *o, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    while (size > 0) {
        const ssize_t n = write(o->fd, p, size < INT_MAX / 2 ? size : INT_MAX / 2);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            const aim_status status = failed(o, "writing failed");
            take_back(o, (size_t)(p - (const unsigned char *)bytes));
            return status;
        }
        p += n;
        size -= (size_t)n;
    }
    return AIMNET_OK;
}

/* Makes the rename durable; a file system that cannot synchronise a directory is no failure. */
static void sync_directory(const char *file)
{
    char directory[PATH_MAX] = ".";
    const char *slash = strrchr(file, '/');
    const size_t size = slash ? (size_t)(slash - file) + (slash == file) : 0;
    if (size >= sizeof directory)
        return;
    if (slash) {
        memcpy(directory, file, size);
        directory[size] = '\0';
    }
    const int fd = open(directory, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)aim_os_sync(fd);
    close(fd);
}

aim_status aim_outfile_commit(aim_outfile *o)
{
    if (!o->target)
        return AIMNET_OK;
    if (aim_os_sync(o->fd) != 0)
        return failed(o, "writing to the disk failed");
    const int closed = close(o->fd);
    o->fd = -1;
    if (closed != 0)
        return failed(o, "closing failed");
    if (aim_os_rename(o->temporary, o->target) != 0)
        return failed(o, "the finished file cannot be renamed into place");
    aim_free(&o->alloc, o->temporary);
    o->temporary = NULL;
    sync_directory(o->target);
    return AIMNET_OK;
}

void aim_outfile_close(aim_outfile *o)
{
    if (o->owns_fd && o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    if (o->temporary)
        (void)unlink(o->temporary);
    aim_free(&o->alloc, o->temporary);
    aim_free(&o->alloc, o->target);
    aim_free(&o->alloc, o->path);
    o->temporary = o->target = o->path = NULL;
}
