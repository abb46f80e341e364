/* SPDX-License-Identifier: MIT */
/* nlist_test.h - what the neighbour list tests share beside the oracle: an allocator that counts
 * and fails, status checks, mixtures. Included after cmocka.h. */
#ifndef NLIST_TEST_H
#define NLIST_TEST_H

#include "aimnet_nlist.h"
#include "nlist_oracle.h"

/* Sanitizers make everything ten times slower: smaller samples suffice for what they look for. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { INSTRUMENTED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { INSTRUMENTED = 1 };
#else
enum { INSTRUMENTED = 0 };
#endif
#else
enum { INSTRUMENTED = 0 };
#endif

static int n_allocations, fail_at = -1; /* fail_at < 0: never */

static void *counting_alloc(void *user, size_t size)
{
    (void)user;
    n_allocations++;
    return fail_at >= 0 && n_allocations > fail_at ? NULL : malloc(size);
}

static void counting_free(void *user, void *block)
{
    (void)user;
    free(block);
}

static const aimnet_allocator counting = {counting_alloc, counting_free, NULL};

static inline void assert_status(aimnet_status expected, aimnet_status got)
{
    if (expected != got)
        fail_msg("status %s instead of %s: %s", aimnet_status_name(got),
                 aimnet_status_name(expected), aimnet_last_error());
}

static inline void assert_failure(aimnet_status got, aimnet_status expected, const char *part)
{
    assert_status(expected, got);
    if (!strstr(aimnet_last_error(), part))
        fail_msg("'%s' is not in '%s'", part, aimnet_last_error());
}

static inline void add_sample(test_batch *t, const sample *s)
{
    test_batch_add(t, s->n, s->coord, s->has_cell ? s->cell : NULL, s->pbc);
}

/* n systems of all kinds in turn. */
static inline void make_mixture(uint64_t seed, int n, test_batch *t)
{
    static sample s;
    for (int k = 0; k < n; k++) {
        make_sample(&seed, k % N_KINDS, &s);
        add_sample(t, &s);
    }
}

static inline void sample_of_kind(uint64_t seed, int kind, int32_t least, sample *s)
{
    do
        make_sample(&seed, kind, s);
    while (s->n < least);
}

/* A sample and a mixture as public input; the arrays stay theirs. */
static inline aimnet_atoms public_atoms(const sample *s)
{
    aimnet_atoms a = {.n_atoms = s->n, .coord = s->coord};
    if (s->has_cell) {
        a.n_cells = a.n_pbc = 1;
        a.cell = s->cell;
        a.pbc = s->pbc;
    }
    return a;
}

static inline aimnet_atoms public_batch(const test_batch *t)
{
    return (aimnet_atoms){.n_atoms = t->b.n_atoms,
                          .n_systems = t->b.n_systems,
                          .coord = t->coord,
                          .mol_idx = t->system,
                          .n_cells = t->b.n_systems,
                          .cell = t->cell,
                          .n_pbc = t->b.n_systems,
                          .pbc = t->pbc};
}

static inline aimnet_nlist_options few_threads(void)
{
    aimnet_nlist_options o = aimnet_nlist_options_default();
    o.threads = 2;
    o.allocator = &counting;
    return o;
}

#endif
