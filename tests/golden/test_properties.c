/* SPDX-License-Identifier: MIT */
/* test_properties.c - what physics demands of every model: forces are the derivative of the
 * energy, and neither moving, turning nor renumbering a structure changes it; and what aimnet.h
 * promises: results do not depend, bit for bit, on the other structures of a call, on their
 * order, on threads or on earlier calls. Everything goes through the public API. */
#include "support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tolerances, docs/numerics.md: five-point differences of a double energy; sums of the same
 * numbers in another order. */
static const double FORCE_DIFFERENCE = 1e-6;             /* eV/A */
static const double REORDERED_ENERGY[2] = {2e-7, 1e-11}; /* eV per atom: single, double */
static const double REORDERED_FORCE[2] = {2e-5, 1e-9};   /* eV/A */
static const double FAR_AWAY_ENERGY = 1e-5;              /* eV, coordinates of 1e6 A */

/* One model of each kind; the default one first. */
static const char *const MODELS[] = {
    "default",
    "tests/golden/models/base.pt",
    "tests/golden/models/flat.pt",
    "tests/golden/models/nse.pt",
    "tests/golden/models/nse_flat.pt",
    "tests/golden/models/pass2.pt",
    "tests/golden/models/pass4.pt",
    "tests/golden/models/aev.pt",
    "tests/golden/models/sr_cosine.pt",
    "tests/golden/models/srrep_exp.pt",
    "tests/golden/models/srrep_cosine.pt",
    "tests/golden/models/multipoles_centred.pt",
    "tests/golden/models/d3ts.pt",
    "tests/golden/models/d3ts_nse.pt",
    "tests/golden/models/lr_simple.pt",
    "tests/golden/models/lr_dsf.pt",
    "tests/golden/models/lr_dftd3.pt",
    "tests/golden/models/mlp_options.pt",
};
enum { N_MODELS = sizeof MODELS / sizeof *MODELS };

static const char *const SET[] = {
    "hydrogen",          "water",         "caffeine",           "trimethyl_phosphate",
    "oxygen_atom",       "water_16",      "dimethyl_selenide",  "water_42",
    "alanine_dipeptide", "lone_pair_far", "phenylboronic_acid", "iodobenzene"};
enum { N_SET = sizeof SET / sizeof *SET };

typedef struct fixture {
    molecule mol[N_SET];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f)
        return 1;
    for (int i = 0; i < N_SET; i++)
        f->mol[i] = molecule_read(SET[i]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < N_SET; i++)
        molecule_free(&f->mol[i]);
    free(f);
    return 0;
}

static const molecule *find(const fixture *f, const char *name)
{
    for (int i = 0; i < N_SET; i++)
        if (strcmp(f->mol[i].name, name) == 0)
            return &f->mol[i];
    fail_msg("%s is not in the set", name);
    return NULL;
}

static aimnet_options options_of(aimnet_precision precision, aimnet_coulomb coulomb)
{
    aimnet_options o = aimnet_options_default();
    o.precision = precision;
    o.coulomb = coulomb;
    return o;
}

/* ---------------------------------------------------------------- forces */

enum { STENCIL = 4, PROBES = 8 };

/* -dE/dx of `PROBES` seeded coordinates by five-point differences, evaluated in one call, against
 * the forces. */
static void check_forces(aimnet_calc *calc, const molecule *m, const char *what)
{
    static const double shift[STENCIL] = {-2, -1, 1, 2},
                        weight[STENCIL] = {1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};
    const double h =
        2.5e-4; /* a pair that crosses a cutoff bends the slope by the jump of E'' times h */
    molecule moved[STENCIL * PROBES];
    const molecule *mols[STENCIL * PROBES + 1] = {m};
    evaluation e[STENCIL * PROBES + 1] = {evaluation_create(m->n, 0)};
    int coordinate[PROBES];
    uint64_t seed = 7;
    for (int p = 0; p < PROBES; p++) {
        coordinate[p] = (int)(next_u64(&seed) % (uint64_t)(3 * m->n));
        for (int s = 0; s < STENCIL; s++) {
            int k = STENCIL * p + s;
            moved[k] = molecule_copy(m);
            moved[k].coord[coordinate[p]] += shift[s] * h;
            mols[k + 1] = &moved[k];
            e[k + 1] = evaluation_create(m->n, 0);
        }
    }
    evaluate_ok(calc, mols, STENCIL * PROBES + 1, e);
    for (int p = 0; p < PROBES; p++) {
        double slope = 0.0;
        for (int s = 0; s < STENCIL; s++)
            slope += weight[s] * (e[1 + STENCIL * p + s].r.energy - e[0].r.energy) / h;
        double force = e[0].r.forces[coordinate[p]];
        if (!(fabs(force + slope) <= FORCE_DIFFERENCE))
            fail_msg("%s, %s: force %.12g on coordinate %d, the energy's slope says %.12g", what,
                     m->name, force, coordinate[p], -slope);
    }
    for (int k = 0; k <= STENCIL * PROBES; k++)
        evaluation_free(&e[k]);
    for (int k = 0; k < STENCIL * PROBES; k++)
        molecule_free(&moved[k]);
}

