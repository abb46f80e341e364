/* SPDX-License-Identifier: MIT */
/* test_nlist.c - neighbour lists against explicit enumeration, their invariants, independence of
 * algorithm, threads and batch, behaviour under symmetry operations, memory, and refused input. */
#define _GNU_SOURCE /* setenv */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "backend/isa.h"
#include "nlist_test.h"

enum {
    SAMPLES_PER_KIND = INSTRUMENTED ? 15 : 50,
    LARGE = INSTRUMENTED ? 2000 : 6000,
    EXTREME = INSTRUMENTED ? 4000 : 20000
};

typedef struct fixture {
    aim_alloc alloc;
    aim_nlist *nlist;
    aim_team *team;
} fixture;

static int setup(void **state)
{
    static fixture f;
    f.alloc = counting;
    if (aim_nlist_create(&f.alloc, &f.nlist) != AIMNET_OK ||
        aim_team_create(&f.alloc, 3, &f.team) != AIMNET_OK)
        return 1;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    fail_at = -1;
    aim_nlist_free(f->nlist);
    aim_team_free(f->team);
    return 0;
}

static void assert_same_lists(const aim_pairs *a, const aim_pairs *b)
{
    assert_int_equal(a->n_atoms, b->n_atoms);
    assert_int_equal(a->n_pairs, b->n_pairs);
    assert_memory_equal(a->row, b->row, (size_t)(a->n_atoms + 1) * sizeof *a->row);
    if (a->n_pairs == 0)
        return;
    assert_memory_equal(a->j, b->j, (size_t)a->n_pairs * sizeof *a->j);
    assert_int_equal(!a->shift, !b->shift);
    if (a->shift)
        assert_memory_equal(a->shift, b->shift, (size_t)a->n_pairs * sizeof *a->shift);
    if (a->reverse && b->reverse)
        assert_memory_equal(a->reverse, b->reverse, (size_t)a->n_pairs * sizeof *a->reverse);
}

static aim_status build_as(fixture *f, const test_batch *t, double cutoff,
                           aim_nlist_algorithm algorithm, aim_team *team, aim_pairs *pairs)
{
    const aim_nlist_request q = {1, &cutoff, 120, algorithm, 1};
    return aim_nlist_build_many(f->nlist, &t->b, &q, team, pairs);
}

/* ---------------------------------------------------------------- against enumeration */

/* At most this one: the search looks at the environment. */
static void use_isa(int isa)
{
    setenv("AIM_ISA", aim_cpu_isa_name(isa), 1);
}

static void check_kind(fixture *f, int kind)
{
    uint64_t r = (uint64_t)kind * 1000 + 1;
    static sample s;
    brute_list brute = {0};
    int compared = 0;
    for (int k = 0; k < SAMPLES_PER_KIND; k++) {
        make_sample(&r, kind, &s);
        brute_force(&s, &brute);
        if (brute.ambiguous)
            continue;
        compared++;
        test_batch t = {0};
        add_sample(&t, &s);
        for (int way = 0; way < 9; way++) { /* three algorithms by three instruction sets */
            aim_pairs pairs = {0};
            const int algorithm = way % 3;
            use_isa(way / 3);
            assert_status(AIMNET_OK, build_as(f, &t, s.cutoff, (aim_nlist_algorithm)algorithm,
                                              f->team, &pairs));
            if (!same_as_brute(&pairs, &t.b, 0, &brute))
                fail_msg("%s, sample %d, algorithm %d, instruction set %d: %lld pairs, brute force "
                         "%lld",
                         kind_names[kind], k, algorithm, way / 3, (long long)pairs.n_pairs,
                         (long long)brute.n);
            assert_status(AIMNET_OK, aim_pairs_check(&pairs, &t.b, s.cutoff));
            aim_pairs_free(&pairs, &f->alloc);
        }
        test_batch_free(&t);
    }
    assert_true(compared > SAMPLES_PER_KIND * 8 / 10);
    free(brute.pair);
}

