/* SPDX-License-Identifier: MIT */
/* test_d3ts.c - dispersion with predicted C6 and polarisabilities: scalar formula, finite
 * differences, the Python reference. */
#include "term_golden.h"

#include "point/cutoff.h"
#include "point/d3_damping.h"

typedef struct params {
    aim_d3_params d3;
    const structure *table; /* element of atom i has its r4r2 */
} params;

static aim_status d3ts(aim_term_io *io, fixture *f, const void *p)
{
    const params *c = p;
    double r4r2[100];
    for (int z = 0; z < 100; z++)
        r4r2[z] = 1.5 + 0.4 * z;
    for (int i = 0; c->table && i < c->table->n; i++)
        r4r2[c->table->numbers[i]] = c->table->r4r2[i];
    return aim_term_d3ts(io, &c->d3, r4r2, 100, f->disp, f->gdisp);
}

static const params kinds[] = {{{1.0, 0.39, 0.566, 3.128, INFINITY, 0.0}, NULL},
                               {{0.9, 1.2, 0.43, 4.4, 6.0, 0.5}, NULL},
                               {{1.0, 0.78, 0.43, 4.4, 30.0, 0.0}, NULL}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };
static const int organic[] = {1, 2, 3, 4, 5};

static structure cluster(uint64_t seed, int n)
{
    structure s = random_structure(seed, n, 1.3, organic, 5);
    if (n > 2) {
        s.disp[2] = 1e-7; /* the clamp of the combination rule acts on the pair 1, 2 */
        s.disp[3] = 200.0;
        s.disp[4] = 1e-6;
        s.disp[5] = 100.0;
    }
    return s;
}

static double combined(const double *a, const double *b)
{
    return 2.0 * a[0] * b[0] / fmax(a[0] * b[1] / a[1] + b[0] * a[1] / b[1], 1e-4);
}

static void energies_follow_the_scalar_formula(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        const structure s = cluster(4, 19), *list = &s;
        const aim_d3_params *p = &kinds[k].d3;
        fixture f = fixture_make(&list, 1);
        double e = 0.0;
        for (int i = 0; i < s.n; i++)
            for (int j = 0; j < i; j++) {
                const double *a = s.x + 3 * i, *b = s.x + 3 * j;
                const double d = AIM_BOHR_INV * sqrt((a[0] - b[0]) * (a[0] - b[0]) +
                                                     (a[1] - b[1]) * (a[1] - b[1]) +
                                                     (a[2] - b[2]) * (a[2] - b[2]));
                const double q =
                    aim_d3_c8_ratio(1.5 + 0.4 * s.numbers[i], 1.5 + 0.4 * s.numbers[j]);
                const double off = p->cutoff * AIM_BOHR_INV;
                e -= AIM_HARTREE * combined(s.disp + 2 * i, s.disp + 2 * j) *
                     aim_d3_damping(d, p->s6, p->s8, q, aim_d3_radius(q, p->a1, p->a2)).v *
                     aim_cutoff_s5(d, isfinite(off) ? off * (1.0 - p->smoothing) : off, off).v;
            }
        assert_close(energy_of(&f, d3ts, kinds + k), e, fabs(e), 1e-13, "energy", k);
        fixture_free(&f);
    }
}

static void all_gradients_are_slopes_of_the_energy(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++)
        for (int pairs = 0; pairs < 2; pairs++) {
            const structure s = cluster(6, 12), *list = &s;
            fixture f = fixture_make(&list, 1);
            if (pairs)
                fixture_pairs(&f, 7.0);
            check_slopes(&f, d3ts, kinds + k);
            double gdisp[24];
            evaluate(&f, d3ts, kinds + k);
            memcpy(gdisp, f.gdisp, sizeof gdisp);
            for (int i = 0; i < 2 * s.n; i++)
                if (i < 2 || i > 5) /* the clamped atoms are compared with the reference */
                    assert_close(gdisp[i], slope(&f, d3ts, kinds + k, f.disp + i, 1e-3),
                                 largest(gdisp, 2 * s.n), FD_TOLERANCE, "gdisp", i);
            fixture_free(&f);
        }
}

static void results_do_not_depend_on_batch_order_threads_lists_or_instruction_set(void **state)
{
    (void)state;
    const structure a = cluster(1, 70), b = cluster(2, 1), c = cluster(3, 17);
    const structure *list[] = {&a, &b, &c};
    for (int k = 0; k < N_KINDS; k++) {
        check_invariance(d3ts, kinds + k, list, 3, 0.0);
        check_invariance(d3ts, kinds + k, list, 3, 5.0);
        check_kernels_agree(d3ts, kinds + k, &a, 0.0);
        check_list_agrees(d3ts, kinds + k, &a);
    }
}

static void every_failing_allocation_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    const structure s = cluster(1, 20);
    check_allocation(d3ts, kinds, &s);
}

static void elements_without_parameters_and_bad_ranges_are_refused(void **state)
{
    (void)state;
    const structure s = cluster(1, 3), *list = &s;
    fixture f = fixture_make(&list, 1);
    aim_term_io io = fixture_io(&f);
    const params wrong[] = {{{1.0, 1.0, 0.4, 4.0, 0.0, 0.2}, NULL},
                            {{1.0, 1.0, 0.4, 4.0, 15.0, 1.5}, NULL},
                            {{1.0, 1.0, 0.4, 4.0, NAN, 0.2}, NULL}};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        assert_int_equal(d3ts(&io, &f, wrong + k), AIMNET_ERR_ARG);
    f.numbers[1] = 100;
    assert_int_equal(d3ts(&io, &f, kinds), AIMNET_ERR_ARG);
    fixture_free(&f);
}

static void compare_case(const golden_case *c)
{
    double v[4];
    assert_int_equal(line_numbers(c->line, v, 4), 4);
    const params p = {{v[0], v[1], v[2], v[3], INFINITY, 0.0}, &c->s};
    check_golden(c, d3ts, &p);
}

static void agrees_with_the_python_reference(void **state)
{
    (void)state;
    assert_in_range(golden_for_each("organic.txt", "d3ts", compare_case), 10, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(energies_follow_the_scalar_formula),
        cmocka_unit_test(all_gradients_are_slopes_of_the_energy),
        cmocka_unit_test(results_do_not_depend_on_batch_order_threads_lists_or_instruction_set),
        cmocka_unit_test(every_failing_allocation_is_reported_and_nothing_leaks),
        cmocka_unit_test(elements_without_parameters_and_bad_ranges_are_refused),
        cmocka_unit_test(agrees_with_the_python_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
