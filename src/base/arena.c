/* SPDX-License-Identifier: MIT */
/* arena.c - slots of one workspace block: measured in a first run of the layout function, placed in
 * the second.
 *
 * Every slot starts on a 64-byte boundary and takes a whole number of 64-byte lines, so that vector
 * loads never split a line and no two threads' slots share one. With AIM_REDZONES a line stands
 * before the first slot and after each one; under the address sanitizer everything outside the
 * slots is poisoned, exactly to the byte at the end of a slot, so that a kernel that reads past its
 * array is reported where it happens although the block is one allocation. */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define AIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AIM_ASAN 1
#endif
#endif
#ifdef AIM_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)0)
#endif

enum { LINE = 64 };
#ifdef AIM_REDZONES
enum { REDZONE = LINE };
#else
enum { REDZONE = 0 };
#endif

static int round_up(size_t bytes, size_t *rounded)
{
    if (bytes > (size_t)PTRDIFF_MAX - LINE)
        return 0;
    *rounded = (bytes + LINE - 1) / LINE * LINE;
    return 1;
}

static void *refuse(aim_arena *a)
{
    a->overflow = 1;
    return NULL;
}

void *aim_take(aim_arena *a, const char *name, size_t count, size_t size)
{
    (void)name; /* the layouts' names are documentation here and the keys of dumps elsewhere */
    size_t rounded;
    if (a->overflow || (size != 0 && count > (size_t)PTRDIFF_MAX / size) ||
        !round_up(count * size, &rounded))
        return refuse(a);
    const size_t start = a->used == 0 ? REDZONE : a->used;
    if (rounded > (size_t)PTRDIFF_MAX - REDZONE - start)
        return refuse(a);
    const size_t end = start + rounded + REDZONE;
    if (a->base && end > a->capacity)
        return refuse(a);
    a->used = end;
    if (!a->base)
        return NULL;
    ASAN_UNPOISON_MEMORY_REGION(a->base + start, count * size);
    return a->base + start;
}

void *aim_take0(aim_arena *a, const char *name, size_t count, size_t size)
{
    void *slot = aim_take(a, name, count, size);
    if (slot)
        memset(slot, 0, count * size);
    return slot;
}

aim_status aim_arena_reserve(aim_arena *a, const aim_alloc *alloc, size_t bytes, const char *what)
{
    if (a->base && bytes <= a->capacity) {
        aim_arena_reset(a);
        return AIMNET_OK;
    }
    aim_arena_free(a, alloc);
    size_t capacity;
    if (!round_up(bytes, &capacity) || capacity > (size_t)PTRDIFF_MAX - LINE)
        return AIM_FAIL(AIMNET_ERR_MEMORY, "%s: %zu bytes are more than this machine can address",
                        what, bytes);
    if (capacity == 0)
        capacity = LINE;
    AIM_TRY(aim_new(alloc, capacity + LINE, 1, what, &a->block));
    const size_t skew = (size_t)((uintptr_t)a->block % LINE);
    a->base = (unsigned char *)a->block + (skew ? LINE - skew : 0);
    a->capacity = capacity;
    aim_arena_reset(a);
    return AIMNET_OK;
}

void aim_arena_reset(aim_arena *a)
{
    a->used = 0;
    a->overflow = 0;
    if (a->base)
        ASAN_POISON_MEMORY_REGION(a->base, a->capacity);
}

void aim_arena_free(aim_arena *a, const aim_alloc *alloc)
{
    if (a->base)
        ASAN_UNPOISON_MEMORY_REGION(a->base, a->capacity);
    aim_free(alloc, a->block);
    *a = (aim_arena){0};
}