static void lists_of_every_kind_equal_explicit_enumeration(void **state)
{
    const int before = aim_cpu_isa();
    for (int kind = 0; kind < N_KINDS; kind++)
        check_kind(*state, kind);
    use_isa(before);
}

/* ---------------------------------------------------------------- independence */

static void a_list_does_not_depend_on_algorithm_threads_or_threshold(void **state)
{
    fixture *f = *state;
    test_batch t = {0};
    make_mixture(7, 40, &t);
    aim_pairs first = {0}, other = {0};
    assert_status(AIMNET_OK, build_as(f, &t, 5.0, AIM_ANY, NULL, &first));
    assert_status(AIMNET_OK, aim_pairs_check(&first, &t.b, 5.0));
    for (int algorithm = AIM_ANY; algorithm <= AIM_CELL_LIST; algorithm++) {
        assert_status(AIMNET_OK,
                      build_as(f, &t, 5.0, (aim_nlist_algorithm)algorithm, f->team, &other));
        assert_same_lists(&first, &other);
    }
    for (int threshold = 0; threshold < 500; threshold += 130) {
        assert_status(AIMNET_OK,
                      aim_nlist_build(f->nlist, &t.b, 5.0, threshold, 1, f->team, &other));
        assert_same_lists(&first, &other);
    }
    aim_pairs_free(&first, &f->alloc);
    aim_pairs_free(&other, &f->alloc);
    test_batch_free(&t);
}

static void a_systems_rows_do_not_depend_on_its_batch(void **state)
{
    fixture *f = *state;
    test_batch t = {0};
    make_mixture(11, 2 * N_KINDS, &t);
    aim_pairs all = {0}, one = {0};
    assert_status(AIMNET_OK, build_as(f, &t, 4.0, AIM_ANY, f->team, &all));
    for (int32_t s = 0; s < t.b.n_systems; s++) {
        test_batch single = {0};
        const int32_t first = t.offset[s], n = t.offset[s + 1] - first;
        const int32_t *pbc = t.pbc + 3 * s;
        test_batch_add(&single, n, t.coord + 3 * first,
                       pbc[0] | pbc[1] | pbc[2] ? t.cell + 9 * s : NULL, pbc);
        assert_status(AIMNET_OK, build_as(f, &single, 4.0, AIM_ANY, NULL, &one));
        const int64_t offset = all.row[first];
        assert_int_equal(one.n_pairs, all.row[first + n] - offset);
        for (int64_t p = 0; p < one.n_pairs; p++) {
            assert_int_equal(one.j[p] + first, all.j[p + offset]);
            assert_int_equal(one.reverse[p] + offset, all.reverse[p + offset]);
            if (one.shift)
                assert_memory_equal(one.shift[p], all.shift[p + offset], sizeof *one.shift);
        }
        test_batch_free(&single);
    }
    aim_pairs_free(&all, &f->alloc);
    aim_pairs_free(&one, &f->alloc);
    test_batch_free(&t);
}

static void several_cutoffs_in_one_pass_equal_single_lists(void **state)
{
    fixture *f = *state;
    test_batch t = {0};
    make_mixture(23, 30, &t);
    const double cutoffs[4] = {3.0, 6.5, 5.0, 6.5};
    aim_pairs many[4] = {{0}}, one = {0};
    const aim_nlist_request q = {4, cutoffs, 120, AIM_ANY, 1};
    assert_status(AIMNET_OK, aim_nlist_build_many(f->nlist, &t.b, &q, f->team, many));
    for (int c = 0; c < 4; c++) {
        assert_status(AIMNET_OK, build_as(f, &t, cutoffs[c], AIM_ANY, NULL, &one));
        assert_same_lists(&one, &many[c]);
        aim_pairs_free(&many[c], &f->alloc);
    }
    aim_pairs_free(&one, &f->alloc);
    test_batch_free(&t);
}

