/* SPDX-License-Identifier: MIT */
/* test_contract.c - hostile and unusual input through the public API: every failing structure is
 * named and explained, and the others of the call keep their bits; padding atoms; charge and
 * multiplicity rules; options that make no sense. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_cuda.h"
#include "aimnet_deriv.h"

static const char NSE[] = "tests/golden/models/nse.pt";
/* of the option `fast` (docs/numerics.md): eV per atom, eV/A */
static const double FAST_ENERGY = 5e-4, FAST_FORCE = 1e-2;

/* ---------------------------------------------------------------- bad structures in good company
 */

typedef struct company {
    aimnet_model *model;
    aimnet_calc *calc[2]; /* single, double */
    molecule good[2];
    evaluation alone[2][2]; /* [precision][molecule] */
} company;

static int setup(void **state)
{
    company *c = calloc(1, sizeof *c);
    if (!c)
        return 1;
    c->model = model_open(NULL);
    c->good[0] = molecule_read("caffeine");
    c->good[1] = molecule_read("water");
    for (int p = 0; p < 2; p++) {
        aimnet_options o = aimnet_options_default();
        o.precision = (aimnet_precision)p;
        c->calc[p] = calc_open(c->model, &o);
        for (int i = 0; i < 2; i++) {
            const molecule *m = &c->good[i];
            c->alone[p][i] = evaluation_create(m->n, 0);
            evaluate_ok(c->calc[p], &m, 1, &c->alone[p][i]);
        }
    }
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    company *c = *state;
    for (int p = 0; p < 2; p++) {
        for (int i = 0; i < 2; i++)
            evaluation_free(&c->alone[p][i]);
        aimnet_calc_free(c->calc[p]);
    }
    molecule_free(&c->good[0]);
    molecule_free(&c->good[1]);
    aimnet_model_free(c->model);
    free(c);
    return 0;
}

/* Evaluates good, bad, good: the bad one fails with all of the words in its message, the good
 * ones have the bits they have alone. */
static void check_refused(company *c, const molecule *bad, const char *const *words)
{
    for (int p = 0; p < 2; p++) {
        const molecule *mols[3] = {&c->good[0], bad, &c->good[1]};
        evaluation e[3] = {evaluation_create(mols[0]->n, 0), evaluation_create(bad->n, 0),
                           evaluation_create(mols[2]->n, 0)};
        assert_int_equal(evaluate(c->calc[p], mols, 3, e), AIMNET_ERR_SOME_FAILED);
        assert_int_not_equal(e[1].r.status, AIMNET_OK);
        for (const char *const *w = words; w && *w; w++)
            if (!strstr(e[1].r.message, *w))
                fail_msg("'%s' is not in the message: %s", *w, e[1].r.message);
        assert_true(strlen(e[1].r.message) > 10);
        assert_int_equal(e[0].r.status, AIMNET_OK);
        assert_int_equal(e[2].r.status, AIMNET_OK);
        assert_true(same_bits(&e[0], &c->alone[p][0]));
        assert_true(same_bits(&e[2], &c->alone[p][1]));
        for (int i = 0; i < 3; i++)
            evaluation_free(&e[i]);
        /* alone, too */
        evaluation only = evaluation_create(bad->n, 0);
        assert_int_equal(evaluate(c->calc[p], &bad, 1, &only), AIMNET_ERR_SOME_FAILED);
        assert_int_not_equal(only.r.status, AIMNET_OK);
        evaluation_free(&only);
    }
}

static void coordinates_that_are_not_finite_are_refused(void **state)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    static const char *const words[] = {"atom", NULL};
    for (int i = 0; i < 3; i++)
        for (int32_t at = 0; at < 9; at += 4) {
            molecule m = molecule_read("water");
            m.coord[at] = bad[i];
            check_refused(*state, &m, words);
            molecule_free(&m);
        }
}

static void overlapping_atoms_are_refused_and_named(void **state)
{
    static const char *const words[] = {"0.1", NULL};
    molecule m = molecule_read("caffeine");
    memcpy(m.coord + 3 * 7, m.coord + 3 * 3, 3 * sizeof(double));
    check_refused(*state, &m, words); /* coincident */
    m.coord[3 * 7 + 1] += 0.0999;
    check_refused(*state, &m, words); /* just below 0.1 A */
    molecule_free(&m);
    molecule close = molecule_read("hydrogen");
    close.coord[3] = close.coord[0];
    close.coord[4] = close.coord[1];
    close.coord[5] = close.coord[2] + 0.1001; /* just above: an answer */
    company *c = *state;
    const molecule *p = &close;
    evaluation e = evaluation_create(2, 0);
    evaluate_ok(c->calc[0], &p, 1, &e);
    assert_true(isfinite(e.r.energy));
    evaluation_free(&e);
    molecule_free(&close);
}

