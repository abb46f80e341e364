/* SPDX-License-Identifier: MIT */
/* part.c - the lock is taken on the unfinished file itself (flock), so that it vanishes with the
 * process that held it and no stale lock can be left behind.
 *
 * Whoever gets the lock after waiting may hold a file that was renamed into place or removed in the
 * meantime: the name must still lead to the descriptor, else everything starts again. Where the file
 * system has no locks (ENOLCK, EOPNOTSUPP) the download goes on without: the digest still decides
 * what gets the final name. */
#define _DEFAULT_SOURCE   1
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include "fetch/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/platform.h"

#if !defined(O_CLOEXEC)
#define O_CLOEXEC 0
#endif
#if !defined(O_NOFOLLOW)
#define O_NOFOLLOW 0
#endif
#if defined(O_BINARY)
#define AIM_OPEN (O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_BINARY)
#else
#define AIM_OPEN (O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW)
#endif

static const double STEP = 0.05; /* seconds between questions whether to stop */

aim_status aim_wait(const aim_download *d, double seconds, int64_t done)
{
    for (double waited = 0.0; waited < seconds; waited += STEP) {
        if (d->progress && d->progress(d->user, d->what, done, -1))
            return AIM_FAIL(AIMNET_ERR_INTERRUPTED, "%s: interrupted", d->what);
        aim_os_sleep(STEP);
    }
    return AIMNET_OK;
}

static aim_status open_file(aim_part *p)
{
    p->fd = open(p->path.data, AIM_OPEN, 0666);
    if (p->fd >= 0)
        return AIMNET_OK;
    return AIM_FAIL(AIMNET_ERR_FILE,
                    "%s: cannot be written: %s; AIMNET_CACHE_DIR chooses another folder",
                    p->path.data, strerror(errno));
}

/* 1: the name leads to what is open. */
static int is_current(const aim_part *p, struct stat *info)
{
    struct stat named;
    return fstat(p->fd, info) == 0 && lstat(p->path.data, &named) == 0 &&
           named.st_dev == info->st_dev && named.st_ino == info->st_ino;
}

static aim_status open_locked(aim_part *p, const aim_download *d, int *finished)
{
    struct stat info;
    AIM_TRY(aim_string_printf(&p->path, &p->alloc, "%s.part", p->target));
    for (;;) {
        AIM_TRY(open_file(p));
        while (!aim_os_try_lock(p->fd))
            AIM_TRY(aim_wait(d, STEP, -1));
        if (is_current(p, &info))
            break;
        close(p->fd);
        p->fd = -1;
        *finished = access(p->target, R_OK) == 0;
        if (*finished)
            return AIMNET_OK;
    }
    if (!S_ISREG(info.st_mode))
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: is not a regular file", p->path.data);
    p->size = (int64_t)info.st_size;
    if (lseek(p->fd, 0, SEEK_END) < 0)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: %s", p->path.data, strerror(errno));
    return AIMNET_OK;
}

aim_status aim_part_open(aim_part *p, const aim_alloc *a, const aim_download *d, int *finished)
{
    *p = (aim_part){.alloc = *a, .target = d->target, .fd = -1};
    *finished = 0;
    const aim_status status = open_locked(p, d, finished);
    if (status != AIMNET_OK || *finished)
        aim_part_close(p);
    return status;
}

int aim_part_write(aim_part *p, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t n = write(p->fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            p->error = n < 0 ? errno : ENOSPC;
            return 0;
        }
        at += n;
        size -= (size_t)n;
        p->size += n;
    }
    return 1;
}

int aim_part_truncate(aim_part *p)
{
    if (ftruncate(p->fd, 0) != 0 || lseek(p->fd, 0, SEEK_SET) != 0) {
        p->error = errno;
        return 0;
    }
    p->size = 0;
    return 1;
}

aim_status aim_part_commit(aim_part *p)
{
    if (aim_os_sync(p->fd) != 0 || aim_os_rename(p->path.data, p->target) != 0)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: cannot be put into place: %s", p->target,
                        strerror(errno));
    return AIMNET_OK;
}

void aim_part_remove(aim_part *p)
{
    if (p->fd >= 0)
        (void)unlink(p->path.data);
    aim_part_close(p);
}

void aim_part_close(aim_part *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    aim_string_free(&p->path, &p->alloc);
}
