/* SPDX-License-Identifier: MIT */
/* test_nlist_api.c - the public neighbour lists: forms, overflow, the adaptive matrix, checks of
 * supplied lists, wrapping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "nlist_test.h"

/* ---------------------------------------------------------------- forms */

static void all_forms_hold_the_same_pairs(void **state)
{
    (void)state;
    const aimnet_nlist_options o = few_threads();
    aimnet_nlist *nl;
    test_batch t = {0};
    make_mixture(3, 2 * N_KINDS, &t);
    const aimnet_atoms atoms = public_batch(&t);
    const double cutoffs[2] = {5.0, 3.5};
    assert_status(AIMNET_OK, aimnet_nlist_create(&o, &nl));
    assert_status(AIMNET_OK, aimnet_nlist_build(nl, &atoms, cutoffs, 2));
    for (int c = 0; c < 2; c++) {
        aimnet_pairs csr;
        int64_t n = -1, counted = -1;
        int32_t longest = -1, needed = -1;
        assert_status(AIMNET_OK, aimnet_nlist_csr(nl, c, &csr));
        assert_true(csr.cutoff == cutoffs[c]);
        assert_failure(
            aimnet_nlist_coo(nl, c, NULL, csr.n_pairs - 1, &n, NULL, NULL, NULL, NULL, NULL),
            AIMNET_ERR_OVERFLOW, "pairs do not fit");
        assert_int_equal(n, csr.n_pairs);
        const size_t size = (size_t)n;
        int32_t *i = malloc(size * sizeof *i), *j = malloc(size * sizeof *j),
                *shift = malloc(3 * size * sizeof *shift);
        double *vector = malloc(3 * size * sizeof *vector),
               *distance = malloc(size * sizeof *distance);
        assert_status(AIMNET_OK,
                      aimnet_nlist_coo(nl, c, &atoms, n, NULL, i, j, shift, vector, distance));
        assert_memory_equal(j, csr.j, size * sizeof *j);
        assert_memory_equal(shift, csr.shift, 3 * size * sizeof *shift);
        assert_failure(aimnet_nlist_matrix(nl, c, 16, j, NULL, NULL, &needed), AIMNET_ERR_OVERFLOW,
                       "are needed");
        assert_true(needed % 16 == 0 && needed >= csr.max_neighbors &&
                    needed < csr.max_neighbors + 16);
        const size_t rows = (size_t)t.b.n_atoms + 1, width = (size_t)needed;
        int32_t *nbmat = malloc(rows * width * sizeof *nbmat),
                *shifts = malloc(3 * rows * width * sizeof *shifts),
                *count = malloc(rows * sizeof *count);
        assert_status(AIMNET_OK, aimnet_nlist_matrix(nl, c, needed, nbmat, shifts, count, NULL));
        for (int32_t a = 0; a <= t.b.n_atoms; a++) {
            const int64_t first = a < t.b.n_atoms ? csr.row[a] : n,
                          end = a < t.b.n_atoms ? csr.row[a + 1] : n;
            if (a < t.b.n_atoms)
                assert_int_equal(count[a], end - first);
            for (int64_t k = 0; k < needed; k++) {
                const size_t at = (size_t)a * width + (size_t)k;
                const int64_t p = first + k;
                if (p >= end) {
                    assert_int_equal(nbmat[at], t.b.n_atoms);
                    assert_true(shifts[3 * at] == 0 && shifts[3 * at + 1] == 0 &&
                                shifts[3 * at + 2] == 0);
                    continue;
                }
                assert_int_equal(i[p], a);
                assert_int_equal(nbmat[at], j[p]);
                assert_memory_equal(shifts + 3 * at, shift + 3 * p, sizeof(aim_shift));
                double d2 = 0.0;
                for (int d = 0; d < 3; d++)
                    d2 += vector[3 * p + d] * vector[3 * p + d];
                assert_true(distance[p] < cutoffs[c] && fabs(distance[p] - sqrt(d2)) < 1e-12);
            }
        }
        assert_status(AIMNET_OK, aimnet_nlist_check(&atoms, cutoffs[c], nbmat, t.b.n_atoms + 1,
                                                    needed, shifts, 1, &o));
        aimnet_nlist *counter;
        assert_status(AIMNET_OK, aimnet_nlist_create(&o, &counter));
        assert_status(AIMNET_OK,
                      aimnet_nlist_count(counter, &atoms, cutoffs[c], &counted, &longest));
        assert_true(counted == csr.n_pairs && longest == csr.max_neighbors);
        assert_failure(aimnet_nlist_csr(counter, 0, &csr), AIMNET_ERR_ARG, "build the lists first");
        aimnet_nlist_free(counter);
        void *blocks[] = {i, j, shift, vector, distance, nbmat, shifts, count};
        for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++)
            free(blocks[k]);
    }
    aimnet_nlist_free(nl);
    test_batch_free(&t);
}