static void overlaps_are_found_in_structures_with_cell_lists_too(void **state)
{
    static const char *const words[] = {"0.1", NULL};
    molecule m = molecule_read("water_42");
    for (int d = 0; d < 3; d++)
        m.coord[3 * 100 + d] = m.coord[3 * 5 + d] + 0.03;
    check_refused(*state, &m, words);
    molecule_free(&m);
}

static void elements_outside_the_model_are_refused_by_name(void **state)
{
    static const struct {
        int32_t z;
        const char *word;
    } bad[] = {{11, "Na"},
               {26, "Fe"},
               {92, "U"},
               {118, "Og"},
               {119, "119"},
               {-1, "-1"},
               {2000000000, "2000000000"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *words[] = {bad[i].word, NULL};
        molecule m = molecule_read("caffeine");
        m.numbers[5] = bad[i].z;
        check_refused(*state, &m, words);
        molecule_free(&m);
    }
}

static void impossible_charges_are_refused(void **state)
{
    static const double bad[] = {11, -11, 100, 1e300, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        molecule m = molecule_read("water");
        m.charge = bad[i];
        check_refused(*state, &m, NULL);
        molecule_free(&m);
    }
}

static void a_structure_without_atoms_is_refused(void **state)
{
    molecule m = molecule_read("water");
    m.n = 0;
    check_refused(*state, &m, NULL);
    m.n = 3;
    for (int i = 0; i < 3; i++)
        m.numbers[i] = 0;
    check_refused(*state, &m, NULL); /* padding only */
    molecule_free(&m);
}

static void huge_coordinates_are_refused_or_finite(void **state)
{
    static const double far[] = {1e7, 1e12, 1e30, 1e155, 1e300, -1.7e308};
    company *c = *state;
    for (size_t i = 0; i < sizeof far / sizeof *far; i++)
        for (int p = 0; p < 2; p++) {
            molecule m = molecule_read("water");
            m.coord[3] = far[i];
            const molecule *mols[2] = {&m, &c->good[0]};
            evaluation e[2] = {evaluation_create(m.n, 0), evaluation_create(c->good[0].n, 0)};
            aimnet_status status = evaluate(c->calc[p], mols, 2, e);
            assert_true(status == AIMNET_OK || status == AIMNET_ERR_SOME_FAILED);
            assert_int_equal(e[0].r.status == AIMNET_OK, status == AIMNET_OK);
            for (int k = 0; k < 9 && e[0].r.status == AIMNET_OK; k++)
                assert_true(isfinite(e[0].r.forces[k]) && isfinite(e[0].r.energy));
            assert_true(same_bits(&e[1], &c->alone[p][0]));
            evaluation_free(&e[0]);
            evaluation_free(&e[1]);
            molecule_free(&m);
        }
}

static void many_failures_leave_many_results_alone(void **state)
{
    enum { N = 40 };
    company *c = *state;
    for (int p = 0; p < 2; p++) {
        molecule own[N];
        const molecule *mols[N];
        evaluation e[N];
        for (int i = 0; i < N; i++) {
            own[i] = molecule_copy(&c->good[i % 2]);
            if (i % 3 == 1)
                own[i].coord[i % 9] = NAN;
            if (i % 7 == 3)
                own[i].numbers[2] = 20;
            mols[i] = &own[i];
            e[i] = evaluation_create(own[i].n, 0);
        }
        assert_int_equal(evaluate(c->calc[p], mols, N, e), AIMNET_ERR_SOME_FAILED);
        for (int i = 0; i < N; i++) {
            int bad = i % 3 == 1 || i % 7 == 3;
            assert_int_equal(e[i].r.status != AIMNET_OK, bad);
            assert_true(bad || same_bits(&e[i], &c->alone[p][i % 2]));
            evaluation_free(&e[i]);
            molecule_free(&own[i]);
        }
    }
}

/* ---------------------------------------------------------------- padding */

static void padding_atoms_get_zeros_and_change_nothing(void **state)
{
    company *c = *state;
    for (int p = 0; p < 2; p++) {
        const molecule *m = &c->good[0];
        molecule padded = {.n = m->n + 5, .charge = m->charge, .mult = m->mult, .name = "padded"};
        padded.numbers = calloc((size_t)padded.n, sizeof *padded.numbers);
        padded.coord = calloc((size_t)padded.n * 3, sizeof *padded.coord);
        assert_true(padded.numbers && padded.coord);
        int32_t *place = calloc((size_t)m->n, sizeof *place);
        assert_non_null(place);
        for (int32_t i = 0, k = 0; i < padded.n; i++) {
            if (i == 0 || i == 7 || i == 8 || i == 20 || i == padded.n - 1) {
                padded.coord[3 * i] = i == 8 ? NAN : 0.01;
                continue;
            }
            place[k] = i;
            padded.numbers[i] = m->numbers[k];
            memcpy(padded.coord + 3 * i, m->coord + 3 * k, 3 * sizeof(double));
            k++;
        }
        const molecule *mols[1] = {&padded};
        evaluation e = evaluation_create(padded.n, 0);
        for (int32_t i = 0; i < padded.n; i++)
            e.r.charges[i] = e.r.forces[3 * i] = 99.0;
        evaluate_ok(c->calc[p], mols, 1, &e);
        const evaluation *want = &c->alone[p][0];
        assert_memory_equal(&e.r.energy, &want->r.energy, sizeof(double));
        for (int32_t k = 0; k < m->n; k++) {
            assert_memory_equal(e.r.forces + 3 * place[k], want->r.forces + 3 * k,
                                3 * sizeof(double));
            assert_memory_equal(e.r.charges + place[k], want->r.charges + k, sizeof(double));
        }
        for (int32_t i = 0; i < padded.n; i++)
            if (padded.numbers[i] == 0)
                assert_true(e.r.charges[i] == 0.0 && e.r.forces[3 * i] == 0.0 &&
                            e.r.forces[3 * i + 1] == 0.0 && e.r.forces[3 * i + 2] == 0.0);
        evaluation_free(&e);
        molecule_free(&padded);
        free(place);
    }
}

static void forces_that_no_molecule_has_are_a_warning(void **state)
{
    company *c = *state;
    molecule m = molecule_copy(&c->good[0]);
    const molecule *p = &m;
    evaluation e = evaluation_create(m.n, 0);
    for (int32_t i = 0; i < 3 * m.n; i++)
        m.coord[i] *= 0.7;
    for (int precision = 0; precision < 2; precision++) {
        evaluate_ok(c->calc[precision], &p, 1, &e);
        double largest = 0.0;
        int32_t atom = 0;
        for (int32_t i = 0; i < m.n; i++) {
            const double *f = e.r.forces + 3 * i,
                         norm = sqrt(f[0] * f[0] + f[1] * f[1] + f[2] * f[2]);
            atom = norm > largest ? i : atom;
            largest = fmax(largest, norm);
        }
        char expected[64];
        snprintf(expected, sizeof expected, "the force on atom %d is %.3g eV/A: ", atom, largest);
        assert_true(largest > 100.0);
        assert_non_null(strstr(e.r.warnings, expected));
        assert_string_equal(c->alone[precision][0].r.warnings, "");
    }
    evaluation_free(&e);
    molecule_free(&m);
}

/* ---------------------------------------------------------------- charge and multiplicity */

static void multiplicity_of_a_closed_shell_model_is_a_warning(void **state)
{
    company *c = *state;
    molecule m = molecule_copy(&c->good[1]);
    const molecule *p = &m;
    evaluation e = evaluation_create(m.n, 0);
    evaluate_ok(c->calc[1], &p, 1, &e);
    assert_string_equal(e.r.warnings, "");
    m.mult = 3;
    evaluate_ok(c->calc[1], &p, 1, &e);
    assert_non_null(strstr(e.r.warnings, "mult"));
    assert_memory_equal(&e.r.energy, &c->alone[1][1].r.energy, sizeof(double));
    m.mult = 1;
    m.charge = 1; /* an odd number of electrons */
    evaluate_ok(c->calc[1], &p, 1, &e);
    assert_true(e.r.warnings[0] != 0);
    m.mult = 0; /* 0 means 1 */
    m.charge = 0;
    evaluate_ok(c->calc[1], &p, 1, &e);
    assert_string_equal(e.r.warnings, "");
    evaluation_free(&e);
    molecule_free(&m);
}

static void multiplicity_of_an_open_shell_model_has_rules(void **state)
{
    (void)state;
    static const struct {
        double charge, mult;
        int ok;
    } rule[] = {{0, 1, 1},   {0, 3, 1},   {1, 2, 1},       {-1, 4, 1}, {0, 0, 1},
                {0, 2, 0},   {1, 1, 0},   {1, 3, 0},       {0, -1, 0}, {0, 0.5, 0},
                {0, 1.5, 0}, {0, NAN, 0}, {0, INFINITY, 0}};
    aimnet_model *model = model_open(NSE);
    aimnet_calc *calc = calc_open(model, NULL);
    molecule m = molecule_read("water");
    const molecule *p = &m;
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++) {
        evaluation e = evaluation_create(m.n, 1);
        m.charge = rule[i].charge;
        m.mult = rule[i].mult;
        aimnet_status status = evaluate(calc, &p, 1, &e);
        if ((status == AIMNET_OK) != rule[i].ok || (e.r.status == AIMNET_OK) != rule[i].ok)
            fail_msg("charge %g, multiplicity %g: %s", m.charge, m.mult,
                     e.r.status ? e.r.message : "accepted");
        evaluation_free(&e);
    }
    molecule_free(&m);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

/* ---------------------------------------------------------------- options */

static void senseless_options_are_refused(void **state)
{
    company *c = *state;
    const double bad[] = {0.0, -1.0, NAN, INFINITY};
    aimnet_calc *calc = NULL;
    for (int i = 0; i < 4; i++) {
        aimnet_options o = aimnet_options_default();
        o.coulomb = AIMNET_COULOMB_DSF;
        o.coulomb_cutoff = bad[i];
        assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
        o = aimnet_options_default();
        o.d3_cutoff = bad[i];
        assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
        o = aimnet_options_default();
        o.coulomb = AIMNET_COULOMB_DSF;
        o.dsf_alpha = i == 0 ? -0.1 : bad[i];
        assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
        o = aimnet_options_default();
        o.d3_smoothing = i == 0 ? 1.5 : bad[i];
        assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
        assert_null(calc);
    }
    for (int i = -2; i <= 2; i += 4) {
        aimnet_options o = aimnet_options_default();
        o.needs_coulomb = i;
        assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
        o = aimnet_options_default();
        o.needs_dispersion = i;
        assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
    }
    aimnet_options o = aimnet_options_default();
    o.nb_threshold = -1;
    assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
    o = aimnet_options_default();
    o.threads = -1;
    assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
    o = aimnet_options_default();
    o.device = "abacus";
    assert_int_not_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_OK);
    o = aimnet_options_default();
    o.fast = 1;
    assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "only GPUs"));
    o.precision = AIMNET_DOUBLE;
    assert_int_equal(aimnet_calc_create(&c->model, 1, &o, &calc), AIMNET_ERR_ARG);
    assert_null(calc);
    assert_int_equal(aimnet_calc_create(&c->model, 0, NULL, &calc), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_calc_create(NULL, 1, NULL, &calc), AIMNET_ERR_ARG);
}

