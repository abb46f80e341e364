/* SPDX-License-Identifier: MIT */
/* source.c - the bytes of a structure file.
 *
 * Plain bytes go straight into the caller's buffer by read(2): a pipe delivers what has arrived, so
 * frames of a running program are seen as they come. The first bytes decide about compression: gzip
 * (one or several members, as bgzip writes) is inflated by zlib with the owner's allocator; zstd,
 * xz and bzip2 are recognised to be refused by name. Structure files do not compress 200-fold: more
 * than that beyond 64 MiB is taken for a decompression bomb. Used by lines.c only. */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include "io/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/platform.h"

#ifndef O_BINARY
#define O_BINARY 0
#endif
#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif

enum { PACKED_SIZE = 1 << 16, BOMB_FREE = 1 << 26, BOMB_RATIO = 200 };

struct aim_inflate {
    z_stream stream;
    int initialised;
    int inside; /* within a member: the data may not end here */
    int ended;
    uint64_t in, out;
    unsigned char packed[PACKED_SIZE];
};

static void *zip_alloc(void *opaque, unsigned int count, unsigned int size)
{
    const aim_alloc *a = opaque;
    void *block;
    return aim_new(a, count, size, "decompression", &block) == AIMNET_OK ? block : NULL;
}

static void zip_free(void *opaque, void *block)
{
    aim_free(opaque, block);
}

static aim_status read_fd(aim_source *s, void *buffer, size_t n, size_t *got)
{
    ssize_t count;
    do {
        count = read(s->fd, buffer, n < INT_MAX / 2 ? n : INT_MAX / 2);
    } while (count < 0 && errno == EINTR);
    if (count < 0)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: reading failed: %s", s->name, strerror(errno));
    *got = (size_t)count;
    return AIMNET_OK;
}

/* Bytes as they are in the file or memory. */
static aim_status read_raw(aim_source *s, void *buffer, size_t n, size_t *got)
{
    *got = s->memory_size - s->memory_pos;
    if (*got > n)
        *got = n;
    if (*got > 0)
        memcpy(buffer, s->memory + s->memory_pos, *got);
    s->memory_pos += *got;
    if (*got == 0 && s->fd >= 0)
        AIM_TRY(read_fd(s, buffer, n, got));
    s->consumed += (int64_t)*got;
    return AIMNET_OK;
}

/* Makes packed bytes available; *more = 0 at a legal end. */
static aim_status refill_zip(aim_source *s, int *more)
{
    aim_inflate *z = s->zip;
    size_t got;
    AIM_TRY(read_raw(s, z->packed, sizeof z->packed, &got));
    z->stream.next_in = z->packed;
    z->stream.avail_in = (uInt)got;
    z->in += got;
    *more = got > 0;
    if (got == 0 && z->inside)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "%s: the gzip data end in the middle; fetch or compress the file again",
                        s->name);
    return AIMNET_OK;
}

static aim_status zip_failed(const aim_source *s, int code)
{
    if (code == Z_MEM_ERROR)
        return AIM_FAIL(AIMNET_ERR_MEMORY, "%s: out of memory while decompressing", s->name);
    return AIM_FAIL(AIMNET_ERR_FORMAT, "%s: damaged gzip data (%s)", s->name,
                    s->zip->stream.msg ? s->zip->stream.msg : "bad header");
}

/* After the end of a member: another member, or zero padding, or the end. */
static aim_status next_member(aim_source *s)
{
    aim_inflate *z = s->zip;
    int more = 1;
    z->inside = 0;
    while (more) {
        while (z->stream.avail_in > 0 && *z->stream.next_in == 0) {
            z->stream.next_in++;
            z->stream.avail_in--;
        }
        if (z->stream.avail_in > 0)
            break;
        AIM_TRY(refill_zip(s, &more));
    }
    z->ended = !more;
    if (z->ended)
        return AIMNET_OK;
    z->inside = 1;
    const int code = inflateReset(&z->stream);
    return code == Z_OK ? AIMNET_OK : zip_failed(s, code);
}

static aim_status read_zip(aim_source *s, void *buffer, size_t n, size_t *got)
{
    aim_inflate *z = s->zip;
    *got = 0;
    z->stream.next_out = buffer;
    z->stream.avail_out = (uInt)(n < INT_MAX ? n : INT_MAX);
    const uInt room = z->stream.avail_out;
    while (!z->ended && z->stream.avail_out == room) {
        int more;
        if (z->stream.avail_in == 0)
            AIM_TRY(refill_zip(s, &more));
        const int code = inflate(&z->stream, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            AIM_TRY(next_member(s));
        else if (code != Z_OK)
            return zip_failed(s, code);
    }
    *got = room - z->stream.avail_out;
    z->out += *got;
    if (z->out > BOMB_FREE && z->out / BOMB_RATIO > z->in)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "%s: the gzip data expand more than %d-fold: not a structure file", s->name,
                        BOMB_RATIO);
    return AIMNET_OK;
}

