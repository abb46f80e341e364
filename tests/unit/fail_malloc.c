/* SPDX-License-Identifier: MIT */
/* fail_malloc.c - the wrappers behind fail_malloc.h (linker option --wrap). */
#include "fail_malloc.h"

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);

static _Atomic int armed, sticky_failure;
static _Atomic long fail_at, calls, refused;

static int refuses(void)
{
    if (!armed)
        return 0;
    const long call = atomic_fetch_add(&calls, 1) + 1;
    if (call < fail_at || (call > fail_at && !sticky_failure))
        return 0;
    atomic_fetch_add(&refused, 1);
    return 1;
}

void fail_malloc_arm(long n, int sticky)
{
    fail_at = n > 0 ? n : LONG_MAX;
    sticky_failure = sticky;
    calls = 0;
    refused = 0;
    armed = 1;
}

long fail_malloc_disarm(void)
{
    armed = 0;
    return refused;
}

long fail_malloc_calls(void)
{
    return calls;
}

void *__wrap_malloc(size_t size)
{
    return refuses() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuses() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return refuses() ? NULL : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}