/* On a GPU (tests/cuda): close to the default, and not the same. */
static void fast_is_close(void **state)
{
    (void)state;
    const char *device = getenv("AIMNET_TEST_DEVICE");
    if (!device)
        skip();
    static const char *const names[] = {"water", "caffeine", "taxol", "penicillin_g"};
    aimnet_model *model = model_open(NULL);
    aimnet_options o = aimnet_options_default();
    o.device = device;
    aimnet_calc *exact = calc_open(model, &o);
    o.fast = 1;
    aimnet_calc *fast = calc_open(model, &o);
    for (int k = 0; k < 4; k++) {
        molecule m = molecule_read(names[k]);
        const aimnet_system s = molecule_system(&m);
        evaluation a = evaluation_create(m.n, 0), b = evaluation_create(m.n, 0);
        assert_int_equal(aimnet_calc_eval(exact, &s, 1, &a.r), AIMNET_OK);
        assert_int_equal(aimnet_calc_eval(fast, &s, 1, &b.r), AIMNET_OK);
        double force = 0.0;
        for (int i = 0; i < 3 * m.n; i++)
            force = fmax(force, fabs(a.r.forces[i] - b.r.forces[i]));
        const double energy = fabs(a.r.energy - b.r.energy);
        print_message("fast, %s: energy %.2g eV per atom, forces %.2g eV/A\n", names[k],
                      energy / m.n, force);
        assert_true(energy > 0.0 && energy < FAST_ENERGY * m.n && force < FAST_FORCE);
        evaluation_free(&a);
        evaluation_free(&b);
        molecule_free(&m);
    }
    aimnet_calc_free(exact);
    aimnet_calc_free(fast);
    aimnet_model_free(model);
}