static void an_infinite_cutoff_gives_all_pairs_of_molecules(void **state)
{
    fixture *f = *state;
    test_batch t = {0};
    static sample s;
    uint64_t r = 5;
    make_sample(&r, KIND_CHAIN, &s);
    add_sample(&t, &s);
    aim_pairs pairs = {0};
    assert_status(AIMNET_OK, build_as(f, &t, INFINITY, AIM_ANY, NULL, &pairs));
    assert_int_equal(pairs.n_pairs, (int64_t)s.n * (s.n - 1));
    aim_pairs_free(&pairs, &f->alloc);
    test_batch_free(&t);
}

/* ---------------------------------------------------------------- symmetry */

static const int32_t *shift_of(const aim_pairs *l, int64_t p)
{
    static const aim_shift none = {0, 0, 0};
    return l->shift ? l->shift[p] : none;
}

/* Whether (i, j, s) is in the list. */
static int has_pair(const aim_pairs *l, int32_t i, int32_t j, const int32_t *s)
{
    for (int64_t p = l->row[i]; p < l->row[i + 1]; p++)
        if (l->j[p] == j && memcmp(shift_of(l, p), s, sizeof(aim_shift)) == 0)
            return 1;
    return 0;
}

static void moving_single_atoms_by_lattice_vectors_only_changes_shifts(void **state)
{
    fixture *f = *state;
    uint64_t r = 3;
    static sample s;
    for (int k = 0; k < 40; k++) {
        make_sample(&r, KIND_TRICLINIC, &s);
        test_batch before = {0}, after = {0};
        add_sample(&before, &s);
        aim_shift *by = calloc((size_t)s.n, sizeof *by);
        for (int32_t a = 0; a < s.n; a++)
            for (int d = 0; d < 3; d++) {
                by[a][d] = pick(&r, 7) - 3;
                for (int e = 0; e < 3; e++)
                    s.coord[3 * a + e] += by[a][d] * s.cell[3 * d + e];
            }
        add_sample(&after, &s);
        aim_pairs u = {0}, v = {0};
        assert_status(AIMNET_OK, build_as(f, &before, s.cutoff, AIM_ANY, NULL, &u));
        assert_status(AIMNET_OK, build_as(f, &after, s.cutoff, AIM_ANY, NULL, &v));
        assert_int_equal(u.n_pairs, v.n_pairs);
        for (int32_t i = 0; i < s.n; i++)
            for (int64_t p = u.row[i]; p < u.row[i + 1]; p++) {
                aim_shift moved;
                for (int d = 0; d < 3; d++)
                    moved[d] = u.shift[p][d] + by[i][d] - by[u.j[p]][d];
                assert_true(has_pair(&v, i, u.j[p], moved));
            }
        free(by);
        aim_pairs_free(&u, &f->alloc);
        aim_pairs_free(&v, &f->alloc);
        test_batch_free(&before);
        test_batch_free(&after);
    }
}

static void translating_a_system_leaves_its_list(void **state)
{
    fixture *f = *state;
    uint64_t r = 17;
    static sample s;
    for (int kind = 0; kind < N_KINDS; kind++) {
        if (kind == KIND_LATTICE)
            continue; /* pairs exactly at the cutoff may go either way */
        make_sample(&r, kind, &s);
        test_batch before = {0}, after = {0};
        add_sample(&before, &s);
        for (int32_t a = 0; a < s.n; a++)
            for (int d = 0; d < 3; d++)
                s.coord[3 * a + d] += 37.25 * (d + 1);
        add_sample(&after, &s);
        aim_pairs u = {0}, v = {0};
        assert_status(AIMNET_OK, build_as(f, &before, s.cutoff, AIM_ANY, NULL, &u));
        assert_status(AIMNET_OK, build_as(f, &after, s.cutoff, AIM_ANY, NULL, &v));
        assert_same_lists(&u, &v);
        aim_pairs_free(&u, &f->alloc);
        aim_pairs_free(&v, &f->alloc);
        test_batch_free(&before);
        test_batch_free(&after);
    }
}