static void forces_are_the_slope_of_the_energy_for_every_model(void **state)
{
    const fixture *f = *state;
    for (int i = 0; i < N_MODELS; i++) {
        aimnet_options o = options_of(AIMNET_DOUBLE, AIMNET_COULOMB_SIMPLE);
        aimnet_model *model = model_open(MODELS[i]);
        aimnet_calc *calc = calc_open(model, &o);
        check_forces(calc, find(f, "caffeine"), MODELS[i]);
        check_forces(calc, find(f, "trimethyl_phosphate"), MODELS[i]);
        check_forces(calc, find(f, "phenylboronic_acid"), MODELS[i]);
        check_forces(calc, find(f, "water"), MODELS[i]);
        aimnet_calc_free(calc);
        aimnet_model_free(model);
    }
}

static void forces_are_the_slope_of_the_energy_with_short_cutoffs(void **state)
{
    const fixture *f = *state;
    aimnet_model *model = model_open(NULL);
    for (int i = 0; i < 3; i++) {
        aimnet_options o =
            options_of(AIMNET_DOUBLE, i == 0 ? AIMNET_COULOMB_SIMPLE : AIMNET_COULOMB_DSF);
        o.coulomb_cutoff = i == 1 ? 15.0 : 6.5;
        o.d3_cutoff = i == 0 ? 5.5 : 9.0;
        o.d3_smoothing = 0.4;
        aimnet_calc *calc = calc_open(model, &o);
        check_forces(calc, find(f, "caffeine"), "short cutoffs");
        check_forces(calc, find(f, "water_16"), "short cutoffs");
        aimnet_calc_free(calc);
    }
    aimnet_model_free(model);
}

static void forces_of_a_structure_sum_to_zero(void **state)
{
    const fixture *f = *state;
    for (int precision = 0; precision < 2; precision++) {
        aimnet_options o = options_of((aimnet_precision)precision, AIMNET_COULOMB_SIMPLE);
        aimnet_model *model = model_open(NULL);
        aimnet_calc *calc = calc_open(model, &o);
        for (int i = 0; i < N_SET; i++) {
            const molecule *m = &f->mol[i];
            evaluation e = evaluation_create(m->n, 0);
            evaluate_ok(calc, &m, 1, &e);
            double sum[3] = {0};
            for (int32_t k = 0; k < 3 * m->n; k++)
                sum[k % 3] += e.r.forces[k];
            for (int d = 0; d < 3; d++)
                assert_true(fabs(sum[d]) <= REORDERED_FORCE[precision] * m->n);
            evaluation_free(&e);
        }
        aimnet_calc_free(calc);
        aimnet_model_free(model);
    }
}

/* ---------------------------------------------------------------- invariances */

/* Energy of `b` as of `a`, forces of b as those of `a` turned by r, with atom i of b being atom
 * order[i] of a. */
static void check_same(const molecule *a, const evaluation *ea, const evaluation *eb,
                       const double r[9], const int32_t *order, int precision)
{
    assert_true(fabs(ea->r.energy - eb->r.energy) <= REORDERED_ENERGY[precision] * a->n);
    for (int32_t i = 0; i < a->n; i++) {
        const double *fa = ea->r.forces + 3 * (order ? order[i] : i), *fb = eb->r.forces + 3 * i;
        for (int d = 0; d < 3; d++) {
            double turned = fa[0] * r[3 * d] + fa[1] * r[3 * d + 1] + fa[2] * r[3 * d + 2];
            if (!(fabs(turned - fb[d]) <= REORDERED_FORCE[precision]))
                fail_msg("%s: atom %d: %.12g and %.12g", a->name, i, turned, fb[d]);
        }
    }
}