static void ewald_and_pme_need_a_crystal(void **state)
{
    company *c = *state;
    for (int i = 0; i < 2; i++) {
        aimnet_options o = aimnet_options_default();
        o.coulomb = i == 0 ? AIMNET_COULOMB_EWALD : AIMNET_COULOMB_PME;
        aimnet_calc *calc = NULL;
        if (aimnet_calc_create(&c->model, 1, &o, &calc)) {
            assert_null(calc);
            continue;
        }
        const molecule *p = &c->good[0];
        evaluation e = evaluation_create(p->n, 0);
        assert_int_equal(evaluate(calc, &p, 1, &e), AIMNET_ERR_SOME_FAILED);
        evaluation_free(&e);
        aimnet_calc_free(calc);
    }
}

/* The list of such a cell would take many times the memory of a machine. */
static void cells_too_small_for_their_atoms_are_refused(void **state)
{
    static const struct {
        double cell[9];
        int pbc[3], refused;
    } cases[] = {{{0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01}, {1, 1, 1}, 1},
                 {{0.1, 0, 0, 10.0, 0.1, 0, 0, 0, 0.2}, {1, 1, 1}, 1},
                 {{0.05, 0, 0, 0.05, 0.05, 0, 0, 0, 30.0}, {1, 1, 0}, 1},
                 {{30.0, 0, 0, 0, 30.0, 0, 0, 0.05, 0.05}, {0, 0, 1}, 1},
                 {{30.0, 0, 0, 0, 30.0, 0, 0, 0, 0.01}, {1, 1, 0}, 0}};
    company *c = *state;
    const molecule *m = &c->good[1];
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        aimnet_system s = molecule_system(m);
        aimnet_result r = {0};
        s.cell = cases[k].cell;
        memcpy(s.pbc, cases[k].pbc, sizeof s.pbc);
        assert_int_equal(aimnet_calc_eval(c->calc[0], &s, 1, &r),
                         cases[k].refused ? AIMNET_ERR_SOME_FAILED : AIMNET_OK);
        assert_int_equal(r.status, cases[k].refused ? AIMNET_ERR_SYSTEM : AIMNET_OK);
        if (cases[k].refused)
            assert_non_null(strstr(r.message, "the cell is too small"));
    }
}

