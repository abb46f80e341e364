/* SPDX-License-Identifier: MIT */
/* test_crystal_memory.c - every allocation of a calculation on a crystal fails in turn: each Coulomb
 * method, lists of the caller, settings that change. A refusal is reported, leaks nothing and leaves
 * the calculator as it was; a second call of the same size allocates nothing. */
#include "fail_alloc.h"

#include <stdio.h>

#include "aimnet.h"

enum { N = 4, WIDTH = 640 };
static const int32_t numbers[N] = {8, 6, 1, 1};
static const double coord[3 * N] = {0.1, 0.0, 0.0, 1.3, 0.1, 0.0, 1.9, 0.9, 0.2, 1.9, -0.9, -0.1},
                              cell[9] = {5.1, 0.2, 0.0, -0.4, 4.7, 0.3, 0.1, 0.2, 5.3};

typedef struct outcome {
    double energy, forces[3 * N], stress[9];
} outcome;

typedef struct plan {
    const char *model;
    aimnet_options options;
    const aimnet_lists *lists;
    outcome expected;
} plan;

static aimnet_status evaluate(aimnet_calc *calc, const plan *p, outcome *out)
{
    memset(out, 0, sizeof *out);
    aimnet_system s = {.n_atoms = N, .numbers = numbers, .coord = coord, .cell = cell};
    s.pbc[0] = s.pbc[1] = s.pbc[2] = 1;
    s.lists = p->lists;
    aimnet_result r = {.forces = out->forces, .stress = out->stress};
    const aimnet_status status = aimnet_calc_eval(calc, &s, 1, &r);
    out->energy = r.energy;
    return status == AIMNET_ERR_SOME_FAILED ? r.status : status;
}

/* Loads the model, then fails allocation `fail_at` of what follows. Returns whether one failed. */
static int attempt(const plan *p, long fail_at, int sticky)
{
    fail_alloc f;
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    outcome out;
    fail_alloc_init(&f, 0, sticky);
    assert_int_equal(aimnet_model_load(p->model, &f.hooks, &model), AIMNET_OK);
    const long before = f.calls;
    f.fail_at = before + fail_at;
    aimnet_status status = aimnet_calc_create(&model, 1, &p->options, &calc);
    if (status == AIMNET_OK)
        status = evaluate(calc, p, &out);
    if (f.failed) {
        if (status != AIMNET_ERR_MEMORY)
            fail_msg("allocation %ld: status %s, %s", fail_at, aimnet_status_name(status),
                     aimnet_last_error());
        f.fail_at = 0;
        if (calc) /* the next call is as good as the first */
            assert_int_equal(evaluate(calc, p, &out), AIMNET_OK);
    }
    if (calc) {
        assert_memory_equal(&out, &p->expected, sizeof out);
        const long calls = f.calls;
        assert_int_equal(evaluate(calc, p, &out), AIMNET_OK);
        assert_int_equal(f.calls, calls);
        assert_memory_equal(&out, &p->expected, sizeof out);
    }
    const int failed = f.failed > 0;
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    fail_alloc_assert_clean(&f);
    return failed;
}

static void sweep(plan *p)
{
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    assert_int_equal(aimnet_model_load(p->model, NULL, &model), AIMNET_OK);
    assert_int_equal(aimnet_calc_create(&model, 1, &p->options, &calc), AIMNET_OK);
    assert_int_equal(evaluate(calc, p, &p->expected), AIMNET_OK);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    for (int sticky = 0; sticky < 2; sticky++) {
        long n = 1;
        while (attempt(p, n, sticky))
            n++;
        assert_true(n > 20);
    }
}

static plan with_method(aimnet_coulomb method)
{
    plan p = {.model = AIM_SOURCE_DIR "/tests/golden/models/base.pt",
              .options = aimnet_options_default()};
    p.options.threads = 2;
    p.options.coulomb = method;
    p.options.coulomb_cutoff = 6.0; /* not shared with D3 */
    p.options.d3_cutoff = 8.0;
    p.options.ewald_accuracy = 1e-4;
    return p;
}

static void every_allocation_of_a_lattice_sum_may_fail(void **state)
{
    (void)state;
    for (aimnet_coulomb method = AIMNET_COULOMB_SIMPLE; method <= AIMNET_COULOMB_PME; method++) {
        plan p = with_method(method);
        if (method < AIMNET_COULOMB_EWALD)
            p.options.ewald_accuracy = aimnet_options_default().ewald_accuracy;
        if (method != AIMNET_COULOMB_DSF)
            p.options.coulomb_cutoff = aimnet_options_default().coulomb_cutoff;
        sweep(&p);
    }
}

