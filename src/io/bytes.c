/* SPDX-License-Identifier: MIT */
/* bytes.c - reads a file by the C library alone, so that it works on every platform.
 *
 * A first byte is read before the size is asked for: directories and devices fail there with a
 * reason instead of claiming a size. The size is then the file's; a file that shrinks meanwhile is
 * an error, one that grows is read up to the size it had. Mapping the file would save one copy, but
 * a file that another program cuts would then end the process by a signal. */
#define _XOPEN_SOURCE 700
#include "io/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/platform.h"

static aim_status fail(const char *path, const char *what)
{
    return AIM_FAIL(AIMNET_ERR_FILE, "%s: cannot %s: %s", path, what, strerror(errno));
}

static aim_status read_all(const aim_alloc *a, const char *path, FILE *file, unsigned char **bytes,
                           size_t *size)
{
    if (fgetc(file) == EOF) {
        if (ferror(file))
            return fail(path, "read it");
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: the file is empty", path);
    }
    if (fseek(file, 0, SEEK_END) != 0)
        return fail(path, "find its end");
    const long end = ftell(file);
    if (end <= 0 || fseek(file, 0, SEEK_SET) != 0)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: not a regular file: its size is unknown", path);
    AIM_TRY(aim_new(a, (size_t)end, 1, path, bytes));
    *size = (size_t)end;
    if (fread(*bytes, 1, *size, file) == *size)
        return AIMNET_OK;
    if (ferror(file))
        return fail(path, "read it");
    return AIM_FAIL(AIMNET_ERR_FILE, "%s: the file became shorter while it was read", path);
}

aim_status aim_bytes_read(const aim_alloc *a, const char *path, unsigned char **bytes, size_t *size)
{
    *bytes = NULL;
    *size = 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(path, "open it");
    setvbuf(file, NULL, _IONBF, 0);
    const aim_status status = read_all(a, path, file, bytes, size);
    if (status != AIMNET_OK) {
        aim_free(a, *bytes);
        *bytes = NULL;
    }
    fclose(file);
    return status;
}

int aim_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

int aim_path_is_directory(const char *path)
{
    return aim_os_is_folder(path);
}

aim_status aim_path_make_directory(const char *path)
{
    if (aim_path_is_directory(path) || aim_os_make_folder(path) == 0)
        return AIMNET_OK;
    return fail(path, "make the directory");
}
