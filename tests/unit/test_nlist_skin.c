/* SPDX-License-Identifier: MIT */
/* test_nlist_skin.c - Verlet lists along random walks of atoms and cells: always equal to fresh
 * lists, searched as rarely as the skin allows, and searched anew whenever the system is another
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "nlist_test.h"

static void assert_same_view(const aimnet_pairs *a, const aimnet_pairs *b)
{
    assert_int_equal(a->n_pairs, b->n_pairs);
    assert_int_equal(a->max_neighbors, b->max_neighbors);
    assert_memory_equal(a->row, b->row, (size_t)(a->n_atoms + 1) * sizeof *a->row);
    if (a->n_pairs == 0)
        return;
    assert_memory_equal(a->j, b->j, (size_t)a->n_pairs * sizeof *a->j);
    if (a->shift)
        assert_memory_equal(a->shift, b->shift, 3 * (size_t)a->n_pairs * sizeof *a->shift);
    if (a->reverse)
        assert_memory_equal(a->reverse, b->reverse, (size_t)a->n_pairs * sizeof *a->reverse);
}

static void walk_with_skin(int kind, double step, double strain, int *searches, int steps)
{
    aimnet_nlist_options o = few_threads();
    o.reverse = 1;
    static sample s;
    sample_of_kind((uint64_t)kind + 60, kind, 10, &s);
    const aimnet_atoms atoms = public_atoms(&s);
    aimnet_skin_list *skin;
    aimnet_nlist *fresh;
    uint64_t r = 8;
    assert_status(AIMNET_OK, aimnet_skin_list_create(s.cutoff, 1.0, &o, &skin));
    assert_status(AIMNET_OK, aimnet_nlist_create(&o, &fresh));
    for (int k = 0; k < steps; k++) {
        aimnet_pairs u, v;
        int outdated, rebuilt;
        assert_status(AIMNET_OK, aimnet_skin_list_outdated(skin, &atoms, &outdated));
        assert_status(AIMNET_OK, aimnet_skin_list_update(skin, &atoms, &rebuilt, &u));
        assert_int_equal(outdated, rebuilt);
        assert_status(AIMNET_OK, aimnet_nlist_build(fresh, &atoms, &s.cutoff, 1));
        assert_status(AIMNET_OK, aimnet_nlist_csr(fresh, 0, &v));
        assert_same_view(&u, &v);
        for (int32_t c = 0; c < 3 * s.n; c++)
            s.coord[c] += uniform(&r, -step, step);
        for (int axis = 0; axis < 3; axis++) { /* strain of cell and positions: x -> x (1 + e) */
            const double e = uniform(&r, -strain, strain);
            for (int d = 0; d < 3; d++)
                s.cell[3 * d + axis] *= 1.0 + e;
            for (int32_t a = 0; a < s.n; a++)
                s.coord[3 * a + axis] *= 1.0 + e;
        }
    }
    *searches = (int)aimnet_skin_list_searches(skin);
    aimnet_skin_list_free(skin);
    aimnet_nlist_free(fresh);
}

static void skin_lists_equal_fresh_lists_and_search_rarely(void **state)
{
    (void)state;
    int searches;
    for (int kind = 0; kind < N_KINDS; kind++) {
        if (kind == KIND_LATTICE || kind == KIND_TINY)
            continue; /* too few atoms, or pairs exactly at the cutoff */
        walk_with_skin(kind, 0.05, 0.0, &searches, 40);
        assert_in_range(searches, 1, 8);
        walk_with_skin(kind, 2.0, 0.0, &searches, 5);
        assert_int_equal(searches, 5);
    }
    walk_with_skin(KIND_TRICLINIC, 0.03, 0.02, &searches, 40);
    assert_in_range(searches, 2, 20);
    walk_with_skin(KIND_SLAB_NO_CELL_VECTOR, 0.03, 0.02, &searches, 40);
    assert_in_range(searches, 2, 20);
}

static void a_skin_list_notices_new_systems_cells_and_periodicity(void **state)
{
    (void)state;
    aimnet_skin_list *skin;
    aimnet_pairs p;
    static sample s;
    sample_of_kind(5, KIND_CUBIC, 20, &s);
    aimnet_atoms a = public_atoms(&s);
    int rebuilt;
    assert_status(AIMNET_OK, aimnet_skin_list_create(4.0, 1.0, NULL, &skin));
    assert_status(AIMNET_OK, aimnet_skin_list_update(skin, &a, &rebuilt, &p));
    assert_int_equal(rebuilt, 1);
    assert_status(AIMNET_OK, aimnet_skin_list_update(skin, &a, &rebuilt, &p));
    assert_int_equal(rebuilt, 0);
    s.pbc[1] = 0;
    assert_status(AIMNET_OK, aimnet_skin_list_update(skin, &a, &rebuilt, &p));
    assert_int_equal(rebuilt, 1);
    s.cell[0] *= 1.5;
    assert_status(AIMNET_OK, aimnet_skin_list_update(skin, &a, &rebuilt, &p));
    assert_int_equal(rebuilt, 1);
    a.n_atoms--;
    assert_status(AIMNET_OK, aimnet_skin_list_update(skin, &a, &rebuilt, &p));
    assert_int_equal(rebuilt, 1);
    s.coord[4] = NAN;
    assert_failure(aimnet_skin_list_update(skin, &a, &rebuilt, &p), AIMNET_ERR_SYSTEM,
                   "coordinate y of atom 1");
    s.coord[4] = 1.0;
    assert_status(AIMNET_OK, aimnet_skin_list_update(skin, &a, &rebuilt, &p));
    assert_int_equal(rebuilt, 1);
    aimnet_skin_list_free(skin);
    assert_failure(aimnet_skin_list_create(4.0, -1.0, NULL, &skin), AIMNET_ERR_ARG, "skin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skin_lists_equal_fresh_lists_and_search_rarely),
        cmocka_unit_test(a_skin_list_notices_new_systems_cells_and_periodicity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