/* The same crystal in cells that are more and more oblique: the sum is the same or refused. */
static void ewald_sums_of_oblique_cells_are_complete(void **state)
{
    static const double shear[] = {0, 10, 1000, 2000, 10000, 100000};
    company *c = *state;
    aimnet_options o = aimnet_options_default();
    o.coulomb = AIMNET_COULOMB_EWALD;
    aimnet_calc *calc = calc_open(c->model, &o);
    double first = 0.0, hessian[81];
    for (size_t k = 0; k < sizeof shear / sizeof *shear; k++) {
        const double cell[9] = {6, 0, 0, 6 * shear[k], 6, 0, 0, 0, 7};
        aimnet_system s = molecule_system(&c->good[1]);
        aimnet_result r = {.hessian = hessian};
        s.cell = cell;
        s.pbc[0] = s.pbc[1] = s.pbc[2] = 1;
        const aimnet_status status = aimnet_calc_eval(calc, &s, 1, &r);
        if (k == 0)
            first = r.energy;
        if (status == AIMNET_OK)
            assert_true(fabs(r.energy - first) < 1e-5);
        else
            assert_non_null(strstr(r.message, getenv("AIMNET_TEST_DEVICE")
                                                  ? "too skewed for a GPU"
                                                  : "too skewed for an Ewald sum"));
        assert_int_equal(status == AIMNET_OK, k < 2);
    }
    aimnet_calc_free(calc);
}