static void permuting_atoms_permutes_the_list(void **state)
{
    fixture *f = *state;
    uint64_t r = 29;
    static sample s, q;
    for (int kind = 0; kind < N_KINDS; kind++) {
        make_sample(&r, kind, &s);
        q = s;
        int32_t *to = malloc((size_t)s.n * sizeof *to);
        for (int32_t a = 0; a < s.n; a++) {
            const int32_t other = pick(&r, a + 1);
            to[a] = to[other];
            to[other] = a;
        }
        for (int32_t a = 0; a < s.n; a++)
            memcpy(q.coord + 3 * to[a], s.coord + 3 * a, 3 * sizeof *s.coord);
        test_batch before = {0}, after = {0};
        add_sample(&before, &s);
        add_sample(&after, &q);
        aim_pairs u = {0}, v = {0};
        assert_status(AIMNET_OK, build_as(f, &before, s.cutoff, AIM_ANY, NULL, &u));
        assert_status(AIMNET_OK, build_as(f, &after, s.cutoff, AIM_ANY, NULL, &v));
        assert_int_equal(u.n_pairs, v.n_pairs);
        for (int32_t i = 0; i < s.n; i++)
            for (int64_t p = u.row[i]; p < u.row[i + 1]; p++)
                assert_true(has_pair(&v, to[i], to[u.j[p]], shift_of(&u, p)));
        free(to);
        aim_pairs_free(&u, &f->alloc);
        aim_pairs_free(&v, &f->alloc);
        test_batch_free(&before);
        test_batch_free(&after);
    }
}

/* ---------------------------------------------------------------- sizes and memory */

static void large_systems_agree_between_algorithms(void **state)
{
    fixture *f = *state;
    uint64_t r = 31;
    for (int periodic = 0; periodic < 2; periodic++) {
        const int32_t n = LARGE, pbc[3] = {1, 1, 1};
        const double length = cbrt(10.0 * n),
                     cell[9] = {length, 0, 0, 3.0, length, 0, 0, -5.0, length};
        double *x = malloc(3 * (size_t)n * sizeof *x);
        for (int32_t k = 0; k < 3 * n; k++)
            x[k] = uniform(&r, -3.0, length);
        test_batch t = {0};
        test_batch_add(&t, n, x, periodic ? cell : NULL, pbc);
        aim_pairs a = {0}, b = {0};
        assert_status(AIMNET_OK, build_as(f, &t, 5.0, AIM_ALL_PAIRS, f->team, &a));
        assert_status(AIMNET_OK, build_as(f, &t, 5.0, AIM_CELL_LIST, f->team, &b));
        assert_same_lists(&a, &b);
        assert_status(AIMNET_OK, aim_pairs_check(&b, &t.b, 5.0));
        assert_status(AIMNET_OK, build_as(f, &t, 5.0, AIM_CELL_LIST, NULL, &a));
        assert_same_lists(&a, &b);
        aim_pairs_free(&a, &f->alloc);
        aim_pairs_free(&b, &f->alloc);
        test_batch_free(&t);
        free(x);
    }
}

