/* SPDX-License-Identifier: MIT */
/* test_lists.c - neighbour lists of the caller, and settings changed between calls.
 *
 * A list with a skin gives the bits of a list that was found; what is wrong with a list is said by
 * its name; a calculator whose settings were changed gives the bits of one created with them. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_nlist.h"

typedef struct matrix {
    int32_t *nbmat, *shifts;
    aimnet_list list;
} matrix;

/* The list of a structure up to `reach`, written back to front. */
static matrix matrix_of(const aimnet_system *s, double reach)
{
    aimnet_nlist *nlist = NULL;
    aimnet_pairs p;
    int32_t pbc[3] = {s->pbc[0], s->pbc[1], s->pbc[2]};
    const aimnet_atoms atoms = {.n_atoms = s->n_atoms,
                                .n_systems = 1,
                                .coord = s->coord,
                                .n_cells = s->cell != NULL,
                                .cell = s->cell,
                                .n_pbc = s->cell != NULL,
                                .pbc = pbc};
    if (aimnet_nlist_create(NULL, &nlist) || aimnet_nlist_build(nlist, &atoms, &reach, 1) ||
        aimnet_nlist_csr(nlist, 0, &p))
        fail_msg("%s", aimnet_last_error());
    const size_t n = (size_t)s->n_atoms, width = (size_t)p.max_neighbors + 3;
    matrix m = {.nbmat = calloc((n + 1) * width, sizeof *m.nbmat),
                .shifts = calloc((n + 1) * width * 3, sizeof *m.shifts)};
    assert_true(m.nbmat && m.shifts);
    for (size_t k = 0; k < (n + 1) * width; k++)
        m.nbmat[k] = s->n_atoms;
    for (size_t i = 0; i < n; i++)
        for (int64_t q = p.row[i + 1] - 1, k = 2; q >= p.row[i]; q--, k++) {
            const size_t at = i * width + (size_t)k;
            m.nbmat[at] = p.j[q];
            for (int d = 0; d < 3 && p.shift; d++)
                m.shifts[3 * at + (size_t)d] = p.shift[3 * q + d];
        }
    m.list =
        (aimnet_list){m.nbmat, p.shift ? m.shifts : NULL, s->n_atoms + 1, (int32_t)width, reach};
    aimnet_nlist_free(nlist);
    return m;
}

static void matrix_free(matrix *m)
{
    free(m->nbmat);
    free(m->shifts);
}

static evaluation run(aimnet_calc *calc, const aimnet_system *s, int want_stress,
                      aimnet_status wish)
{
    evaluation e = evaluation_create(s->n_atoms, 0);
    double stress[9] = {0};
    e.r.stress = want_stress ? stress : NULL;
    (void)aimnet_calc_eval(calc, s, 1, &e.r);
    if (e.r.status != wish)
        fail_msg("status %d: %s", (int)e.r.status, e.r.message);
    e.r.stress = NULL;
    return e;
}

static aimnet_system crystal(const char *name, aimnet_frame *frame)
{
    char path[512];
    aimnet_reader *reader = NULL;
    snprintf(path, sizeof path, "%s/tests/golden/crystals/%s.xyz", AIM_SOURCE_DIR, name);
    if (aimnet_reader_open(path, NULL, &reader) || aimnet_reader_next(reader, frame))
        fail_msg("%s", aimnet_last_error());
    aimnet_reader_close(reader);
    return aimnet_frame_system(frame);
}

/* With and without lists, the same bits. */
static void check_equal(aimnet_calc *calc, const aimnet_system *plain, const aimnet_lists *lists,
                        const char *what)
{
    aimnet_system with = *plain;
    with.lists = lists;
    evaluation a = run(calc, plain, plain->cell != NULL, AIMNET_OK),
               b = run(calc, &with, plain->cell != NULL, AIMNET_OK);
    if (!same_bits(&a, &b))
        fail_msg("%s: energy %.17g instead of %.17g", what, b.r.energy, a.r.energy);
    evaluation_free(&a);
    evaluation_free(&b);
}