/* All images within `reach`, row by row. */
static aimnet_list list_within(double reach, int32_t *nbmat, int32_t *shifts)
{
    for (int k = 0; k < N * WIDTH; k++)
        nbmat[k] = N;
    memset(shifts, 0, 3 * N * WIDTH * sizeof *shifts);
    for (int i = 0; i < N; i++) {
        int at = i * WIDTH;
        for (int image = 0; image < 343 * N; image++) {
            const int j = image % N, t = image / N, s[3] = {t % 7 - 3, t / 7 % 7 - 3, t / 49 - 3};
            double d2 = 0.0;
            for (int d = 0; d < 3; d++) {
                const double r = coord[3 * j + d] - coord[3 * i + d] + s[0] * cell[d] +
                                 s[1] * cell[3 + d] + s[2] * cell[6 + d];
                d2 += r * r;
            }
            if (d2 == 0.0 || d2 >= reach * reach)
                continue;
            assert_true(at < (i + 1) * WIDTH);
            nbmat[at] = j;
            for (int d = 0; d < 3; d++)
                shifts[3 * at + d] = s[d];
            at++;
        }
    }
    return (aimnet_list){nbmat, shifts, N, WIDTH, reach};
}

static void every_allocation_with_lists_of_the_caller_may_fail(void **state)
{
    (void)state;
    static int32_t nbmat[3][N * WIDTH], shifts[3][3 * N * WIDTH];
    const aimnet_lists lists = {.network = list_within(5.5, nbmat[0], shifts[0]),
                                .coulomb = list_within(6.5, nbmat[1], shifts[1]),
                                .dftd3 = list_within(8.5, nbmat[2], shifts[2])};
    plan p = with_method(AIMNET_COULOMB_DSF);
    p.options.ewald_accuracy = aimnet_options_default().ewald_accuracy;
    p.lists = &lists;
    sweep(&p);
}

typedef aimnet_status (*setter)(aimnet_calc *calc);
static aimnet_status set_method(aimnet_calc *calc)
{
    return aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_DSF, 9.0, 0.25, AIMNET_DEFAULT);
}
static aimnet_status set_both(aimnet_calc *calc)
{
    return aimnet_calc_set_lr_cutoff(calc, 7.0);
}
static aimnet_status set_d3(aimnet_calc *calc)
{
    return aimnet_calc_set_dftd3_cutoff(calc, 7.5, 0.1);
}

static void a_setting_that_cannot_be_noted_is_not_changed(void **state)
{
    (void)state;
    static const setter setters[] = {set_method, set_both, set_d3};
    int failures = 0;
    for (int k = 0; k < 3; k++)
        for (long n = 1;; n++) {
            fail_alloc f;
            aimnet_model *model = NULL;
            aimnet_calc *calc = NULL;
            outcome before, after;
            /* its Coulomb energy is embedded: a method is noted as a warning */
            plan p = {.model = AIM_SOURCE_DIR "/tests/golden/models/lr_dsf.pt"};
            fail_alloc_init(&f, 0, 0);
            assert_int_equal(aimnet_model_load(p.model, &f.hooks, &model), AIMNET_OK);
            assert_int_equal(aimnet_calc_create(&model, 1, NULL, &calc), AIMNET_OK);
            assert_int_equal(set_method(calc), AIMNET_OK);
            assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, AIMNET_COULOMB_EWALD,
                                                              AIMNET_DEFAULT, AIMNET_DEFAULT, 1e-5),
                             AIMNET_OK);
            assert_int_equal(evaluate(calc, &p, &before), AIMNET_OK);
            const double d3_cutoff = aimnet_calc_dftd3_cutoff(calc);
            char notes[1024];
            snprintf(notes, sizeof notes, "%s", aimnet_calc_warnings(calc));
            f.fail_at = f.calls + n;
            const aimnet_status status = setters[k](calc);
            const int failed = f.failed > 0;
            f.fail_at = 0;
            failures += failed;
            assert_int_equal(status, failed ? AIMNET_ERR_MEMORY : AIMNET_OK);
            if (failed) {
                assert_int_equal(aimnet_calc_coulomb_method(calc), AIMNET_COULOMB_EWALD);
                assert_true(aimnet_calc_dftd3_cutoff(calc) == d3_cutoff);
                assert_string_equal(aimnet_calc_warnings(calc), notes);
                assert_int_equal(evaluate(calc, &p, &after), AIMNET_OK);
                assert_memory_equal(&before, &after, sizeof before);
            }
            aimnet_calc_free(calc);
            aimnet_model_free(model);
            fail_alloc_assert_clean(&f);
            if (!failed)
                break;
        }
    assert_true(failures >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_lattice_sum_may_fail),
        cmocka_unit_test(every_allocation_with_lists_of_the_caller_may_fail),
        cmocka_unit_test(a_setting_that_cannot_be_noted_is_not_changed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
