/* SPDX-License-Identifier: MIT */
/* guard.c - an allocator that counts. The size of a block stands in front of it, so that what is
 * held is known exactly; the sanitizer still sees every overrun, because the block ends where
 * malloc's does. */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADER = 16 };

void demand(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

guard guard_limit(size_t bytes)
{
    return (guard){.limit = bytes};
}

guard guard_of(size_t size)
{
    return guard_limit(GUARD_BASE + GUARD_FACTOR * size);
}

static void *take(void *user, size_t size)
{
    guard *g = user;
    demand(size <= g->limit && g->held + size <= g->limit, "memory is bounded by the input");
    char *block = malloc(size + HEADER);
    if (!block)
        return NULL;
    *(size_t *)block = size;
    g->held += size;
    g->blocks++;
    return block + HEADER;
}

static void give(void *user, void *block)
{
    guard *g = user;
    if (!block)
        return;
    char *start = (char *)block - HEADER;
    g->held -= *(size_t *)start;
    g->blocks--;
    free(start);
}

aim_alloc guard_alloc(guard *g)
{
    return (aim_alloc){take, give, g};
}

void guard_end(const guard *g)
{
    demand(g->held == 0 && g->blocks == 0, "nothing is leaked");
}
