/* SPDX-License-Identifier: MIT */
/* arena.h - measure, then place: one layout function, run twice, gives the size of a workspace and
 * then its pointers.
 *
 *     static void layout(acts *s, aim_arena *a, size_t n) {
 *         s->feat = aim_take(a, "feat", n * F, sizeof *s->feat);
 *     }
 *     aim_arena measure = {0};                 // base == NULL: only counts, pointers become NULL
 *     layout(&s, &measure, n);
 *     AIM_TRY(aim_arena_reserve(&arena, &alloc, measure.used, "the workspace"));
 *     layout(&s, &arena, n);
 *
 * Slots are 64-byte aligned. With AIM_REDZONES (sanitizer builds) poisoned gaps stand between
 * slots. */
#ifndef AIM_BASE_ARENA_H
#define AIM_BASE_ARENA_H

#include "base/alloc.h"

typedef struct aim_arena {
    unsigned char *base; /* NULL while measuring; 64-byte aligned */
    size_t used;         /* bytes handed out so far (or needed, while measuring) */
    size_t capacity;
    int overflow; /* a size computation overflowed, or used > capacity */
    void *block;  /* what the allocator returned */
} aim_arena;

/* count * size bytes; the contents are not cleared. NULL while measuring or on overflow. */
void *aim_take(aim_arena *a, const char *name, size_t count, size_t size);
/* The same, cleared. */
void *aim_take0(aim_arena *a, const char *name, size_t count, size_t size);
/* Makes at least `bytes` available and empties the arena (used = 0). Keeps a larger block: no
 * allocation when it is big enough. */
AIM_NODISCARD aim_status aim_arena_reserve(aim_arena *a, const aim_alloc *alloc, size_t bytes,
                                           const char *what);
void aim_arena_reset(aim_arena *a);
void aim_arena_free(aim_arena *a, const aim_alloc *alloc);

#endif
