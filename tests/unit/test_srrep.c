/* SPDX-License-Identifier: MIT */
/* test_srrep.c - the short-range repulsion: against its scalar formula, finite differences and the
 * Python reference. */
#include "term_golden.h"

#include "point/cutoff.h"
#include "point/repulsion.h"

typedef struct params {
    double rc;
    aim_envelope envelope;
    const structure
        *table; /* element i + 1 has the parameters of its atom i; NULL: those of `organic` */
} params;

static const int organic[] = {1, 2, 3, 4, 5};

static aim_status srrep(aim_term_io *io, fixture *f, const void *p)
{
    const params *c = p;
    double table[2 * 120] = {0};
    for (int z = 1; z < 120; z++) {
        table[2 * z] = 0.9 + 0.1 * (z % 10);
        table[2 * z + 1] = 4.0 + z % 7;
    }
    for (int i = 0; c->table && i < c->table->n; i++) {
        table[2 * c->table->numbers[i]] = c->table->rep[2 * i];
        table[2 * c->table->numbers[i] + 1] = c->table->rep[2 * i + 1];
    }
    return aim_term_srrep(io, table, 120, c->rc, c->envelope, f->e_atom);
}

static const params kinds[] = {{5.0, AIM_ENVELOPE_EXP, NULL},
                               {3.5, AIM_ENVELOPE_COSINE, NULL},
                               {0.0, AIM_ENVELOPE_NONE, NULL}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static structure cluster(uint64_t seed, int n)
{
    return random_structure(seed, n, 1.1, organic, 5);
}

static void energies_follow_the_scalar_formula(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        const structure s = cluster(4, 19), *list = &s;
        fixture f = fixture_make(&list, 1);
        evaluate(&f, srrep, kinds + k);
        double e = 0.0, sum = 0.0;
        for (int i = 0; i < s.n; i++) {
            sum += f.e_atom[i];
            for (int j = 0; j < s.n; j++) {
                const double *a = s.x + 3 * i, *b = s.x + 3 * j;
                const double d =
                    sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                         (a[2] - b[2]) * (a[2] - b[2]));
                const int zi = s.numbers[i], zj = s.numbers[j];
                if (i != j)
                    e += (4.0 + zi) * (4.0 + zj) *
                         aim_cutoff_envelope(d, kinds[k].rc, kinds[k].envelope).v *
                         aim_repulsion_gfn1(d, (0.9 + 0.1 * zi) * (0.9 + 0.1 * zj)).v;
            }
        }
        assert_close(f.energy[0], e, fabs(e), 1e-13, "energy", k);
        assert_close(sum, e, fabs(e), 1e-13, "sum of atomic energies", k);
        fixture_free(&f);
    }
}

static void gradient_and_strain_are_slopes_of_the_energy(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++)
        for (int pairs = 0; pairs < 2; pairs++) {
            const structure s = cluster(6, 12), *list = &s;
            fixture f = fixture_make(&list, 1);
            if (pairs)
                fixture_pairs(&f, 5.1);
            check_slopes(&f, srrep, kinds + k);
            fixture_free(&f);
        }
}

static void results_do_not_depend_on_batch_order_threads_lists_or_instruction_set(void **state)
{
    (void)state;
    const structure a = cluster(1, 70), b = cluster(2, 1), c = cluster(3, 17);
    const structure *list[] = {&a, &b, &c};
    for (int k = 0; k < N_KINDS; k++) {
        check_invariance(srrep, kinds + k, list, 3, 0.0);
        check_invariance(srrep, kinds + k, list, 3, 5.0);
        check_kernels_agree(srrep, kinds + k, &a, 0.0);
        check_list_agrees(srrep, kinds + k, &a);
    }
}

static void every_failing_allocation_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    const structure s = cluster(1, 20);
    check_allocation(srrep, kinds, &s);
}

static void elements_without_parameters_and_bad_cutoffs_are_refused(void **state)
{
    (void)state;
    structure s = cluster(1, 3), *list = &s;
    fixture f = fixture_make((const structure *const *)&list, 1);
    aim_term_io io = fixture_io(&f);
    const params wrong = {0.0, AIM_ENVELOPE_EXP, NULL};
    assert_int_equal(srrep(&io, &f, &wrong), AIMNET_ERR_ARG);
    f.numbers[1] = 120;
    assert_int_equal(srrep(&io, &f, kinds), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "120"));
    fixture_free(&f);
}

static void compare_case(const golden_case *c)
{
    params p = {.envelope = AIM_ENVELOPE_NONE, .table = &c->s};
    line_numbers(c->line, &p.rc, 1);
    if (strncmp(c->line, "srrep_exp", 9) == 0)
        p.envelope = AIM_ENVELOPE_EXP;
    else if (strncmp(c->line, "srrep_cosine", 12) == 0)
        p.envelope = AIM_ENVELOPE_COSINE;
    check_golden(c, srrep, &p);
}

static void agrees_with_the_python_reference(void **state)
{
    (void)state;
    assert_in_range(golden_for_each("organic.txt", "srrep", compare_case), 30, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(energies_follow_the_scalar_formula),
        cmocka_unit_test(gradient_and_strain_are_slopes_of_the_energy),
        cmocka_unit_test(results_do_not_depend_on_batch_order_threads_lists_or_instruction_set),
        cmocka_unit_test(every_failing_allocation_is_reported_and_nothing_leaks),
        cmocka_unit_test(elements_without_parameters_and_bad_cutoffs_are_refused),
        cmocka_unit_test(agrees_with_the_python_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