static void a_second_build_of_the_same_size_allocates_nothing(void **state)
{
    fixture *f = *state;
    for (int mixture = 0; mixture < 2; mixture++) {
        test_batch t = {0};
        make_mixture(41, mixture ? 3 * N_KINDS : 1, &t);
        aim_pairs pairs = {0};
        assert_status(AIMNET_OK, build_as(f, &t, 5.0, AIM_ANY, f->team, &pairs));
        const int before = n_allocations;
        for (int k = 0; k < 5; k++)
            assert_status(AIMNET_OK, build_as(f, &t, 5.0, AIM_ANY, f->team, &pairs));
        assert_int_equal(n_allocations, before);
        aim_pairs_free(&pairs, &f->alloc);
        test_batch_free(&t);
    }
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    test_batch small = {0}, t = {0};
    make_mixture(42, 1, &small);
    make_mixture(43, 2 * N_KINDS, &t);
    const aim_alloc alloc = counting;
    for (int n = 0;; n++) {
        aim_nlist *nlist = NULL;
        aim_pairs pairs[2] = {{0}};
        const double cutoffs[2] = {5.0, 3.0};
        const aim_nlist_request q = {2, cutoffs, 120, AIM_ANY, 1};
        n_allocations = 0;
        fail_at = n;
        aim_status status = aim_nlist_create(&alloc, &nlist);
        if (status == AIMNET_OK)
            status = aim_nlist_build_many(nlist, &small.b, &q, NULL, pairs);
        if (status == AIMNET_OK)
            status = aim_nlist_build_many(nlist, &t.b, &q, NULL, pairs);
        fail_at = -1;
        if (status != AIMNET_OK && nlist) { /* still usable */
            assert_int_equal(pairs[0].n_pairs, 0);
            assert_status(AIMNET_OK, aim_nlist_build_many(nlist, &t.b, &q, NULL, pairs));
            assert_status(AIMNET_OK, aim_pairs_check(&pairs[0], &t.b, 5.0));
        }
        aim_pairs_free(&pairs[0], &alloc);
        aim_pairs_free(&pairs[1], &alloc);
        aim_nlist_free(nlist);
        if (status == AIMNET_OK)
            break;
        assert_int_equal(status, AIMNET_ERR_MEMORY);
        assert_true(n < 200);
    }
    test_batch_free(&small);
    test_batch_free(&t);
}

static void more_than_2_to_the_31_pairs_are_counted(void **state)
{
    fixture *f = *state;
    if (INSTRUMENTED)
        skip();
    const int32_t n = 46400;
    double *x = calloc(3 * (size_t)n, sizeof *x); /* all at the origin */
    test_batch t = {0};
    test_batch_add(&t, n, x, NULL, NULL);
    const double cutoff = 5.0;
    const aim_nlist_request q = {1, &cutoff, 120, AIM_ANY, 0};
    aim_pairs pairs = {0};
    assert_status(AIMNET_OK, aim_nlist_count(f->nlist, &t.b, &q, f->team, &pairs));
    assert_true(pairs.n_pairs == (int64_t)n * (n - 1) && pairs.n_pairs > INT64_C(2147483648));
    aim_pairs_free(&pairs, &f->alloc);
    test_batch_free(&t);
    free(x);
}

static void batches_without_atoms_or_pairs_give_empty_lists(void **state)
{
    fixture *f = *state;
    test_batch t = {0};
    aim_pairs pairs = {0};
    const double far[6] = {0, 0, 0, 100, 0, 0}, cell[9] = {300, 0, 0, 0, 300, 0, 0, 0, 300};
    const int32_t pbc[3] = {1, 1, 1};
    test_batch_add(&t, 0, NULL, NULL, NULL);
    assert_status(AIMNET_OK, aim_nlist_build(f->nlist, &t.b, 5.0, 120, 1, f->team, &pairs));
    assert_int_equal(pairs.n_pairs, 0);
    test_batch_add(&t, 2, far, cell, pbc);
    test_batch_add(&t, 0, NULL, cell, pbc);
    test_batch_add(&t, 1, far, NULL, NULL);
    assert_status(AIMNET_OK, aim_nlist_build(f->nlist, &t.b, 5.0, 0, 1, f->team, &pairs));
    assert_int_equal(pairs.n_pairs, 0);
    assert_int_equal(pairs.n_atoms, 3);
    assert_non_null(pairs.shift);
    assert_status(AIMNET_OK, aim_pairs_check(&pairs, &t.b, 5.0));
    aim_pairs_free(&pairs, &f->alloc);
    test_batch_free(&t);
}