aim_status aim_source_read(aim_source *s, void *buffer, size_t n, size_t *got)
{
    return s->zip ? read_zip(s, buffer, n, got) : read_raw(s, buffer, n, got);
}

static aim_status start_zip(aim_source *s)
{
    AIM_TRY(aim_new0(&s->alloc, 1, sizeof *s->zip, "decompression", &s->zip));
    s->zip->stream.zalloc = zip_alloc;
    s->zip->stream.zfree = zip_free;
    s->zip->stream.opaque = &s->alloc;
    const int code = inflateInit2(&s->zip->stream, 15 + 16);
    if (code != Z_OK)
        return zip_failed(s, code);
    s->zip->initialised = 1;
    s->zip->inside = 1;
    return AIMNET_OK;
}

/* Decides by the first bytes, which stay to be read. */
static aim_status detect_compression(aim_source *s)
{
    static const struct {
        unsigned char magic[6];
        size_t size;
        const char *name, *tool;
    } refused[] = {
        {{0x28, 0xB5, 0x2F, 0xFD}, 4, "zstd", "zstd -d"},
        {{0xFD, '7', 'z', 'X', 'Z', 0}, 6, "xz", "xz -d"},
        {{'B', 'Z', 'h'}, 3, "bzip2", "bzip2 -d"},
        {{'P', 'K', 3, 4}, 4, "ZIP", "unzip"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (s->memory_size >= refused[i].size &&
            !memcmp(s->memory, refused[i].magic, refused[i].size))
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "%s: %s-compressed; expected plain text or gzip: run %s first", s->name,
                            refused[i].name, refused[i].tool);
    if (s->memory_size >= 2 && s->memory[0] == 0x1F && s->memory[1] == 0x8B)
        return start_zip(s);
    return AIMNET_OK;
}

static aim_status open_fd(aim_source *s, const char *path)
{
    struct stat info;
    s->owns_fd = strcmp(path, "-") != 0;
    s->fd = s->owns_fd ? open(path, O_RDONLY | O_BINARY | O_CLOEXEC) : STDIN_FILENO;
    if (s->fd < 0 && !aim_os_is_folder(path)) /* Windows does not open folders */
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: cannot be opened: %s", s->name, strerror(errno));
    if (s->fd >= 0 && fstat(s->fd, &info) != 0)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: cannot be read: %s", s->name, strerror(errno));
    if (s->fd < 0 || S_ISDIR(info.st_mode))
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: is a directory, expected a structure file", s->name);
    if (S_ISREG(info.st_mode)) { /* "-" may be a file that somebody has read a part of */
        const off_t at = lseek(s->fd, 0, SEEK_CUR);
        if (at >= 0 && at <= info.st_size)
            s->size = (int64_t)(info.st_size - at);
    }
    while (s->memory_size < sizeof s->head) {
        size_t got;
        AIM_TRY(read_fd(s, s->head + s->memory_size, sizeof s->head - s->memory_size, &got));
        if (got == 0)
            break;
        s->memory_size += got;
    }
    s->memory = s->head;
    return AIMNET_OK;
}

aim_status aim_source_open(aim_source *s, const aim_alloc *alloc, const char *path,
                           const char *name)
{
    *s = (aim_source){.alloc = *alloc, .name = name, .fd = -1, .size = -1};
    aim_status status = open_fd(s, path);
    if (status == AIMNET_OK)
        status = detect_compression(s);
    if (status != AIMNET_OK)
        aim_source_close(s);
    return status;
}

aim_status aim_source_open_memory(aim_source *s, const aim_alloc *alloc, const void *bytes,
                                  size_t size, const char *name)
{
    *s = (aim_source){.alloc = *alloc, .name = name, .fd = -1};
    s->memory = bytes;
    s->memory_size = size;
    s->size = (int64_t)size;
    const aim_status status = detect_compression(s);
    if (status != AIMNET_OK)
        aim_source_close(s);
    return status;
}

void aim_source_close(aim_source *s)
{
    if (s->zip && s->zip->initialised)
        inflateEnd(&s->zip->stream);
    if (s->zip)
        aim_free(&s->alloc, s->zip);
    s->zip = NULL;
    if (s->owns_fd && s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
