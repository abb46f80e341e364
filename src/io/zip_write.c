/* SPDX-License-Identifier: MIT */
/* zip_write.c - local header, name, padding in an extra field "FB", data; at the end the directory.
 *
 * Sizes and CRC-32 are known before an entry is written, so they stand in the local header and no
 * descriptor follows. Models are far from 4 GiB: the zip64 records that archives beyond that need
 * are not written, and such archives refused. */
#include "io/zip_write.h"

#include <string.h>
#include <zlib.h>

enum {
    LOCAL_SIGNATURE = 0x04034b50,
    CENTRAL_SIGNATURE = 0x02014b50,
    END_SIGNATURE = 0x06054b50,
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    EXTRA_HEAD = 4,
    ALIGNMENT = 64,
    MAX_ENTRIES = 65534,
    VERSION = 20,
    MAX_NAME = 1024
};

typedef struct record {
    unsigned char bytes[CENTRAL_SIZE];
    size_t n;
} record;

static void put(record *r, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->bytes[r->n++] = (unsigned char)(i < 8 ? value >> (8 * i) : 0);
}

static aim_status write_bytes(aim_zip_out *z, const void *bytes, size_t n)
{
    z->at += n;
    return aim_outfile_write(z->file, bytes, n);
}

static aim_status add_to_directory(aim_zip_out *z, const char *name, size_t length, uint32_t crc,
                                   size_t size, uint64_t offset)
{
    record r = {.n = 0};
    put(&r, CENTRAL_SIGNATURE, 4);
    put(&r, VERSION, 2);
    put(&r, VERSION, 2);
    put(&r, 0, 8); /* flags, method, time, date */
    put(&r, crc, 4);
    put(&r, size, 4);
    put(&r, size, 4);
    put(&r, length, 2);
    put(&r, 0, 2 + 2 + 2 + 2 + 4); /* extra, comment, disk, attributes */
    put(&r, offset, 4);
    AIM_TRY(aim_string_append(&z->directory, z->alloc, (const char *)r.bytes, r.n));
    return aim_string_append(&z->directory, z->alloc, name, length);
}

aim_status aim_zip_put(aim_zip_out *z, const char *name, const void *data, size_t size)
{
    const size_t length = strlen(name);
    const uint64_t offset = z->at, unaligned = offset + LOCAL_SIZE + length + EXTRA_HEAD;
    const size_t padding = (size_t)(-unaligned % ALIGNMENT);
    if (length > MAX_NAME || z->count == MAX_ENTRIES ||
        size > UINT32_MAX - 2 * ALIGNMENT - MAX_NAME - offset - z->directory.size)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s: the archive would be larger than 4 GiB",
                        z->file->path);
    const uint32_t crc = (uint32_t)crc32_z(0, data, size);
    record r = {.n = 0};
    put(&r, LOCAL_SIGNATURE, 4);
    put(&r, VERSION, 2);
    put(&r, 0, 8); /* flags, method, time, date */
    put(&r, crc, 4);
    put(&r, size, 4);
    put(&r, size, 4);
    put(&r, length, 2);
    put(&r, EXTRA_HEAD + padding, 2);
    AIM_TRY(write_bytes(z, r.bytes, r.n));
    AIM_TRY(write_bytes(z, name, length));
    unsigned char extra[EXTRA_HEAD + ALIGNMENT] = {'F', 'B', (unsigned char)padding, 0};
    memset(extra + EXTRA_HEAD, 'Z', padding);
    AIM_TRY(write_bytes(z, extra, EXTRA_HEAD + padding));
    AIM_TRY(write_bytes(z, data, size));
    z->count++;
    return add_to_directory(z, name, length, crc, size, offset);
}

aim_status aim_zip_end(aim_zip_out *z)
{
    const uint64_t offset = z->at;
    record r = {.n = 0};
    put(&r, END_SIGNATURE, 4);
    put(&r, 0, 4);
    put(&r, z->count, 2);
    put(&r, z->count, 2);
    put(&r, z->directory.size, 4);
    put(&r, offset, 4);
    put(&r, 0, 2);
    AIM_TRY(write_bytes(z, z->directory.data, z->directory.size));
    return write_bytes(z, r.bytes, r.n);
}

void aim_zip_out_free(aim_zip_out *z)
{
    aim_string_free(&z->directory, z->alloc);
}
