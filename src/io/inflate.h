/* SPDX-License-Identifier: MIT */
/* inflate.h - one deflated entry of an archive. */
#ifndef AIM_IO_INFLATE_H
#define AIM_IO_INFLATE_H

#include "base/alloc.h"

/* Inflates a raw deflate stream of n bytes that must hold exactly `size` bytes. out: [size], or
 * NULL to throw them away. *crc: CRC-32 of them. Memory: 80 kB beside `out`. Errors: FORMAT,
 * MEMORY. */
AIM_NODISCARD aim_status aim_inflate(const aim_alloc *a, const unsigned char *packed, size_t n,
                                     unsigned char *out, size_t size, uint32_t *crc);

#endif
