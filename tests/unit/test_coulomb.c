/* SPDX-License-Identifier: MIT */
/* test_coulomb.c - electrostatics of point charges: against scalar formulas, finite differences and
 * the Python reference. */
#include "term_golden.h"

#include "point/coulomb.h"
#include "point/cutoff.h"

typedef struct params {
    char kind; /* s: simple, d: DSF, e: envelope */
    double factor, rc, alpha;
    aim_envelope envelope;
} params;

static aim_status coulomb(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    const params *c = p;
    return c->kind == 's'   ? aim_term_coulomb_simple(io, c->factor)
           : c->kind == 'd' ? aim_term_coulomb_dsf(io, c->rc, c->alpha)
                            : aim_term_coulomb_sr(io, c->rc, c->envelope, c->factor);
}

static const params kinds[] = {
    {'s', 1.0, 0.0, 0.0, AIM_ENVELOPE_NONE},   {'s', -0.4, 0.0, 0.0, AIM_ENVELOPE_NONE},
    {'d', 1.0, 15.0, 0.2, AIM_ENVELOPE_NONE},  {'d', 1.0, 4.0, 0.35, AIM_ENVELOPE_NONE},
    {'d', 1.0, 4.0, 0.0, AIM_ENVELOPE_NONE},   {'e', -1.0, 4.6, 0.0, AIM_ENVELOPE_EXP},
    {'e', 1.0, 3.0, 0.0, AIM_ENVELOPE_COSINE}, {'e', 1.0, 3.0, 0.0, AIM_ENVELOPE_NONE},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };
static const int organic[] = {1, 6, 7, 8};

static structure cluster(uint64_t seed, int n)
{
    return random_structure(seed, n, 1.4, organic, 4);
}

static double scalar_energy(const params *p, const structure *s)
{
    const aim_dsf dsf = aim_dsf_make(p->kind == 'd' ? p->rc : 1.0, p->alpha);
    double e = 0.0;
    for (int i = 0; i < s->n; i++) {
        for (int j = 0; j < i; j++) {
            const double *a = s->x + 3 * i, *b = s->x + 3 * j;
            const double d = sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                                  (a[2] - b[2]) * (a[2] - b[2]));
            const aim_deriv f = p->kind == 'd' ? aim_coulomb_dsf(d, &dsf)
                                : p->kind == 'e'
                                    ? aim_deriv_mul(aim_coulomb_simple(d),
                                                    aim_cutoff_envelope(d, p->rc, p->envelope))
                                    : aim_coulomb_simple(d);
            e += p->factor * AIM_COULOMB_K * s->q[i] * s->q[j] * f.v;
        }
        if (p->kind == 'd')
            e += AIM_COULOMB_K * dsf.self * s->q[i] * s->q[i];
    }
    return e;
}

static void energies_follow_the_scalar_formulas(void **state)
{
    (void)state;
    for (int n = 1; n < 40; n += 3)
        for (int k = 0; k < N_KINDS; k++) {
            const structure s = cluster((uint64_t)n, n), *list = &s;
            fixture f = fixture_make(&list, 1);
            const double e = scalar_energy(kinds + k, &s);
            assert_close(energy_of(&f, coulomb, kinds + k), e, fabs(e), 1e-13, "energy", k);
            fixture_free(&f);
        }
}

static void two_unit_charges_repel_by_ke_over_d(void **state)
{
    (void)state;
    const structure s = {.n = 2,
                         .numbers = {1, 1},
                         .x = {1.0, 2.0, 3.0, 1.0, 2.0, 5.0},
                         .q = {1.0, 1.0}},
                    *list = &s;
    fixture f = fixture_make(&list, 1);
    evaluate(&f, coulomb, kinds);
    assert_close(f.energy[0], 14.399645 / 2.0, 1.0, 1e-6, "energy", 0);
    assert_close(f.grad[2], AIM_COULOMB_K / 4.0, 1.0, 1e-15, "grad", 2);
    assert_close(f.grad[5], -AIM_COULOMB_K / 4.0, 1.0, 1e-15, "grad", 5);
    assert_close(f.strain[8], -AIM_COULOMB_K / 2.0, 1.0, 1e-15, "strain", 8);
    assert_close(f.gq[0], AIM_COULOMB_K / 2.0, 1.0, 1e-15, "gq", 0);
    fixture_free(&f);
}

/* The seed keeps all pairs away from the cutoffs 3 and 4, where DSF and the cosine have a kink in
 * the second derivative. */
static void gradient_and_strain_are_slopes_of_the_energy(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++)
        for (int pairs = 0; pairs < 2; pairs++) {
            const structure s = cluster(8, 13), *list = &s;
            fixture f = fixture_make(&list, 1);
            if (pairs)
                fixture_pairs(&f, 4.5);
            check_slopes(&f, coulomb, kinds + k);
            fixture_free(&f);
        }
}

static void charge_gradient_is_the_slope_of_the_energy(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        const structure s = cluster(3, 10), *list = &s;
        fixture f = fixture_make(&list, 1);
        double gq[10];
        evaluate(&f, coulomb, kinds + k);
        memcpy(gq, f.gq, sizeof gq);
        for (int i = 0; i < s.n; i++)
            assert_close(gq[i], slope(&f, coulomb, kinds + k, f.q + i, 1e-2), largest(gq, 10),
                         1e-11, "gq", i);
        fixture_free(&f);
    }
}