static void expect_refused(aimnet_calc *calc, const aimnet_system *plain, const aimnet_lists *lists,
                           const char *words)
{
    aimnet_system with = *plain;
    with.lists = lists;
    evaluation e = evaluation_create(plain->n_atoms, 0);
    assert_int_equal(aimnet_calc_eval(calc, &with, 1, &e.r), AIMNET_ERR_SOME_FAILED);
    if (!strstr(e.r.message, words))
        fail_msg("expected \"%s\", found \"%s\"", words, e.r.message);
    evaluation_free(&e);
}

static void lists_with_a_skin_change_no_bit(void **state)
{
    (void)state;
    static const char *const names[] = {"ice", "formamide", "diazaspirodecane_trione", "slab",
                                        "wire"};
    aimnet_model *model = model_open(NULL);
    for (int method = 0; method < 4; method++) {
        aimnet_options o = aimnet_options_default();
        o.coulomb = method < 3 ? AIMNET_COULOMB_DSF : AIMNET_COULOMB_EWALD;
        o.coulomb_cutoff = method == 0 ? 8.0 : 9.5;
        o.d3_cutoff = method == 2 ? 15.0 : 10.0; /* separate, shared, separate lists */
        aimnet_calc *calc = calc_open(model, &o);
        for (int i = 0; i < (method < 3 ? 5 : 3); i++) {
            aimnet_frame f = {0};
            const aimnet_system s = crystal(names[i], &f);
            matrix near = matrix_of(&s, 6.3), middle = matrix_of(&s, 11.0),
                   far = matrix_of(&s, 17.0);
            const aimnet_lists all = {near.list, {0}, middle.list, far.list}, none = {0},
                               lr = {.network = near.list, .lr = far.list},
                               mixed = {.lr = far.list, .coulomb = middle.list};
            check_equal(calc, &s, &none, names[i]);
            check_equal(calc, &s, &lr, names[i]);
            if (method < 3) {
                check_equal(calc, &s, &all, names[i]);
                check_equal(calc, &s, &mixed, names[i]);
            }
            matrix_free(&near);
            matrix_free(&middle);
            matrix_free(&far);
            aimnet_frame_free(&f);
        }
        aimnet_calc_free(calc);
    }
    aimnet_model_free(model);
}