static void the_three_layouts_of_a_batch_give_the_same_list(void **state)
{
    (void)state;
    enum { B = 5, N = 7 };
    double coord[3 * B * N], cells[9 * B];
    int32_t mol_idx[B * N], pbc[3 * B];
    uint64_t r = 9;
    for (int k = 0; k < 3 * B * N; k++)
        coord[k] = uniform(&r, 0.0, 6.0);
    for (int k = 0; k < B * N; k++)
        mol_idx[k] = k / N;
    for (int k = 0; k < 9 * B; k++)
        cells[k] = k % 9 % 4 == 0 ? 6.0 : 0.3;
    for (int k = 0; k < 3 * B; k++)
        pbc[k] = 1;
    const aimnet_atoms layouts[4] = {
        {B * N, B, coord, NULL, 1, cells, 0, NULL},
        {B * N, B, coord, mol_idx, B, cells, B, pbc},
        {B * N, B, coord, NULL, B, cells, 1, pbc},
        {B * N, B, coord, mol_idx, 1, cells, 1, pbc},
    };
    const double cutoff = 4.0;
    aimnet_nlist *nl[4];
    aimnet_pairs p[4];
    for (int k = 0; k < 4; k++) {
        assert_status(AIMNET_OK, aimnet_nlist_create(NULL, &nl[k]));
        assert_status(AIMNET_OK, aimnet_nlist_build(nl[k], &layouts[k], &cutoff, 1));
        assert_status(AIMNET_OK, aimnet_nlist_csr(nl[k], 0, &p[k]));
        assert_true(p[k].n_pairs == p[0].n_pairs && p[k].n_pairs > 0);
        assert_memory_equal(p[k].j, p[0].j, (size_t)p[k].n_pairs * sizeof(int32_t));
        assert_memory_equal(p[k].shift, p[0].shift, 3 * (size_t)p[k].n_pairs * sizeof(int32_t));
    }
    for (int k = 0; k < 4; k++)
        aimnet_nlist_free(nl[k]);
}

