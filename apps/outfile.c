/* SPDX-License-Identifier: MIT */
/* outfile.c - text files of the command by temporary file and rename (outfile.h), as the library
 * writes its own: the temporary file stands beside the target under a name that nobody has, takes
 * its permissions and follows links to it. Pipes and devices are written directly: a rename would
 * put a file in their place. */
#define _XOPEN_SOURCE 700
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console.h"

#ifndef O_BINARY
#define O_BINARY 0
#endif
#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

enum { MAX_TRIES = 1000, OPEN_FLAGS = O_WRONLY | O_BINARY };

static int failed(const cli_outfile *o, const char *what)
{
    cli_error("%s: %s: %s", o->path, what, strerror(errno ? errno : EIO));
    return CLI_FAILED;
}

/* The file behind links; `path` itself where there is none. */
static const char *resolve(const char *path, char resolved[PATH_MAX])
{
#if defined(_WIN32)
    (void)resolved;
    return path;
#else
    const char *found = realpath(path, resolved);
    return found ? found : path;
#endif
}

/* Creates "<target>.tmp<pid>-<n>"; a descriptor, or -1. */
static int create_temporary(cli_outfile *o)
{
    char resolved[PATH_MAX];
    const char *target = resolve(o->path, resolved);
    const size_t size = strlen(target) + 1;
    int fd = -1;
    o->target = malloc(size);
    o->temporary = malloc(size + 40);
    if (o->target == NULL || o->temporary == NULL)
        return -1;
    memcpy(o->target, target, size);
    for (int n = 0; n < MAX_TRIES; n++) {
        snprintf(o->temporary, size + 40, "%s.tmp%ld-%d", target, (long)getpid(), n);
        fd = open(o->temporary, OPEN_FLAGS | O_CREAT | O_EXCL, 0666);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    return fd;
}

static void forget(cli_outfile *o)
{
    free(o->target);
    free(o->temporary);
    *o = (cli_outfile){.path = o->path};
}

int cli_outfile_open(cli_outfile *o, const char *path)
{
    struct stat info;
    const int exists = stat(path, &info) == 0;
    *o = (cli_outfile){.path = path};
    if (exists && S_ISDIR(info.st_mode)) {
        cli_error("%s: is a directory, expected a file name", path);
        return CLI_FAILED;
    }
    const int direct = exists && !S_ISREG(info.st_mode);
    const int fd = direct ? open(path, OPEN_FLAGS) : create_temporary(o);
#if !defined(_WIN32)
    if (fd >= 0 && exists && !direct)
        (void)fchmod(fd, info.st_mode & 07777);
#endif
    o->file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (o->file)
        return CLI_OK;
    const int status = failed(o, direct ? "cannot be opened for writing"
                                        : "no temporary file can be created beside it");
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && o->temporary)
        remove(o->temporary);
    forget(o);
    return status;
}

int cli_outfile_close(cli_outfile *o)
{
    int status = CLI_OK;
    errno = 0;
    const int bad = fflush(o->file) != 0 || ferror(o->file);
    if (bad)
        status = failed(o, "writing failed");
    if (fclose(o->file) != 0 && !bad)
        status = failed(o, "closing failed");
    if (status == CLI_OK && o->temporary && cli_replace_file(o->temporary, o->target) != 0)
        status = failed(o, "the finished file cannot be renamed into place");
    if (status != CLI_OK && o->temporary)
        remove(o->temporary);
    forget(o);
    return status;
}