/* ---------------------------------------------------------------- refused input */

static void assert_refused(fixture *f, const double *coord, const double *cell, double cutoff,
                           aim_status expected, const char *part)
{
    static const int32_t pbc[3] = {1, 1, 1};
    test_batch t = {0};
    aim_pairs pairs = {0};
    const double good[3] = {0, 0, 0};
    test_batch_add(&t, 1, good, NULL, NULL);
    test_batch_add(&t, 2, coord, cell, pbc);
    assert_status(expected, aim_nlist_build(f->nlist, &t.b, cutoff, 120, 0, NULL, &pairs));
    if (!strstr(aimnet_last_error(), part))
        fail_msg("'%s' is not in '%s'", part, aimnet_last_error());
    aim_pairs_free(&pairs, &f->alloc);
    test_batch_free(&t);
}

static void bad_coordinates_cells_and_cutoffs_are_refused_by_name(void **state)
{
    fixture *f = *state;
    const double good[6] = {0, 0, 0, 1, 0, 0}, cell[9] = {4, 0, 0, 0, 4, 0, 0, 0, 4};
    const double bad[5] = {NAN, INFINITY, -INFINITY, 1e300, -1.1e9};
    for (int k = 0; k < 5; k++)
        for (int periodic = 0; periodic < 2; periodic++) {
            const double x[6] = {0, 0, 0, 1, bad[k], 0};
            assert_refused(f, x, periodic ? cell : NULL, 5.0, AIMNET_ERR_SYSTEM,
                           "system 1: coordinate y of atom 1");
        }
    const double singular[][9] = {{4, 0, 0, 8, 0, 0, 0, 0, 4},
                                  {4, 0, 0, 0, 4, 0, 4, 4, 0},
                                  {0, 0, 0, 0, 4, 0, 0, 0, 4},
                                  {1e-300, 0, 0, 0, 1e-300, 0, 0, 0, 1e-300},
                                  {4, 0, 0, 0, 4, 0, 0.3, 0.2, 1e-13}};
    for (size_t k = 0; k < sizeof singular / sizeof *singular; k++)
        assert_refused(f, good, singular[k], 5.0, AIMNET_ERR_SYSTEM,
                       "system 1: the periodic cell vectors");
    const double not_finite[9] = {4, 0, 0, 0, NAN, 0, 0, 0, 4},
                 small[9] = {1e-3, 0, 0, 0, 4, 0, 0, 0, 4};
    assert_refused(f, good, not_finite, 5.0, AIMNET_ERR_SYSTEM,
                   "system 1: component 1 of cell vector 1");
    assert_refused(f, good, small, 5.0, AIMNET_ERR_SYSTEM, "images");
    assert_refused(f, good, cell, INFINITY, AIMNET_ERR_SYSTEM, "images");
    const double far[6] = {0, 0, 0, 9e8, 0, 0}, thin[9] = {0.5, 0, 0, 0, 4, 0, 0, 0, 4};
    assert_refused(f, far, thin, 5.0, AIMNET_ERR_SYSTEM, "too many cells away");
    const double cutoffs[3] = {0.0, -1.0, NAN};
    for (int k = 0; k < 3; k++)
        assert_refused(f, good, NULL, cutoffs[k], AIMNET_ERR_ARG, "cutoff");
}