static void wrong_input_is_refused_with_its_remedy(void **state)
{
    (void)state;
    aimnet_nlist *nl;
    const double x[12] = {0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0}, cutoff = 5.0, cells[18] = {0};
    const int32_t skipped[4] = {0, 0, 2, 2}, unsorted[4] = {0, 1, 0, 1}, late[4] = {1, 1, 2, 2},
                  negative[4] = {-1, 0, 0, 1};
    aimnet_nlist_options o = few_threads();
    o.threads = -1;
    assert_failure(aimnet_nlist_create(&o, &nl), AIMNET_ERR_ARG, "threads");
    o = few_threads();
    o.struct_size = 0;
    assert_failure(aimnet_nlist_create(&o, &nl), AIMNET_ERR_ARG, "struct_size");
    o = few_threads();
    o.algorithm = (aimnet_nlist_algorithm)7;
    assert_failure(aimnet_nlist_create(&o, &nl), AIMNET_ERR_ARG, "algorithm");
    assert_null(nl);
    assert_status(AIMNET_OK, aimnet_nlist_create(NULL, &nl));
    aimnet_atoms a = {.n_atoms = 4, .coord = x, .n_systems = 2};
    a.mol_idx = skipped;
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 1), AIMNET_ERR_ARG,
                   "mol_idx[2] is 2 where 0 or the next");
    a.mol_idx = unsorted;
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 1), AIMNET_ERR_ARG,
                   "mol_idx[2] is 0 where 1 or the next");
    a.mol_idx = late;
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 1), AIMNET_ERR_ARG, "mol_idx[0] is 1");
    a.mol_idx = negative;
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 1), AIMNET_ERR_ARG, "mol_idx[0] is -1");
    a.mol_idx = NULL;
    a.n_systems = 3;
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 1), AIMNET_ERR_ARG, "do not divide");
    a.n_cells = 2;
    a.cell = cells;
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 1), AIMNET_ERR_ARG, "n_cells is 2");
    a.n_cells = 0;
    a.n_systems = 1;
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 0), AIMNET_ERR_ARG, "0 cutoffs");
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 9), AIMNET_ERR_ARG, "9 cutoffs");
    assert_failure(aimnet_nlist_build(nl, &a, NULL, 1), AIMNET_ERR_ARG, "cutoffs is NULL");
    assert_failure(aimnet_nlist_build(nl, NULL, &cutoff, 1), AIMNET_ERR_ARG, "atoms is NULL");
    a.coord = NULL;
    assert_failure(aimnet_nlist_build(nl, &a, &cutoff, 1), AIMNET_ERR_ARG, "coord is NULL");
    a.coord = x;
    assert_status(AIMNET_OK, aimnet_nlist_build(nl, &a, &cutoff, 1));
    assert_failure(aimnet_nlist_matrix(nl, 0, 17, NULL, NULL, NULL, NULL), AIMNET_ERR_ARG,
                   "multiple of 16");
    assert_failure(aimnet_nlist_matrix(nl, 1, 16, NULL, NULL, NULL, NULL), AIMNET_ERR_ARG,
                   "list 1 of 1");
    const double cube[9] = {6, 0, 0, 0, 6, 0, 0, 0, 6};
    double distance[64];
    a.n_cells = 1;
    a.cell = cube;
    assert_status(AIMNET_OK, aimnet_nlist_build(nl, &a, &cutoff, 1));
    assert_status(AIMNET_OK,
                  aimnet_nlist_coo(nl, 0, &a, 64, NULL, NULL, NULL, NULL, NULL, distance));
    a.n_cells = 0;
    assert_failure(aimnet_nlist_coo(nl, 0, &a, 64, NULL, NULL, NULL, NULL, NULL, distance),
                   AIMNET_ERR_ARG, "periodic directions");
    aimnet_nlist_free(nl);
    aimnet_nlist_free(NULL);
    aimnet_adaptive_list_free(NULL);
    aimnet_skin_list_free(NULL);
}

/* ---------------------------------------------------------------- adaptive matrix */

/* n atoms in a box at the given number density. */
static void gas(uint64_t seed, int32_t n, double density, double *x)
{
    const double length = cbrt(n / density);
    for (int32_t k = 0; k < 3 * n; k++)
        x[k] = uniform(&seed, 0.0, length);
}

static void the_adaptive_matrix_grows_shrinks_and_counts_its_retries(void **state)
{
    (void)state;
    enum { N = 600 };
    static double dense[3 * N], thin[3 * N];
    gas(1, N, 1.2, dense);
    gas(2, N, 0.01, thin);
    const aimnet_nlist_options o = few_threads();
    aimnet_adaptive_list *list;
    aimnet_matrix m;
    assert_status(AIMNET_OK, aimnet_adaptive_list_create(5.0, 0.0, &o, &list));
    assert_int_equal(aimnet_adaptive_list_width(list), 112); /* 0.2 * 4/3 pi 125 = 104.7 */
    const aimnet_atoms a = {.n_atoms = N, .coord = dense}, b = {.n_atoms = N, .coord = thin};
    assert_status(AIMNET_OK, aimnet_adaptive_list_build(list, &a, &m));
    int32_t width = 112, retries = 0;
    for (; width < m.max_neighbors; retries++)
        width = (width * 3 / 2 + 15) / 16 * 16;
    assert_true(retries > 2);
    assert_int_equal(m.retries, retries);
    assert_int_equal(m.width, width);
    assert_int_equal(aimnet_adaptive_list_retries(list), retries);
    assert_status(AIMNET_OK, aimnet_nlist_check(&a, 5.0, m.nbmat, N + 1, m.width, m.shifts, 1, &o));
    assert_status(AIMNET_OK, aimnet_adaptive_list_build(list, &a, &m));
    assert_int_equal(m.retries, 0);
    assert_status(AIMNET_OK, aimnet_adaptive_list_build(list, &b, &m));
    assert_int_equal(m.width, width); /* shrinks for the next one */
    assert_int_equal(aimnet_adaptive_list_width(list),
                     ((int32_t)(m.max_neighbors / 0.75) + 15) / 16 * 16);
    assert_status(AIMNET_OK, aimnet_adaptive_list_build(list, &b, &m));
    assert_int_equal(m.retries, 0);
    assert_true(m.width < 48);
    const int before = n_allocations;
    assert_status(AIMNET_OK, aimnet_adaptive_list_build(list, &b, &m));
    assert_int_equal(n_allocations, before);
    assert_int_equal(aimnet_adaptive_list_retries(list), retries);
    aimnet_adaptive_list_free(list);
}

