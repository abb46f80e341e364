/* SPDX-License-Identifier: MIT */
/* inflate.c - zlib's inflate with the owner's memory, one window at a time.
 *
 * Only the code in TorchScript archives is deflated. It is inflated to verify its checksum and
 * thrown away; what the stream says beyond the promised size is an error as soon as it appears. */
#include "io/inflate.h"

#include <string.h>
#include <zlib.h>

enum { WINDOW = 1 << 15, RAW = -15 };

static void *take(void *opaque, unsigned items, unsigned size)
{
    void *block = NULL;
    return aim_new(opaque, items, size, "an inflated entry", &block) == AIMNET_OK ? block : NULL;
}

static void give_back(void *opaque, void *block)
{
    aim_free(opaque, block);
}

static aim_status damaged(void)
{
    return AIM_FAIL(AIMNET_ERR_FORMAT, "its compressed data are damaged or of another size than "
                                       "the directory says");
}

static aim_status run(z_stream *z, unsigned char *window, unsigned char *out, size_t size,
                      uint32_t *crc)
{
    size_t done = 0;
    int code = Z_OK;
    while (code == Z_OK) {
        z->next_out = window;
        z->avail_out = WINDOW;
        code = inflate(z, Z_NO_FLUSH);
        const size_t n = WINDOW - z->avail_out;
        if (code == Z_MEM_ERROR)
            return AIM_FAIL(AIMNET_ERR_MEMORY, "an inflated entry: out of memory");
        if ((code != Z_OK && code != Z_STREAM_END) || n > size - done)
            return damaged();
        *crc = (uint32_t)crc32_z(*crc, window, n);
        if (out)
            memcpy(out + done, window, n);
        done += n;
    }
    return done == size && z->avail_in == 0 ? AIMNET_OK : damaged();
}

aim_status aim_inflate(const aim_alloc *a, const unsigned char *packed, size_t n,
                       unsigned char *out, size_t size, uint32_t *crc)
{
    aim_alloc hooks = *a;
    unsigned char *window = NULL;
    *crc = 0;
    if (n > UINT32_MAX)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "a compressed entry of more than 4 GiB");
    AIM_TRY(aim_new(a, WINDOW, 1, "an inflated entry", &window));
    z_stream z = {.zalloc = take, .zfree = give_back, .opaque = &hooks, .avail_in = (unsigned)n};
    memcpy(&z.next_in, &packed, sizeof packed); /* zlib's pointer has no const */
    aim_status status = AIMNET_OK;
    if (inflateInit2(&z, RAW) != Z_OK) {
        status = AIM_FAIL(AIMNET_ERR_MEMORY, "an inflated entry: out of memory");
    } else {
        status = run(&z, window, out, size, crc);
        inflateEnd(&z);
    }
    aim_free(a, window);
    return status;
}
