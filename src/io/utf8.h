/* SPDX-License-Identifier: MIT */
/* utf8.h - well-formed UTF-8, as RFC 3629 defines it: no overlong forms, no surrogates, nothing
 * above U+10FFFF. */
#ifndef AIM_IO_UTF8_H
#define AIM_IO_UTF8_H

#include <stddef.h>

/* Length of the sequence at p (n > 0 bytes remain), 0 if it is not one. */
static inline size_t aim_utf8_size(const unsigned char *p, size_t n)
{
    const size_t length = p[0] < 0x80   ? 1
                          : p[0] < 0xc2 ? 0
                          : p[0] < 0xe0 ? 2
                          : p[0] < 0xf0 ? 3
                          : p[0] < 0xf5 ? 4
                                        : 0;
    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    const unsigned second = length > 2 ? p[1] : 0x80;
    const int overlong = (p[0] == 0xe0 && second < 0xa0) || (p[0] == 0xf0 && second < 0x90);
    const int outside = (p[0] == 0xed && second > 0x9f) || (p[0] == 0xf4 && second > 0x8f);
    return overlong || outside ? 0 : length;
}

#endif