static void turn(molecule *m, const double r[9])
{
    for (int32_t i = 0; i < m->n; i++) {
        double *x = m->coord + 3 * i, y[3];
        for (int d = 0; d < 3; d++)
            y[d] = x[0] * r[3 * d] + x[1] * r[3 * d + 1] + x[2] * r[3 * d + 2];
        memcpy(x, y, sizeof y);
    }
}

static void shuffle(uint64_t *seed, int32_t *order, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        order[i] = i;
    for (int32_t i = n - 1; i > 0; i--) {
        int32_t j = (int32_t)(next_u64(seed) % (uint64_t)(i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

static void check_invariance(aimnet_calc *calc, const molecule *m, int precision)
{
    static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    uint64_t seed = 11;
    double r[9];
    int32_t *order = calloc((size_t)m->n, sizeof *order);
    assert_non_null(order);
    random_rotation(&seed, r);
    shuffle(&seed, order, m->n);
    molecule moved = molecule_copy(m), turned = molecule_copy(m), renumbered = molecule_copy(m);
    turn(&turned, r);
    for (int32_t i = 0; i < m->n; i++)
        for (int d = 0; d < 3; d++) {
            moved.coord[3 * i + d] += 17.0 - 29.0 * d;
            renumbered.coord[3 * i + d] = m->coord[3 * order[i] + d];
            renumbered.numbers[i] = m->numbers[order[i]];
        }
    const molecule *mols[4] = {m, &moved, &turned, &renumbered};
    evaluation e[4];
    for (int k = 0; k < 4; k++)
        e[k] = evaluation_create(m->n, 0);
    evaluate_ok(calc, mols, 4, e);
    check_same(m, &e[0], &e[1], identity, NULL, precision);
    check_same(m, &e[0], &e[2], r, NULL, precision);
    check_same(m, &e[0], &e[3], identity, order, precision);
    for (int k = 0; k < 4; k++)
        evaluation_free(&e[k]);
    molecule_free(&moved);
    molecule_free(&turned);
    molecule_free(&renumbered);
    free(order);
}

static void moving_turning_and_renumbering_change_nothing(void **state)
{
    const fixture *f = *state;
    for (int precision = 0; precision < 2; precision++) {
        for (int i = 0; i < N_MODELS; i += precision == AIMNET_DOUBLE ? 1 : N_MODELS) {
            aimnet_options o = options_of((aimnet_precision)precision, AIMNET_COULOMB_SIMPLE);
            aimnet_model *model = model_open(MODELS[i]);
            aimnet_calc *calc = calc_open(model, &o);
            check_invariance(calc, find(f, "caffeine"), precision);
            check_invariance(calc, find(f, "trimethyl_phosphate"), precision);
            if (i == 0) {
                check_invariance(calc, find(f, "water_42"), precision);
                check_invariance(calc, find(f, "lone_pair_far"), precision);
            }
            aimnet_calc_free(calc);
            aimnet_model_free(model);
        }
    }
}

static void a_structure_far_from_the_origin_is_the_same_structure(void **state)
{
    const fixture *f = *state;
    for (int precision = 0; precision < 2; precision++) {
        aimnet_options o = options_of((aimnet_precision)precision, AIMNET_COULOMB_SIMPLE);
        aimnet_model *model = model_open(NULL);
        aimnet_calc *calc = calc_open(model, &o);
        const molecule *m = find(f, "caffeine");
        molecule far = molecule_copy(m);
        for (int32_t i = 0; i < 3 * m->n; i++)
            far.coord[i] += 1e6;
        const molecule *mols[2] = {m, &far};
        evaluation e[2] = {evaluation_create(m->n, 0), evaluation_create(m->n, 0)};
        evaluate_ok(calc, mols, 2, e);
        assert_true(fabs(e[0].r.energy - e[1].r.energy) <= FAR_AWAY_ENERGY);
        evaluation_free(&e[0]);
        evaluation_free(&e[1]);
        molecule_free(&far);
        aimnet_calc_free(calc);
        aimnet_model_free(model);
    }
}

/* Two copies 40 A apart: twice the energy of one, but for what is left of Coulomb and D3 between
 * them. */
static void distant_copies_of_the_network_part_do_not_feel_each_other(void **state)
{
    const fixture *f = *state;
    const molecule *m = find(f, "caffeine");
    aimnet_options o = options_of(AIMNET_DOUBLE, AIMNET_COULOMB_SIMPLE);
    o.needs_coulomb = o.needs_dispersion = 0;
    aimnet_model *model = model_open("tests/golden/models/srrep_exp.pt");
    aimnet_calc *calc = calc_open(model, &o);
    molecule two = {.n = 2 * m->n, .mult = 1};
    two.numbers = calloc((size_t)two.n, sizeof *two.numbers);
    two.coord = calloc((size_t)two.n * 3, sizeof *two.coord);
    assert_true(two.numbers && two.coord);
    for (int32_t i = 0; i < two.n; i++) {
        two.numbers[i] = m->numbers[i % m->n];
        for (int d = 0; d < 3; d++)
            two.coord[3 * i + d] = m->coord[3 * (i % m->n) + d] + (i >= m->n ? 40.0 : 0.0);
    }
    const molecule *mols[2] = {m, &two};
    evaluation e[2] = {evaluation_create(m->n, 0), evaluation_create(two.n, 0)};
    evaluate_ok(calc, mols, 2, e);
    /* Charges of two copies are not exactly those of one: the 1e-6 in the charge equilibration. */
    assert_true(fabs(e[1].r.energy - 2.0 * e[0].r.energy) < 1e-4);
    evaluation_free(&e[0]);
    evaluation_free(&e[1]);
    molecule_free(&two);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

/* ---------------------------------------------------------------- bits */

static void evaluate_singly(aimnet_calc *calc, const fixture *f, evaluation *out)
{
    for (int i = 0; i < N_SET; i++) {
        const molecule *m = &f->mol[i];
        out[i] = evaluation_create(m->n, 0);
        evaluate_ok(calc, &m, 1, &out[i]);
    }
}

/* The set in the given order in one call: bits as in `want`. */
static void check_batch(aimnet_calc *calc, const fixture *f, const int32_t *order, int n,
                        const evaluation *want, const char *what)
{
    const molecule *mols[N_SET] = {NULL};
    evaluation got[N_SET];
    for (int i = 0; i < n; i++) {
        mols[i] = &f->mol[order[i]];
        got[i] = evaluation_create(mols[i]->n, 0);
    }
    evaluate_ok(calc, mols, n, got);
    for (int i = 0; i < n; i++) {
        if (!same_bits(&got[i], &want[order[i]]))
            fail_msg("%s: %s: energy %.17g instead of %.17g", what, mols[i]->name, got[i].r.energy,
                     want[order[i]].r.energy);
        evaluation_free(&got[i]);
    }
}

static void results_do_not_depend_on_batch_order_or_threads(void **state)
{
    static const int threads[] = {1, 2, 3, 5};
    const fixture *f = *state;
    static const char *const models[] = {"default", "tests/golden/models/base.pt",
                                         "tests/golden/models/lr_dftd3.pt"};
    for (int k = 0; k < 3 * 4; k++) {
        aimnet_options o = options_of((aimnet_precision)(k % 2),
                                      k % 4 < 2 ? AIMNET_COULOMB_SIMPLE : AIMNET_COULOMB_DSF);
        aimnet_model *model = model_open(models[k / 4]);
        evaluation want[N_SET];
        o.threads = 1;
        aimnet_calc *calc = calc_open(model, &o);
        evaluate_singly(calc, f, want);
        aimnet_calc_free(calc);
        uint64_t seed = 5;
        for (int t = 0; t < 4; t++) {
            int32_t order[N_SET];
            o.threads = threads[t];
            o.batch_atoms = t == 2 ? 60 : 0;
            o.nb_threshold = t == 3 ? 10 : 120;
            calc = calc_open(model, &o);
            shuffle(&seed, order, N_SET);
            check_batch(calc, f, order, N_SET, want, "threads");
            shuffle(&seed, order, N_SET);
            check_batch(calc, f, order, N_SET / 2, want, "threads, half of the set");
            aimnet_calc_free(calc);
        }
        for (int i = 0; i < N_SET; i++)
            evaluation_free(&want[i]);
        aimnet_model_free(model);
    }
}

/* A calculator with a past gives what a new one gives. */
static void random_sequences_of_calls_leave_no_trace(void **state)
{
    const fixture *f = *state;
    uint64_t seed = 2026;
    aimnet_model *model = model_open(NULL);
    aimnet_calc *old[4];
    aimnet_options o[4];
    for (int k = 0; k < 4; k++) {
        o[k] = options_of((aimnet_precision)(k % 2),
                          k < 2 ? AIMNET_COULOMB_SIMPLE : AIMNET_COULOMB_DSF);
        o[k].threads = 2;
        old[k] = calc_open(model, &o[k]);
    }
    for (int step = 0; step < 40; step++) {
        int k = (int)(next_u64(&seed) % 4), n = 1 + (int)(next_u64(&seed) % 5);
        molecule mine[5];
        const molecule *mols[5];
        evaluation a[5], b[5];
        for (int i = 0; i < n; i++) {
            mine[i] = molecule_copy(&f->mol[next_u64(&seed) % N_SET]);
            mine[i].charge = (double)(next_u64(&seed) % 5) - 2.0;
            if (next_u64(&seed) % 8 == 0)
                mine[i].coord[0] = NAN;
            mols[i] = &mine[i];
            a[i] = evaluation_create(mine[i].n, 0);
            b[i] = evaluation_create(mine[i].n, 0);
            if (next_u64(&seed) % 3 == 0)
                a[i].r.forces = b[i].r.forces = NULL;
        }
        aimnet_calc *fresh = calc_open(model, &o[k]);
        aimnet_status sa = evaluate(old[k], mols, n, a), sb = evaluate(fresh, mols, n, b);
        assert_int_equal(sa, sb);
        for (int i = 0; i < n; i++) {
            assert_int_equal(a[i].r.status, b[i].r.status);
            assert_true(a[i].r.status != AIMNET_OK || same_bits(&a[i], &b[i]));
            evaluation_free(&a[i]);
            evaluation_free(&b[i]);
            molecule_free(&mine[i]);
        }
        aimnet_calc_free(fresh);
    }
    for (int k = 0; k < 4; k++)
        aimnet_calc_free(old[k]);
    aimnet_model_free(model);
}

typedef struct worker {
    aimnet_calc *calc;
    const fixture *f;
    const evaluation *want;
    int failures;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    for (int round = 0; round < 5; round++)
        for (int i = 0; i < N_SET; i++) {
            aimnet_system s = molecule_system(&w->f->mol[i]);
            evaluation e = evaluation_create(s.n_atoms, 0);
            if (aimnet_calc_eval(w->calc, &s, 1, &e.r) || !same_bits(&e, &w->want[i]))
                w->failures++;
            evaluation_free(&e);
        }
    return NULL;
}

static void one_model_serves_several_threads(void **state)
{
    enum { N = 4 };
    const fixture *f = *state;
    aimnet_model *model = model_open(NULL);
    aimnet_options o = aimnet_options_default();
    o.threads = 1;
    evaluation want[N_SET];
    aimnet_calc *calc = calc_open(model, &o);
    evaluate_singly(calc, f, want);
    aimnet_calc_free(calc);
    worker w[N];
    pthread_t thread[N];
    for (int k = 0; k < N; k++) {
        o.threads = 1 + k % 2;
        w[k] = (worker){.calc = calc_open(model, &o), .f = f, .want = want};
        assert_int_equal(pthread_create(&thread[k], NULL, work, &w[k]), 0);
    }
    for (int k = 0; k < N; k++) {
        pthread_join(thread[k], NULL);
        assert_int_equal(w[k].failures, 0);
        aimnet_calc_free(w[k].calc);
    }
    for (int i = 0; i < N_SET; i++)
        evaluation_free(&want[i]);
    aimnet_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forces_are_the_slope_of_the_energy_for_every_model),
        cmocka_unit_test(forces_are_the_slope_of_the_energy_with_short_cutoffs),
        cmocka_unit_test(forces_of_a_structure_sum_to_zero),
        cmocka_unit_test(moving_turning_and_renumbering_change_nothing),
        cmocka_unit_test(a_structure_far_from_the_origin_is_the_same_structure),
        cmocka_unit_test(distant_copies_of_the_network_part_do_not_feel_each_other),
        cmocka_unit_test(results_do_not_depend_on_batch_order_or_threads),
        cmocka_unit_test(random_sequences_of_calls_leave_no_trace),
        cmocka_unit_test(one_model_serves_several_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