static void the_adaptive_width_does_not_change_for_small_fluctuations(void **state)
{
    (void)state;
    enum { N = 400 };
    static double x[3 * N];
    aimnet_adaptive_list *list;
    aimnet_matrix m;
    assert_status(AIMNET_OK, aimnet_adaptive_list_create(5.0, 0.1, NULL, &list));
    uint64_t r = 4;
    gas(3, N, 0.1, x);
    const aimnet_atoms a = {.n_atoms = N, .coord = x};
    assert_status(AIMNET_OK, aimnet_adaptive_list_build(list, &a, &m));
    const int32_t width = aimnet_adaptive_list_width(list);
    for (int step = 0; step < 20; step++) {
        for (int k = 0; k < 3 * N; k++)
            x[k] += uniform(&r, -0.05, 0.05);
        assert_status(AIMNET_OK, aimnet_adaptive_list_build(list, &a, &m));
        assert_int_equal(aimnet_adaptive_list_width(list), width);
    }
    aimnet_adaptive_list_free(list);
    assert_failure(aimnet_adaptive_list_create(0.0, 0.0, NULL, &list), AIMNET_ERR_ARG, "cutoff");
    assert_failure(aimnet_adaptive_list_create(5.0, -1.0, NULL, &list), AIMNET_ERR_ARG, "density");
}

/* ---------------------------------------------------------------- lists of the caller */

static void supplied_lists_are_checked(void **state)
{
    (void)state;
    static sample s;
    sample_of_kind(15, KIND_TRICLINIC, 30, &s);
    s.pbc[2] = 0;
    const aimnet_atoms a = public_atoms(&s);
    const aimnet_nlist_options o = few_threads();
    aimnet_adaptive_list *list;
    aimnet_matrix m;
    assert_status(AIMNET_OK, aimnet_adaptive_list_create(s.cutoff, 0.0, &o, &list));
    assert_status(AIMNET_OK, aimnet_adaptive_list_build(list, &a, &m));
    const size_t width = (size_t)m.width, size = (size_t)(s.n + 1) * width;
    int32_t *nb = malloc(size * sizeof *nb), *sh = malloc(3 * size * sizeof *sh);
#define RESET()                                                                                    \
    (memcpy(nb, m.nbmat, size * sizeof *nb), memcpy(sh, m.shifts, 3 * size * sizeof *sh))
#define CHECK(cutoff, complete)                                                                    \
    aimnet_nlist_check(&a, cutoff, nb, s.n + 1, m.width, sh, complete, &o)
    RESET();
    assert_status(AIMNET_OK, CHECK(s.cutoff, 1));
    assert_status(AIMNET_OK, aimnet_nlist_check(&a, s.cutoff, nb, s.n, m.width, sh, 1, NULL));
    for (size_t k = 0; k < (size_t)m.num_neighbors[0] / 2;
         k++) { /* order and place of padding do not matter */
        const size_t b = width - 1 - k;
        nb[b] = m.nbmat[k];
        nb[k] = m.nbmat[b];
        for (size_t e = 0; e < 3; e++) {
            sh[3 * b + e] = m.shifts[3 * k + e];
            sh[3 * k + e] = m.shifts[3 * b + e];
        }
    }
    assert_status(AIMNET_OK, CHECK(s.cutoff, 1));
    assert_status(AIMNET_OK, CHECK(0.8 * s.cutoff, 1));
    assert_failure(CHECK(1.2 * s.cutoff, 1), AIMNET_ERR_ARG, "although it is within the cutoff");
    assert_status(AIMNET_OK, CHECK(1.2 * s.cutoff, 0));
    RESET();
    nb[width] = s.n + 1;
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "nbmat[1][0] is");
    nb[width] = -1;
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "nbmat[1][0] is -1");
    RESET();
    nb[0] = s.n; /* the opposite pair stays */
    sh[0] = sh[1] = sh[2] = 0;
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "but not the opposite");
    RESET();
    nb[1] = nb[0];
    memcpy(sh + 3, sh, sizeof(aim_shift));
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "is twice a neighbour");
    RESET();
    sh[2] = 1;
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "along direction 2, which is not periodic");
    RESET();
    sh[0] = INT32_MIN;
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "whose opposite does not exist");
    RESET();
    nb[0] = 0;
    sh[0] = sh[1] = sh[2] = 0;
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "its own neighbour");
    RESET();
    nb[size - 1] = 0;
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "last row must hold padding");
    RESET();
    sh[3 * size - 1] = 1;
    assert_failure(CHECK(s.cutoff, 0), AIMNET_ERR_ARG, "but it is padding");
    assert_failure(aimnet_nlist_check(&a, s.cutoff, nb, s.n - 1, m.width, sh, 0, &o),
                   AIMNET_ERR_ARG, "rows");
    free(nb);
    free(sh);
    aimnet_adaptive_list_free(list);
