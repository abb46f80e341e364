/* SPDX-License-Identifier: MIT */
/* fail_alloc.h - an aimnet_allocator for tests: fails the n-th call (once, or from then on), counts
 * what is alive, and checks blocks.
 *
 *     static aim_status load_and_free(const aimnet_allocator *hooks, void *ctx) { ... }
 *     fail_alloc_sweep(load_and_free, ctx);     // n = 1, 2, 3, ... until the call succeeds, once
 * and sticky
 *
 * The sweep asserts that every failure is reported as AIMNET_ERR_MEMORY with a message, and that
 * nothing stays allocated. New blocks are filled with 0xA5 and freed ones with 0xDD, so that
 * whoever reads either gets nonsense at once. A block freed twice, with a wrong pointer or after
 * writing before its start is counted in `bad`. Safe to use from several threads. */
#ifndef AIM_TESTS_FAIL_ALLOC_H
#define AIM_TESTS_FAIL_ALLOC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aimnet.h"

typedef struct fail_alloc {
    aimnet_allocator hooks; /* pass &f.hooks; the struct must stay where it is */
    long fail_at;           /* the call that fails, from 1; 0: none */
    int sticky;             /* 1: all later ones fail, too */
    _Atomic long calls, failed, live, bad;
    _Atomic size_t live_bytes, peak_bytes;
} fail_alloc;

typedef struct fail_alloc_head {
    uint64_t magic;
    uint64_t size;
} fail_alloc_head;

#define FAIL_ALLOC_LIVE UINT64_C(0xa11c0a11ca110ca1)

static inline void *fail_alloc_alloc(void *user, size_t size)
{
    fail_alloc *f = user;
    const long call = atomic_fetch_add(&f->calls, 1) + 1;
    fail_alloc_head *head = NULL;
    if (f->fail_at == 0 || call < f->fail_at || (call > f->fail_at && !f->sticky))
        head = size > SIZE_MAX - sizeof *head ? NULL : malloc(sizeof *head + size);
    if (!head) {
        atomic_fetch_add(&f->failed, 1);
        return NULL;
    }
    *head = (fail_alloc_head){FAIL_ALLOC_LIVE, size};
    memset(head + 1, 0xA5, size);
    atomic_fetch_add(&f->live, 1);
    const size_t bytes = atomic_fetch_add(&f->live_bytes, size) + size;
    size_t peak = atomic_load(&f->peak_bytes);
    while (bytes > peak && !atomic_compare_exchange_weak(&f->peak_bytes, &peak, bytes)) {
    }
    return head + 1;
}

static inline void fail_alloc_free(void *user, void *block)
{
    fail_alloc *f = user;
    if (!block)
        return;
    fail_alloc_head *head = (fail_alloc_head *)block - 1;
    if (head->magic != FAIL_ALLOC_LIVE) {
        atomic_fetch_add(&f->bad, 1);
        return;
    }
    atomic_fetch_sub(&f->live, 1);
    atomic_fetch_sub(&f->live_bytes, (size_t)head->size);
    memset(block, 0xDD, (size_t)head->size);
    head->magic = 0;
    free(head);
}

static inline void fail_alloc_init(fail_alloc *f, long fail_at, int sticky)
{
    memset(f, 0, sizeof *f);
    f->hooks = (aimnet_allocator){fail_alloc_alloc, fail_alloc_free, f};
    f->fail_at = fail_at;
    f->sticky = sticky;
}

static inline void fail_alloc_assert_clean(const fail_alloc *f)
{
    assert_int_equal(f->bad, 0);
    assert_int_equal(f->live, 0);
}

/* What is swept: does everything with the given hooks, releases everything again (also after a
 * failure), returns the status. */
typedef aimnet_status (*fail_alloc_run)(const aimnet_allocator *hooks, void *ctx);

/* One allocation after the other fails. `sticky`: so do all later ones. Returns the number of
 * allocations of the successful run. */
static inline long fail_alloc_sweep_mode(fail_alloc_run run, void *ctx, int sticky)
{
    for (long n = 1;; n++) {
        fail_alloc f;
        fail_alloc_init(&f, n, sticky);
        const aimnet_status status = run(&f.hooks, ctx);
        fail_alloc_assert_clean(&f);
        if (f.failed == 0) {
            assert_int_equal(status, AIMNET_OK);
            return f.calls;
        }
        assert_int_equal(status, AIMNET_ERR_MEMORY);
        assert_true(aimnet_last_error()[0] != '\0');
    }
}

static inline long fail_alloc_sweep(fail_alloc_run run, void *ctx)
{
    fail_alloc_sweep_mode(run, ctx, 1);
    return fail_alloc_sweep_mode(run, ctx, 0);
}

/* For runs whose first allocations have their own test, a model's for example: each of the last
 * `count` fails, with all later ones. A run may do without some; more than `least` of the failures
 * have to be reported. */
static inline void fail_alloc_sweep_last(fail_alloc_run run, void *ctx, long count, int least)
{
    fail_alloc all;
    fail_alloc_init(&all, 0, 0);
    assert_int_equal(run(&all.hooks, ctx), AIMNET_OK);
    fail_alloc_assert_clean(&all);
    int n_reported = 0;
    for (long n = all.calls; n > all.calls - count && n > 0; n--) {
        fail_alloc f;
        fail_alloc_init(&f, n, 1);
        const aimnet_status status = run(&f.hooks, ctx);
        fail_alloc_assert_clean(&f);
        assert_true(status == AIMNET_ERR_MEMORY || status == AIMNET_OK);
        n_reported += status == AIMNET_ERR_MEMORY;
    }
    assert_true(n_reported > least);
}

#endif
