/* SPDX-License-Identifier: MIT */
/* little.h - little-endian integers out of unaligned bytes, on any machine. The caller has checked
 * that the bytes are there. */
#ifndef AIM_IO_LITTLE_H
#define AIM_IO_LITTLE_H

#include <stdint.h>

static inline uint16_t aim_le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | (unsigned)p[1] << 8);
}
static inline uint32_t aim_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t aim_le64(const unsigned char *p)
{
    return (uint64_t)aim_le32(p) | (uint64_t)aim_le32(p + 4) << 32;
}

#endif
