/* SPDX-License-Identifier: MIT */
/* test_ensembles.c - several models in one calculator: means and population deviations of what they
 * all give, and refusal of models that do not belong together. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where tests/cuda/run wants the calculators of this program. */
static void on_test_device(aimnet_options *o)
{
    if (getenv("AIMNET_TEST_DEVICE"))
        o->device = getenv("AIMNET_TEST_DEVICE");
}

static void ensembles_give_mean_and_population_deviation(void **state)
{
    (void)state;
    static const char *const path[3] = {"tests/golden/models/base.pt",
                                        "tests/golden/models/half.pt",
                                        "tests/golden/models/bfloat16.pt"};
    aimnet_model *model[3];
    evaluation part[3], all = evaluation_create(24, 0);
    molecule m = molecule_read("caffeine");
    const molecule *p = &m;
    aimnet_options o = aimnet_options_default();
    o.precision = AIMNET_DOUBLE;
    on_test_device(&o);
    for (int k = 0; k < 3; k++) {
        model[k] = model_open(path[k]);
        aimnet_calc *one = calc_open(model[k], &o);
        part[k] = evaluation_create(m.n, 0);
        evaluate_ok(one, &p, 1, &part[k]);
        assert_true(part[k].r.energy_std == 0.0);
        aimnet_calc_free(one);
    }
    aimnet_calc *calc = NULL;
    if (aimnet_calc_create(model, 3, &o, &calc))
        fail_msg("%s", aimnet_last_error());
    evaluate_ok(calc, &p, 1, &all);
    double *values[3], *mean = all.r.forces, *deviation = all.r.forces_std;
    for (int q = 0; q < 3; q++) {
        for (int32_t i = 0; i < (q == 0 ? 1 : q == 1 ? m.n : 3 * m.n); i++) {
            for (int k = 0; k < 3; k++)
                values[k] = q == 0   ? &part[k].r.energy
                            : q == 1 ? part[k].r.charges + i
                                     : part[k].r.forces + i;
            double got = q == 0 ? all.r.energy : q == 1 ? all.r.charges[i] : mean[i];
            double got_std = q == 0   ? all.r.energy_std
                             : q == 1 ? all.r.charges_std[i]
                                      : deviation[i];
            double a = *values[0], b = *values[1], c = *values[2], mu = (a + b + c) / 3;
            double sd = sqrt(((a - mu) * (a - mu) + (b - mu) * (b - mu) + (c - mu) * (c - mu)) / 3);
            assert_true(fabs(got - mu) <= 1e-12 * fmax(1.0, fabs(mu)));
            assert_true(fabs(got_std - sd) <= 1e-10 * fmax(1.0, fabs(mu)));
        }
    }
    evaluation_free(&all);
    for (int k = 0; k < 3; k++)
        evaluation_free(&part[k]);
    molecule_free(&m);
    aimnet_calc_free(calc);
    for (int k = 0; k < 3; k++)
        aimnet_model_free(model[k]);
}

/* Values of an output of the last evaluation's only structure; their number. */
static size_t output_by_name(const aimnet_calc *calc, const char *name, double *values, size_t room)
{
    for (int i = 0; i < aimnet_calc_output_count(calc); i++) {
        const char *other = NULL;
        int per_atom = 0, width = 0;
        assert_int_equal(aimnet_calc_output_info(calc, i, &other, &per_atom, &width), AIMNET_OK);
        if (strcmp(name, other) != 0)
            continue;
        assert_int_equal(aimnet_calc_output_get(calc, i, 0, values, room), AIMNET_OK);
        return (size_t)width * (per_atom ? 24 : 1);
    }
    return 0;
}

/* n_shared: how many outputs two models have in common */
static void check_mean_outputs(const char *first, const char *second, int n_shared)
{
    const char *const path[2] = {first, second};
    enum { ROOM = 4096 };
    static double one[2][ROOM], both[ROOM];
    aimnet_model *model[2] = {model_open(path[0]), model_open(path[1])};
    aimnet_calc *calc[3];
    molecule m = molecule_read("caffeine");
    const molecule *p = &m;
    evaluation e = evaluation_create(m.n, 0);
    aimnet_options o = aimnet_options_default();
    o.mixed_families = 1;
    on_test_device(&o);
    assert_int_equal(aimnet_calc_create(model, 2, &o, &calc[2]), AIMNET_OK);
    evaluate_ok(calc[2], &p, 1, &e);
    for (int k = 0; k < 2; k++) {
        calc[k] = calc_open(model[k], &o);
        evaluate_ok(calc[k], &p, 1, &e);
    }
    assert_int_equal(aimnet_calc_output_count(calc[2]), n_shared);
    for (int i = 0; i < aimnet_calc_output_count(calc[2]); i++) {
        const char *name = NULL;
        assert_int_equal(aimnet_calc_output_info(calc[2], i, &name, NULL, NULL), AIMNET_OK);
        const size_t n = output_by_name(calc[2], name, both, ROOM);
        for (int k = 0; k < 2; k++)
            assert_int_equal(output_by_name(calc[k], name, one[k], ROOM), n);
        for (size_t v = 0; v < n; v++)
            assert_true(fabs(both[v] - (one[0][v] + one[1][v]) / 2) <=
                        1e-12 * fmax(1.0, fabs(both[v])));
    }
    evaluation_free(&e);
    molecule_free(&m);
    for (int k = 0; k < 3; k++)
        aimnet_calc_free(calc[k]);
    for (int k = 0; k < 2; k++)
        aimnet_model_free(model[k]);
}

static void outputs_of_an_ensemble_are_the_means_of_those_that_all_members_have(void **state)
{
    (void)state;
    check_mean_outputs("tests/golden/models/multipoles.pt",
                       "tests/golden/models/multipoles_centred.pt", 2);
    check_mean_outputs("tests/golden/models/mlp_options.pt", "tests/golden/models/mlp_options.pt",
                       3);
    check_mean_outputs("tests/golden/models/srrep_none.pt", "tests/golden/models/srrep_exp.pt", 0);
}

static void ensembles_of_different_families_are_refused(void **state)
{
    (void)state;
    aimnet_model *model[2] = {model_open("tests/golden/models/pass4.pt"),
                              model_open("tests/golden/models/nse.pt")};
    aimnet_calc *calc = NULL;
    assert_int_not_equal(aimnet_calc_create(model, 2, NULL, &calc), AIMNET_OK);
    assert_null(calc);
    assert_non_null(strstr(aimnet_last_error(), "famil"));
    aimnet_model_free(model[0]);
    aimnet_model_free(model[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ensembles_give_mean_and_population_deviation),
        cmocka_unit_test(outputs_of_an_ensemble_are_the_means_of_those_that_all_members_have),
        cmocka_unit_test(ensembles_of_different_families_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