static void molecules_take_lists_too(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    aimnet_calc *calc = calc_open(model, NULL);
    molecule m = molecule_read("caffeine");
    const aimnet_system s = molecule_system(&m);
    matrix near = matrix_of(&s, 5.0), far = matrix_of(&s, 100.0), cut = matrix_of(&s, 6.0);
    check_equal(calc, &s, &(aimnet_lists){.network = near.list, .lr = far.list}, "caffeine");
    cut.list.cutoff = INFINITY;
    expect_refused(calc, &s, &(aimnet_lists){.lr = cut.list}, "sums over all 552");
    matrix_free(&near);
    matrix_free(&far);
    matrix_free(&cut);
    molecule_free(&m);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void what_is_wrong_with_a_list_is_said_by_its_name(void **state)
{
    (void)state;
    aimnet_options o = aimnet_options_default();
    o.coulomb = AIMNET_COULOMB_DSF;
    o.coulomb_cutoff = 8.0;
    aimnet_model *model = model_open(NULL);
    aimnet_calc *calc = calc_open(model, &o);
    aimnet_frame f = {0};
    const aimnet_system s = crystal("formamide", &f);
    matrix m = matrix_of(&s, 16.0);
    const int32_t width = m.list.width, n = s.n_atoms;
    int32_t *entry = &m.nbmat[2 * width + 2], *shift = &m.shifts[3 * (2 * width + 2)];
    const int32_t kept = *entry;
    aimnet_lists lists = {.network = m.list};
    const aimnet_lists lr = {.lr = m.list};
    *entry = n; /* atom 2 lacks a neighbour, which has atom 2 */
    shift[0] = shift[1] = shift[2] = 0;
    expect_refused(calc, &s, &lists, "but not the opposite; a full list is needed");
    *entry = n + 1;
    expect_refused(calc, &s, &lists, "nbmat[2][2] is");
    *entry = -1;
    expect_refused(calc, &s, &lr, "nbmat_lr[2][2] is -1");
    *entry = 2;
    expect_refused(calc, &s, &lists, "is its own neighbour without a shift");
    *entry = kept;
    matrix_free(&m);
    m = matrix_of(&s, 16.0);
    lists.network = m.list;
    lists.network.n_rows = n - 1;
    expect_refused(calc, &s, &lists, "atoms need");
    lists.network = m.list;
    lists.network.width = -16;
    expect_refused(calc, &s, &lists, "of width -16");
    lists.network = m.list;
    lists.network.cutoff = 4.9;
    expect_refused(calc, &s, &lists,
                   "nbmat is complete up to 4.9 A (its cutoff), but pairs up to 5 A");
    lists = (aimnet_lists){.lr = m.list, .coulomb = m.list, .dftd3 = m.list};
    lists.coulomb.cutoff = 7.0;
    expect_refused(calc, &s, &lists, "nbmat_coulomb is complete up to 7 A");
    lists.coulomb.cutoff = 8.0;
    lists.dftd3.cutoff = NAN;
    expect_refused(calc, &s, &lists, "nbmat_dftd3 is complete up to");
    lists.dftd3.cutoff = 15.0;
    lists.lr.cutoff = 1.0; /* not used: both have their own */
    check_equal(calc, &s, &lists, "own lists before nbmat_lr");
    matrix_free(&m);
    aimnet_frame_free(&f);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void lists_do_not_concern_the_other_structures_of_a_call(void **state)
{
    (void)state;
    enum { N = 5 };
    aimnet_model *model = model_open(NULL);
    aimnet_calc *calc = calc_open(model, NULL);
    molecule m[N] = {molecule_read("water"), molecule_read("caffeine"), molecule_read("acetate"),
                     molecule_read("water_4"), molecule_read("caffeine")};
    aimnet_system s[N];
    evaluation want[N], got[N];
    aimnet_result r[N];
    matrix list[N];
    aimnet_lists lists[N];
    for (int i = 0; i < N; i++) {
        s[i] = molecule_system(&m[i]);
        want[i] = run(calc, &s[i], 0, AIMNET_OK);
        got[i] = evaluation_create(m[i].n, 0);
        list[i] = matrix_of(&s[i], 7.0);
        lists[i] = (aimnet_lists){.network = list[i].list};
        r[i] = got[i].r;
    }
    s[1].lists = &lists[1];
    s[3].lists = &lists[3];
    list[3].nbmat[2] = 99; /* a bad one */
    assert_int_equal(aimnet_calc_eval(calc, s, N, r), AIMNET_ERR_SOME_FAILED);
    for (int i = 0; i < N; i++) {
        got[i].r = r[i];
        assert_int_equal(r[i].status, i == 3 ? AIMNET_ERR_ARG : AIMNET_OK);
        if (i != 3)
            assert_true(same_bits(&want[i], &got[i]));
    }
    m[1].numbers[4] = 0; /* padding */
    expect_refused(calc, &s[1], &lists[1], "1 of them are padding");
    for (int i = 0; i < N; i++) {
        evaluation_free(&want[i]);
        evaluation_free(&got[i]);
        matrix_free(&list[i]);
        molecule_free(&m[i]);
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

/* ---------------------------------------------------------------- settings */

/* The calculator gives the bits of a new one with these options. */
static void expect_like_new(aimnet_calc *calc, aimnet_model *model, const aimnet_options *o)
{
    aimnet_calc *fresh = calc_open(model, o);
    aimnet_frame f = {0};
    const aimnet_system s = crystal("ice", &f);
    evaluation a = run(calc, &s, 1, AIMNET_OK), b = run(fresh, &s, 1, AIMNET_OK);
    assert_true(same_bits(&a, &b));
    assert_string_equal(a.r.warnings, b.r.warnings);
    assert_string_equal(aimnet_calc_warnings(calc), aimnet_calc_warnings(fresh));
    evaluation_free(&a);
    evaluation_free(&b);
    aimnet_frame_free(&f);
    aimnet_calc_free(fresh);
}

static void changed_settings_are_those_of_a_new_calculator(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    aimnet_options o = aimnet_options_default();
    aimnet_calc *calc = calc_open(model, &o);
    expect_like_new(calc, model, &o);
    assert_int_equal(
        aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_DSF, 9.0, 0.25, AIMNET_DEFAULT),
        AIMNET_OK);
    o.coulomb = AIMNET_COULOMB_DSF;
    o.coulomb_cutoff = 9.0;
    o.dsf_alpha = 0.25;
    expect_like_new(calc, model, &o);
    assert_true(aimnet_calc_coulomb_cutoff(calc) == 9.0);
    assert_int_equal(aimnet_calc_coulomb_method(calc), AIMNET_COULOMB_DSF);
    assert_int_equal(aimnet_calc_set_dftd3_cutoff(calc, 11.0, 0.0), AIMNET_OK);
    o.d3_cutoff = 11.0;
    o.d3_smoothing = 0.0;
    expect_like_new(calc, model, &o);
    assert_int_equal(aimnet_calc_set_lr_cutoff(calc, 7.5), AIMNET_OK);
    o.d3_cutoff = o.coulomb_cutoff = 7.5;
    expect_like_new(calc, model, &o);
    assert_true(aimnet_calc_coulomb_cutoff(calc) == 7.5 && aimnet_calc_dftd3_cutoff(calc) == 7.5);
    assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_EWALD, AIMNET_DEFAULT,
                                                      AIMNET_DEFAULT, 1e-6),
                     AIMNET_OK);
    o = aimnet_options_default();
    o.coulomb = AIMNET_COULOMB_EWALD;
    o.ewald_accuracy = 1e-6;
    o.d3_cutoff = 7.5;
    o.d3_smoothing = 0.0;
    expect_like_new(calc, model, &o);
    assert_true(isinf(aimnet_calc_coulomb_cutoff(calc)));
    assert_int_equal(aimnet_calc_set_dftd3_cutoff(calc, AIMNET_DEFAULT, AIMNET_DEFAULT), AIMNET_OK);
    assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_SIMPLE, AIMNET_DEFAULT,
                                                      AIMNET_DEFAULT, AIMNET_DEFAULT),
                     AIMNET_OK);
    o = aimnet_options_default();
    expect_like_new(calc, model, &o);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void senseless_settings_are_refused_and_change_nothing(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    aimnet_options o = aimnet_options_default();
    aimnet_calc *calc = calc_open(model, &o);
    static const double bad[] = {0.0, -3.0, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(aimnet_calc_set_lr_cutoff(calc, bad[i]), AIMNET_ERR_ARG);
        assert_int_equal(aimnet_calc_set_dftd3_cutoff(calc, bad[i], 0.2), AIMNET_ERR_ARG);
        assert_int_equal(
            aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_DSF, bad[i], 0.2, 1e-6),
            AIMNET_ERR_ARG);
    }
    assert_int_equal(aimnet_calc_set_dftd3_cutoff(calc, 15.0, 1.5), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_DSF, 9.0, -0.2, 1e-6),
                     AIMNET_ERR_ARG);
    assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_EWALD, 9.0, 0.2, 1.0),
                     AIMNET_ERR_ARG);
    assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, (aimnet_coulomb)9, 9.0, 0.2, 1e-6),
                     AIMNET_ERR_ARG);
    assert_int_equal(aimnet_calc_set_lr_cutoff(NULL, 9.0), AIMNET_ERR_ARG);
    expect_like_new(calc, model, &o);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void a_method_for_a_model_with_embedded_coulomb_is_a_warning(void **state)
{
    (void)state;
    aimnet_model *model = model_open("tests/golden/models/lr_dsf_full.pt");
    aimnet_calc *calc = calc_open(model, NULL);
    assert_false(aimnet_calc_has_external_coulomb(calc));
    assert_string_equal(aimnet_calc_warnings(calc), "");
    assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_DSF, AIMNET_DEFAULT,
                                                      AIMNET_DEFAULT, AIMNET_DEFAULT),
                     AIMNET_OK);
    assert_non_null(strstr(aimnet_calc_warnings(calc), "its Coulomb energy is embedded"));
    assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_SIMPLE, AIMNET_DEFAULT,
                                                      AIMNET_DEFAULT, AIMNET_DEFAULT),
                     AIMNET_OK);
    assert_string_equal(aimnet_calc_warnings(calc), "");
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void
an_embedded_lattice_sum_refuses_a_molecule_without_advice_that_cannot_be_followed(void **state)
{
    (void)state;
    aimnet_model *model = model_open("tests/golden/models/lr_ewald.pt");
    aimnet_calc *calc = calc_open(model, NULL);
    molecule m = molecule_read("caffeine");
    const aimnet_system s = molecule_system(&m);
    evaluation e = evaluation_create(s.n_atoms, 0);
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &e.r), AIMNET_ERR_SOME_FAILED);
    assert_int_equal(e.r.status, AIMNET_ERR_SYSTEM);
    assert_non_null(strstr(e.r.message, "lr_ewald"));
    assert_non_null(strstr(e.r.message, "embeds Ewald summation"));
    assert_null(strstr(e.r.message, "DSF"));
    evaluation_free(&e);
    molecule_free(&m);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void simple_coulomb_of_a_crystal_is_dsf_for_that_call_only(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    aimnet_options o = aimnet_options_default();
    aimnet_calc *calc = calc_open(model, &o);
    o.coulomb = AIMNET_COULOMB_DSF;
    aimnet_calc *dsf = calc_open(model, &o);
    molecule m = molecule_read("caffeine");
    aimnet_frame f = {0};
    const aimnet_system s = crystal("ice", &f), molecular = molecule_system(&m);
    evaluation before = run(calc, &molecular, 0, AIMNET_OK), periodic = run(calc, &s, 1, AIMNET_OK),
               after = run(calc, &molecular, 0, AIMNET_OK), plain = run(dsf, &s, 1, AIMNET_OK);
    assert_true(same_bits(&before, &after));
    assert_true(same_bits(&periodic, &plain));
    assert_int_equal(periodic.r.coulomb_method, AIMNET_COULOMB_DSF);
    assert_int_equal(after.r.coulomb_method, AIMNET_COULOMB_SIMPLE);
    assert_non_null(strstr(periodic.r.warnings, "DSF"));
    assert_string_equal(plain.r.warnings, "");
    assert_string_equal(after.r.warnings, "");
    assert_int_equal(aimnet_calc_coulomb_method(calc), AIMNET_COULOMB_SIMPLE);
    evaluation *all[] = {&before, &periodic, &after, &plain};
    for (int i = 0; i < 4; i++)
        evaluation_free(all[i]);
    molecule_free(&m);
    aimnet_frame_free(&f);
    aimnet_calc_free(calc);
    aimnet_calc_free(dsf);
    aimnet_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_with_a_skin_change_no_bit),
        cmocka_unit_test(molecules_take_lists_too),
        cmocka_unit_test(what_is_wrong_with_a_list_is_said_by_its_name),
        cmocka_unit_test(lists_do_not_concern_the_other_structures_of_a_call),
        cmocka_unit_test(changed_settings_are_those_of_a_new_calculator),
        cmocka_unit_test(senseless_settings_are_refused_and_change_nothing),
        cmocka_unit_test(a_method_for_a_model_with_embedded_coulomb_is_a_warning),
        cmocka_unit_test(
            an_embedded_lattice_sum_refuses_a_molecule_without_advice_that_cannot_be_followed),
        cmocka_unit_test(simple_coulomb_of_a_crystal_is_dsf_for_that_call_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