static structure crystal(void)
{
    structure s = cluster(21, 9);
    const double cell[9] = {6.5, 0.2, -0.4, 1.1, 7.0, 0.3, -0.5, 0.9, 6.1};
    memcpy(s.cell, cell, sizeof cell);
    s.pbc[0] = s.pbc[1] = s.pbc[2] = 1;
    return s;
}

static void strain_of_a_crystal_is_the_slope_of_its_energy(void **state)
{
    (void)state;
    const structure s = crystal(), *list = &s;
    const params p[] = {{'d', 1.0, 6.0, 0.2, AIM_ENVELOPE_NONE},
                        {'e', 1.0, 4.6, 0.0, AIM_ENVELOPE_EXP}};
    for (int k = 0; k < 2; k++) {
        fixture f = fixture_make(&list, 1);
        fixture_pairs(&f, 6.2);
        check_slopes(&f, coulomb, p + k);
        fixture_free(&f);
    }
}

static void forces_sum_to_zero(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        const structure s = cluster(5, 50), *list = &s;
        fixture f = fixture_make(&list, 1);
        evaluate(&f, coulomb, kinds + k);
        for (int d = 0; d < 3; d++) {
            double sum = 0.0;
            for (int i = 0; i < s.n; i++)
                sum += f.grad[3 * i + d];
            assert_close(sum, 0.0, largest(f.grad, 150), 1e-13, "sum of forces", d);
        }
        fixture_free(&f);
    }
}

static void results_do_not_depend_on_batch_order_or_threads(void **state)
{
    (void)state;
    const structure a = cluster(1, 70), b = cluster(2, 1), c = cluster(3, 17), d = cluster(4, 64),
                    x = crystal();
    const structure *molecules[] = {&a, &b, &c, &d}, *mixed[] = {&a, &x, &b, &c};
    for (int k = 0; k < N_KINDS; k++) {
        check_invariance(coulomb, kinds + k, molecules, 4, 0.0);
        check_invariance(coulomb, kinds + k, mixed, 4, 5.0);
    }
}

static void instruction_sets_and_lists_agree(void **state)
{
    (void)state;
    const structure s = cluster(9, 61);
    for (int k = 0; k < N_KINDS; k++) {
        check_kernels_agree(coulomb, kinds + k, &s, 0.0);
        check_list_agrees(coulomb, kinds + k, &s);
    }
}

static void inactive_systems_are_left_alone(void **state)
{
    (void)state;
    const structure a = cluster(1, 20), b = cluster(2, 5), c = cluster(3, 17), d = cluster(4, 8);
    const structure *list[] = {&a, &b, &c, &d};
    check_active(coulomb, kinds, list, 4);
    check_active(coulomb, kinds + 2, list, 4);
}

static void every_failing_allocation_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    const structure s = cluster(1, 20);
    check_allocation(coulomb, kinds, &s);
}

static void impossible_parameters_are_refused(void **state)
{
    (void)state;
    const structure s = cluster(1, 3), *list = &s;
    const params wrong[] = {{'d', 1.0, 0.0, 0.2, AIM_ENVELOPE_NONE},
                            {'d', 1.0, NAN, 0.2, AIM_ENVELOPE_NONE},
                            {'d', 1.0, 9.0, -1.0, AIM_ENVELOPE_NONE},
                            {'e', 1.0, -2.0, 0.0, AIM_ENVELOPE_EXP}};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        fixture f = fixture_make(&list, 1);
        aim_term_io io = fixture_io(&f);
        assert_int_equal(coulomb(&io, &f, wrong + k), AIMNET_ERR_ARG);
        fixture_free(&f);
    }
}

static void compare_case(const golden_case *c)
{
    double v[2] = {0};
    params p = {.kind = 's', .factor = 1.0};
    line_numbers(c->line, v, 2);
    if (strncmp(c->line, "coulomb_dsf", 11) == 0)
        p = (params){'d', 1.0, v[0], v[1], AIM_ENVELOPE_NONE};
    else if (strncmp(c->line, "coulomb_sr_exp", 14) == 0)
        p = (params){'e', v[1], v[0], 0.0, AIM_ENVELOPE_EXP};
    else if (strncmp(c->line, "coulomb_sr_cosine", 17) == 0)
        p = (params){'e', v[1], v[0], 0.0, AIM_ENVELOPE_COSINE};
    check_golden(c, coulomb, &p);
}

static void agrees_with_the_python_reference(void **state)
{
    (void)state;
    assert_in_range(golden_for_each("organic.txt", "coulomb", compare_case), 50, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(energies_follow_the_scalar_formulas),
        cmocka_unit_test(two_unit_charges_repel_by_ke_over_d),
        cmocka_unit_test(gradient_and_strain_are_slopes_of_the_energy),
        cmocka_unit_test(charge_gradient_is_the_slope_of_the_energy),
        cmocka_unit_test(strain_of_a_crystal_is_the_slope_of_its_energy),
        cmocka_unit_test(forces_sum_to_zero),
        cmocka_unit_test(results_do_not_depend_on_batch_order_or_threads),
        cmocka_unit_test(instruction_sets_and_lists_agree),
        cmocka_unit_test(inactive_systems_are_left_alone),
        cmocka_unit_test(every_failing_allocation_is_reported_and_nothing_leaks),
        cmocka_unit_test(impossible_parameters_are_refused),
        cmocka_unit_test(agrees_with_the_python_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