static void derivatives_of_what_is_not_finite_are_refused(void **state)
{
    company *c = *state;
    aimnet_system s = molecule_system(&c->good[1]);
    double v[9] = {0}, hv[9], loss = 0.0;
    aimnet_hvp job = {.n_directions = 1, .v = v, .hv = hv};
    assert_int_equal(aimnet_calc_hvp(c->calc[0], &s, &job), AIMNET_OK);
    v[4] = NAN;
    assert_int_equal(aimnet_calc_hvp(c->calc[0], &s, &job), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "number 4 of v"));
    const aimnet_loss_weights weights = {.energy = 1.0, .forces = 1.0};
    aimnet_target t = {.energy = INFINITY, .forces = hv};
    assert_int_equal(aimnet_calc_loss(c->calc[0], &s, &t, 1, &weights, &loss, NULL, NULL),
                     AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "structure 0: number 0 of the energy"));
    t.energy = 0.0;
    assert_int_equal(aimnet_calc_loss(c->calc[0], &s, &t, 1, &weights, &loss, NULL, NULL),
                     AIMNET_OK);
    t.forces = v;
    assert_int_equal(aimnet_calc_loss(c->calc[0], &s, &t, 1, &weights, &loss, NULL, NULL),
                     AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "number 4 of the forces"));
}

static void nothing_to_do_is_done(void **state)
{
    company *c = *state;
    assert_int_equal(aimnet_calc_eval(c->calc[0], NULL, 0, NULL), AIMNET_OK);
    aimnet_calc_free(NULL);
    aimnet_model_free(NULL);
}

/* Whether there is a card or not: an answer or a sentence. */
static void cards_are_counted_or_missing_in_a_sentence(void **state)
{
    int n = -1;
    aimnet_cuda_card card;
    (void)state;
    assert_int_equal(aimnet_cuda_count(NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_cuda_get_card(0, NULL), AIMNET_ERR_ARG);
    const aimnet_status status = aimnet_cuda_count(&n);
    if (status == AIMNET_OK) {
        assert_true(n > 0);
        assert_int_equal(aimnet_cuda_get_card(-1, &card), AIMNET_ERR_DEVICE);
        return;
    }
    assert_int_equal(status, AIMNET_ERR_DEVICE);
    assert_int_equal(n, 0);
    assert_true(strlen(aimnet_last_error()) > 20);
    assert_int_equal(aimnet_cuda_get_card(0, &card), AIMNET_ERR_DEVICE);
    aimnet_cuda_conv *op;
    assert_int_equal(aimnet_cuda_conv_create(0, NULL, 0, 0, NULL, &op), AIMNET_ERR_DEVICE);
    assert_null(op);
    assert_int_equal(aimnet_cuda_conv_create(0, NULL, -1, 0, NULL, &op), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_cuda_conv_forward_f32(NULL, 1, 1, NULL, NULL, NULL, NULL),
                     AIMNET_ERR_ARG);
    aimnet_cuda_conv_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coordinates_that_are_not_finite_are_refused),
        cmocka_unit_test(overlapping_atoms_are_refused_and_named),
        cmocka_unit_test(overlaps_are_found_in_structures_with_cell_lists_too),
        cmocka_unit_test(elements_outside_the_model_are_refused_by_name),
        cmocka_unit_test(impossible_charges_are_refused),
        cmocka_unit_test(a_structure_without_atoms_is_refused),
        cmocka_unit_test(huge_coordinates_are_refused_or_finite),
        cmocka_unit_test(many_failures_leave_many_results_alone),
        cmocka_unit_test(padding_atoms_get_zeros_and_change_nothing),
        cmocka_unit_test(forces_that_no_molecule_has_are_a_warning),
        cmocka_unit_test(multiplicity_of_a_closed_shell_model_is_a_warning),
        cmocka_unit_test(multiplicity_of_an_open_shell_model_has_rules),
        cmocka_unit_test(senseless_options_are_refused),
        cmocka_unit_test(cards_are_counted_or_missing_in_a_sentence),
        cmocka_unit_test(fast_is_close),
        cmocka_unit_test(ewald_and_pme_need_a_crystal),
        cmocka_unit_test(cells_too_small_for_their_atoms_are_refused),
        cmocka_unit_test(ewald_sums_of_oblique_cells_are_complete),
        cmocka_unit_test(derivatives_of_what_is_not_finite_are_refused),
        cmocka_unit_test(nothing_to_do_is_done),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