static void systems_of_extreme_shape_need_little_time_and_memory(void **state)
{
    fixture *f = *state;
    const int32_t n = EXTREME, pbc[3] = {1, 1, 1};
    const double huge[9] = {1e8, 0, 0, 0, 1e8, 0, 0, 0, 1e8};
    double *x = malloc(3 * (size_t)n * sizeof *x);
    uint64_t r = 77;
    for (int32_t a = 0; a < n; a++)
        for (int d = 0; d < 3; d++)
            x[3 * a + d] = uniform(&r, 0.0, cbrt(10.0 * n)) +
                           (a % 2 ? 9e7 : 0.0); /* two dense drops far apart */
    for (int periodic = 0; periodic < 2; periodic++) {
        test_batch t = {0};
        test_batch_add(&t, n, x, periodic ? huge : NULL, pbc);
        aim_pairs pairs = {0};
        assert_status(AIMNET_OK, aim_nlist_build(f->nlist, &t.b, 5.0, 120, 1, f->team, &pairs));
        assert_in_range(pairs.n_pairs, 15 * n, 40 * n);
        assert_status(AIMNET_OK, aim_pairs_check(&pairs, &t.b, 5.0));
        aim_pairs_free(&pairs, &f->alloc);
        test_batch_free(&t);
    }
    free(x);
}

static void the_checker_finds_every_broken_invariant(void **state)
{
    fixture *f = *state;
    static sample s;
    uint64_t r = 51;
    do
        make_sample(&r, KIND_TRICLINIC, &s);
    while (s.n < 20);
    test_batch t = {0};
    add_sample(&t, &s);
    aim_pairs l = {0};
    assert_status(AIMNET_OK, build_as(f, &t, s.cutoff, AIM_ANY, NULL, &l));
    assert_true(l.n_pairs > 10);
    l.j[3] = t.b.n_atoms;
    assert_status(AIMNET_ERR_INTERNAL, aim_pairs_check(&l, &t.b, s.cutoff));
    assert_status(AIMNET_OK, build_as(f, &t, s.cutoff, AIM_ANY, NULL, &l));
    l.shift[5][0] += 7;
    assert_status(AIMNET_ERR_INTERNAL, aim_pairs_check(&l, &t.b, s.cutoff));
    assert_status(AIMNET_OK, build_as(f, &t, s.cutoff, AIM_ANY, NULL, &l));
    l.reverse[5]++;
    assert_status(AIMNET_ERR_INTERNAL, aim_pairs_check(&l, &t.b, s.cutoff));
    assert_status(AIMNET_OK, build_as(f, &t, s.cutoff, AIM_ANY, NULL, &l));
    l.row[1]++;
    assert_status(AIMNET_ERR_INTERNAL, aim_pairs_check(&l, &t.b, s.cutoff));
    assert_status(AIMNET_OK, build_as(f, &t, s.cutoff, AIM_ANY, NULL, &l));
    assert_status(AIMNET_ERR_INTERNAL, aim_pairs_check(&l, &t.b, 0.9 * s.cutoff));
    aim_pairs_free(&l, &f->alloc);
    test_batch_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_every_kind_equal_explicit_enumeration),
        cmocka_unit_test(a_list_does_not_depend_on_algorithm_threads_or_threshold),
        cmocka_unit_test(a_systems_rows_do_not_depend_on_its_batch),
        cmocka_unit_test(several_cutoffs_in_one_pass_equal_single_lists),
        cmocka_unit_test(an_infinite_cutoff_gives_all_pairs_of_molecules),
        cmocka_unit_test(moving_single_atoms_by_lattice_vectors_only_changes_shifts),
        cmocka_unit_test(translating_a_system_leaves_its_list),
        cmocka_unit_test(permuting_atoms_permutes_the_list),
        cmocka_unit_test(large_systems_agree_between_algorithms),
        cmocka_unit_test(a_second_build_of_the_same_size_allocates_nothing),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
        cmocka_unit_test(more_than_2_to_the_31_pairs_are_counted),
        cmocka_unit_test(batches_without_atoms_or_pairs_give_empty_lists),
        cmocka_unit_test(bad_coordinates_cells_and_cutoffs_are_refused_by_name),
        cmocka_unit_test(systems_of_extreme_shape_need_little_time_and_memory),
        cmocka_unit_test(the_checker_finds_every_broken_invariant),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
