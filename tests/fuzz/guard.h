/* SPDX-License-Identifier: MIT */
/* guard.h - what all fuzz targets promise beyond "no crash": memory bounded by the input, and
 * nothing leaked by any path.
 *
 *     guard g = guard_of(size);
 *     const aim_alloc a = guard_alloc(&g);
 *     ... the reader, with a ...
 *     guard_end(&g);
 *
 * Inside LLVMFuzzerTestOneInput only. A broken promise ends the program with a message. */
#ifndef AIM_FUZZ_GUARD_H
#define AIM_FUZZ_GUARD_H

#include <stdint.h>

#include "base/alloc.h"

/* All blocks alive together may take GUARD_BASE + GUARD_FACTOR * (bytes of input). */
enum { GUARD_BASE = 1 << 17, GUARD_FACTOR = 64 };

typedef struct guard {
    size_t limit, held, blocks;
} guard;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void demand(int condition, const char *what);
guard guard_of(size_t size);
guard guard_limit(size_t bytes);
aim_alloc guard_alloc(guard *g);
void guard_end(const guard *g); /* everything was given back */

#endif
