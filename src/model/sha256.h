/* SPDX-License-Identifier: MIT */
/* sha256.h - SHA-256 (FIPS 180-4), of bytes in memory or of a stream.
 *
 *     aim_sha256_stream s = aim_sha256_begin();
 *     aim_sha256_add(&s, bytes, size);  ...
 *     aim_sha256_end(&s, hex); */
#ifndef AIM_MODEL_SHA256_H
#define AIM_MODEL_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct aim_sha256_stream {
    uint32_t state[8];
    uint64_t size; /* bytes so far */
    unsigned char block[64];
} aim_sha256_stream;

aim_sha256_stream aim_sha256_begin(void);
void aim_sha256_add(aim_sha256_stream *s, const void *bytes, size_t size);
/* hex: 64 digits and a NUL */
void aim_sha256_end(aim_sha256_stream *s, char hex[65]);

void aim_sha256(const unsigned char *bytes, size_t size, char hex[65]);

#endif