#undef RESET
#undef CHECK
    const double two[6] = {0, 0, 0, 1, 0, 0};
    const int32_t joined[2] = {1, 0};
    const aimnet_atoms b = {.n_atoms = 2, .n_systems = 2, .coord = two};
    assert_failure(aimnet_nlist_check(&b, 5.0, joined, 2, 1, NULL, 0, &o), AIMNET_ERR_ARG,
                   "different systems");
    const aimnet_atoms c = {.n_atoms = 2, .n_systems = 1, .coord = two};
    assert_status(AIMNET_OK, aimnet_nlist_check(&c, 5.0, joined, 2, 1, NULL, 1, &o));
}

/* ---------------------------------------------------------------- wrapping */

static void wrapped_atoms_are_inside_and_differ_by_whole_cell_vectors(void **state)
{
    (void)state;
    uint64_t r = 77;
    static sample s;
    static double wrapped[3 * 400], again[3 * 400];
    static int32_t shift[3 * 400];
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int k = 0; k < 10; k++) {
            make_sample(&r, kind, &s);
            const aimnet_atoms a = public_atoms(&s);
            assert_status(AIMNET_OK, aimnet_wrap(&a, wrapped, shift));
            if (!s.has_cell || !(s.pbc[0] | s.pbc[1] | s.pbc[2])) {
                assert_memory_equal(wrapped, s.coord, 3 * (size_t)s.n * sizeof *wrapped);
                continue;
            }
            for (int32_t i = 0; i < s.n; i++) {
                for (int d = 0; d < 3; d++) {
                    const double back = wrapped[3 * i + d] + shift[3 * i] * s.cell[d] +
                                        shift[3 * i + 1] * s.cell[3 + d] +
                                        shift[3 * i + 2] * s.cell[6 + d];
                    assert_true(fabs(back - s.coord[3 * i + d]) < 1e-9);
                    assert_true(s.pbc[d] || shift[3 * i + d] == 0);
                }
                if (kind == KIND_SLAB_NO_CELL_VECTOR)
                    continue;
                for (int d = 0; d < 3; d++) { /* Cramer's rule for the fractional coordinates */
                    double m[9];
                    memcpy(m, s.cell, sizeof m);
                    memcpy(m + 3 * d, wrapped + 3 * i, 3 * sizeof *m);
                    const double f = cell_volume(m) / cell_volume(s.cell);
                    assert_true(!s.pbc[d] || (f > -1e-9 && f < 1.0 + 1e-9));
                }
            }
            aimnet_atoms b = a;
            b.coord = wrapped;
            assert_status(AIMNET_OK, aimnet_wrap(&b, again, NULL));
            if (kind != KIND_LATTICE)
                assert_memory_equal(wrapped, again, 3 * (size_t)s.n * sizeof *wrapped);
        }
}

