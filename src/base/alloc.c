/* SPDX-License-Identifier: MIT */
/* alloc.c - every allocation of the library goes through here to the owner's hooks (or malloc and
 * free).
 *
 * Sizes are checked for overflow before anything is asked for. Growing is allocate, copy, free: the
 * user's hooks have no realloc, and the old block stays valid when the new one is refused. The
 * pointer to fill is passed as void * to any pointer type; it is stored by memcpy, which is what
 * strict aliasing allows. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static void *default_alloc(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void default_free(void *user, void *block)
{
    (void)user;
    free(block);
}

/* The blocks of the library are far from this; it also keeps pointer differences representable. */
static int size_of(size_t count, size_t size, size_t *bytes)
{
    if (size != 0 && count > (size_t)PTRDIFF_MAX / size)
        return 0;
    *bytes = count * size;
    if (*bytes == 0)
        *bytes = 1;
    return 1;
}

aim_alloc aim_alloc_default(void)
{
    return (aim_alloc){default_alloc, default_free, NULL};
}

aim_status aim_alloc_from(const aimnet_allocator *allocator, aim_alloc *out)
{
    *out = aim_alloc_default();
    if (!allocator)
        return AIMNET_OK;
    if (!allocator->alloc || !allocator->free)
        return AIM_FAIL(
            AIMNET_ERR_ARG,
            "allocator without %s: both hooks must be set (or pass NULL for malloc and free)",
            allocator->alloc ? "free" : "alloc");
    *out = *allocator;
    return AIMNET_OK;
}

aim_status aim_new(const aim_alloc *a, size_t count, size_t size, const char *what, void *block)
{
    void *p = NULL;
    memcpy(block, &p, sizeof p);
    size_t bytes;
    if (!size_of(count, size, &bytes))
        return AIM_FAIL(AIMNET_ERR_MEMORY,
                        "%s: %zu elements of %zu bytes are more than this machine can address",
                        what, count, size);
    p = a->alloc(a->user, bytes);
    if (!p)
        return AIM_FAIL(AIMNET_ERR_MEMORY,
                        "out of memory: %zu bytes for %s were refused; evaluate fewer atoms at "
                        "once or free memory",
                        bytes, what);
    memcpy(block, &p, sizeof p);
    return AIMNET_OK;
}

aim_status aim_new0(const aim_alloc *a, size_t count, size_t size, const char *what, void *block)
{
    AIM_TRY(aim_new(a, count, size, what, block));
    void *p;
    memcpy(&p, block, sizeof p);
    memset(p, 0, count * size);
    return AIMNET_OK;
}

aim_status aim_grow(const aim_alloc *a, size_t old_count, size_t new_count, size_t size,
                    const char *what, void *block)
{
    void *old, *grown;
    memcpy(&old, block, sizeof old);
    AIM_TRY(aim_new(a, new_count, size, what, &grown));
    if (old)
        memcpy(grown, old, (old_count < new_count ? old_count : new_count) * size);
    aim_free(a, old);
    memcpy(block, &grown, sizeof grown);
    return AIMNET_OK;
}

void aim_free(const aim_alloc *a, void *block)
{
    if (block)
        a->free(a->user, block);
}

aim_status aim_strdup(const aim_alloc *a, const char *text, char **copy)
{
    const size_t size = strlen(text) + 1;
    AIM_TRY(aim_new(a, size, 1, "a string", copy));
    memcpy(*copy, text, size);
    return AIMNET_OK;
}
