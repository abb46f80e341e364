/* SPDX-License-Identifier: MIT */
/* sha256.h - SHA-256 (FIPS 180-4) of bytes in memory, for provenance. */
#ifndef AIM_MODEL_SHA256_H
#define AIM_MODEL_SHA256_H

#include <stddef.h>

/* hex: 64 digits and a NUL */
void aim_sha256(const unsigned char *bytes, size_t size, char hex[65]);

#endif