static void wrapping_works_in_place_for_batches_and_refuses_bad_input(void **state)
{
    (void)state;
    double x[12] = {5, 0, 0, -1, 0, 0, 5, 7, 0, 0.5, -0.5, 9};
    const double cells[18] = {4, 0, 0, 0, 4, 0, 0, 0, 4, 3, 0, 0, 0, 3, 0, 0, 0, 3},
                 singular[9] = {1, 0, 0, 2, 0, 0, 0, 0, 1};
    const int32_t pbc[6] = {1, 1, 1, 1, 1, 0}, mol_idx[4] = {0, 0, 0, 1};
    const double expected[12] = {1, 0, 0, 3, 0, 0, 2, 1, 0, 0.5, 2.5, 9},
                 flat[12] = {1, 0, 0, 3, 0, 0, 1, 3, 0, 0.5, 2.5, 9};
    double y[12];
    aimnet_atoms a = {.n_atoms = 4,
                      .n_systems = 2,
                      .coord = x,
                      .n_cells = 2,
                      .cell = cells,
                      .n_pbc = 2,
                      .pbc = pbc};
    assert_status(AIMNET_OK, aimnet_wrap(&a, y, NULL));
    assert_memory_equal(y, expected, sizeof y);
    a.mol_idx = mol_idx;
    assert_status(AIMNET_OK, aimnet_wrap(&a, x, NULL));
    assert_memory_equal(x, flat, sizeof x);
    x[4] = NAN;
    assert_failure(aimnet_wrap(&a, x, NULL), AIMNET_ERR_SYSTEM, "coordinate y");
    x[4] = 0.0;
    a.n_cells = 1;
    a.cell = singular;
    assert_failure(aimnet_wrap(&a, x, NULL), AIMNET_ERR_SYSTEM, "system 0");
    assert_failure(aimnet_wrap(&a, NULL, NULL), AIMNET_ERR_ARG, "wrapped is NULL");
}

/* ---------------------------------------------------------------- memory */

static aimnet_status use_everything(const aimnet_atoms *a, const aimnet_atoms *b,
                                    const aimnet_nlist_options *o)
{
    aimnet_adaptive_list *adaptive = NULL;
    aimnet_skin_list *skin = NULL;
    aimnet_matrix m;
    aimnet_pairs p;
    aimnet_status status = aimnet_adaptive_list_create(4.0, 0.0, o, &adaptive);
    if (status == AIMNET_OK)
        status = aimnet_adaptive_list_build(adaptive, a, &m);
    if (status == AIMNET_OK)
        status = aimnet_adaptive_list_build(adaptive, b, &m);
    if (status == AIMNET_OK)
        status = aimnet_nlist_check(b, 4.0, m.nbmat, m.n_atoms + 1, m.width, m.shifts, 1, o);
    if (status == AIMNET_OK)
        status = aimnet_skin_list_create(4.0, 0.5, o, &skin);
    if (status == AIMNET_OK)
        status = aimnet_skin_list_update(skin, a, NULL, &p);
    if (status == AIMNET_OK)
        status = aimnet_skin_list_update(skin, b, NULL, &p);
    aimnet_adaptive_list_free(adaptive);
    aimnet_skin_list_free(skin);
    return status;
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    test_batch small = {0}, t = {0};
    make_mixture(5, 1, &small);
    make_mixture(6, N_KINDS, &t);
    const aimnet_atoms a = public_batch(&small), b = public_batch(&t);
    aimnet_nlist_options o = few_threads();
    o.threads = 1;
    aimnet_status status = AIMNET_ERR_MEMORY;
    for (int n = 0; status != AIMNET_OK; n++) {
        n_allocations = 0;
        fail_at = n;
        status = use_everything(&a, &b, &o);
        fail_at = -1;
        assert_true(status == AIMNET_OK || status == AIMNET_ERR_MEMORY);
        assert_true(n < 400);
    }
    test_batch_free(&small);
    test_batch_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_forms_hold_the_same_pairs),
        cmocka_unit_test(the_three_layouts_of_a_batch_give_the_same_list),
        cmocka_unit_test(wrong_input_is_refused_with_its_remedy),
        cmocka_unit_test(the_adaptive_matrix_grows_shrinks_and_counts_its_retries),
        cmocka_unit_test(the_adaptive_width_does_not_change_for_small_fluctuations),
        cmocka_unit_test(supplied_lists_are_checked),
        cmocka_unit_test(wrapped_atoms_are_inside_and_differ_by_whole_cell_vectors),
        cmocka_unit_test(wrapping_works_in_place_for_batches_and_refuses_bad_input),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
