/* SPDX-License-Identifier: MIT */
/* test_ewald.c - Ewald sums: an analytic limit, independence of the splitting, derivatives,
 * supercells, other systems in the batch. */
#include <stdio.h>

#include "crystals.h"

static void rock_salt_has_the_madelung_constant(void **state)
{
    (void)state;
    crystals c = {0};
    rock_salt(&c, 1);
    evaluate(&c, EWALD, 1e-10, 1);
    const double madelung = -c.energy[0] / 4.0 / AIM_COULOMB_K * 0.5 * 5.64;
    assert_true(fabs(madelung - 1.747564594633182) < 1e-11);
    for (int i = 0; i < 3 * c.n; i++)
        assert_true(fabs(c.grad[i]) < 1e-10);
}

static double number(FILE *f)
{
    double x;
    assert_int_equal(fscanf(f, "%lf", &x), 1);
    return x;
}

static void numbers(FILE *f, const char *head, int n, double *x)
{
    char word[32];
    assert_int_equal(fscanf(f, "%31s", word), 1);
    assert_string_equal(word, head);
    for (int k = 0; k < n; k++)
        x[k] = AIM_COULOMB_K * number(f);
}

/* tests/reference/make_ewald.py: 30 digits, another splitting, derivatives by differences */
static void sums_agree_with_independent_ones(void **state)
{
    (void)state;
    FILE *f = fopen(AIM_SOURCE_DIR "/tests/golden/ewald/crystals.txt", "r");
    assert_non_null(f);
    char name[64];
    int n, cases = 0;
    for (; fscanf(f, " crystal %63s %d", name, &n) == 2; cases++) {
        double cell[9], x[12], q[4], energy[1], grad[12], gq[4], strain[9];
        assert_true(n <= 4);
        for (int k = 0; k < 9; k++)
            cell[k] = number(f);
        for (int i = 0; i < n; i++) {
            q[i] = number(f);
            for (int d = 0; d < 3; d++)
                x[3 * i + d] = number(f);
        }
        numbers(f, "energy", 1, energy);
        numbers(f, "grad", 3 * n, grad);
        numbers(f, "potential", n, gq);
        numbers(f, "strain", 9, strain);
        for (method m = EWALD; m <= PME; m++) {
            crystals c = {0};
            add_system(&c, n, x, q, cell);
            evaluate(&c, m, m == EWALD ? 1e-10 : 1e-11, 1);
            assert_below(fabs(c.energy[0] - energy[0]), 1e-9, name, 0);
            assert_below(farthest(c.grad, grad, 3 * n), 1e-9, name, 1);
            assert_below(farthest(c.gq, gq, n), 1e-9, name, 2);
            assert_below(farthest(c.strain, strain, 9), 1e-9, name, 3);
        }
    }
    fclose(f);
    assert_true(cases >= 2);
}

static void supercell_has_the_energy_of_its_cells(void **state)
{
    (void)state;
    crystals c = {0};
    rock_salt(&c, 1);
    rock_salt(&c, 4);
    evaluate(&c, EWALD, 1e-10, 2);
    assert_true(fabs(c.energy[1] - 4.0 * c.energy[0]) < 1e-9);
    for (int x = 0; x < 9; x++)
        assert_true(fabs(c.strain[9 + x] - 4.0 * c.strain[x]) < 1e-8);
}

static void energy_does_not_depend_on_the_splitting(void **state)
{
    (void)state;
    crystals a = {0}, b = {0};
    random_system(&a, 3);
    random_system(&b, 3);
    evaluate(&a, EWALD, 1e-8, 1);
    evaluate(&b, EWALD, 1e-13, 1);
    assert_true(fabs(a.energy[0] - b.energy[0]) < 1e-8);
    for (int i = 0; i < 3 * a.n; i++)
        assert_true(fabs(a.grad[i] - b.grad[i]) < 1e-7);
}

static double energy_of(crystals *c)
{
    evaluate(c, EWALD, 1e-10, 1);
    return c->energy[0];
}

static void gradients_are_slopes_of_the_energy(void **state)
{
    (void)state;
    const double h = 1e-4;
    crystals c = {0};
    random_system(&c, 5);
    evaluate(&c, EWALD, 1e-10, 1);
    const crystals at = c;
    for (int k = 0; k < 40; k++) {
        double *x = k < 30 ? &c.coord[k] : &c.q[k - 30];
        const double kept = *x, expected = k < 30 ? at.grad[k] : at.gq[k - 30];
        *x = kept + h;
        const double up = energy_of(&c);
        *x = kept - h;
        const double slope = (up - energy_of(&c)) / (2.0 * h);
        *x = kept;
        assert_true(fabs(slope - expected) < 1e-7 * (1.0 + fabs(expected)));
    }
}

static void strain_derivative_is_the_slope_of_the_energy(void **state)
{
    (void)state;
    const double h = 1e-4;
    crystals c = {0}, moved;
    random_system(&c, 7);
    evaluate(&c, EWALD, 1e-11, 1);
    for (int x = 0; x < 9; x++) {
        strained(&c, x, h, &moved);
        const double up = energy_of(&moved);
        strained(&c, x, -h, &moved);
        const double slope = (up - energy_of(&moved)) / (2.0 * h);
        assert_true(fabs(slope - c.strain[x]) < 1e-6);
    }
}

static void results_do_not_depend_on_the_batch_or_threads(void **state)
{
    (void)state;
    crystals alone = {0}, together = {0};
    random_system(&alone, 9);
    rock_salt(&together, 2);
    random_system(&together, 9);
    rock_salt(&together, 1);
    const double wide[9] = {30, 0, 0, 0, 30, 0, 0, 0, 30}; /* makes the list of the batch longer */
    add_random(&together, 4, wide, 8, 1);
    evaluate(&alone, EWALD, 1e-8, 1);
    evaluate(&together, EWALD, 1e-8, 3);
    assert_memory_equal(&alone.energy[0], &together.energy[1], sizeof(double));
    assert_memory_equal(alone.grad, together.grad + 3 * together.offset[1],
                        3 * (size_t)alone.n * sizeof(double));
    assert_memory_equal(alone.gq, together.gq + together.offset[1],
                        (size_t)alone.n * sizeof(double));
    assert_memory_equal(alone.strain, together.strain + 9, 9 * sizeof(double));
}

static void moving_an_atom_by_a_lattice_vector_changes_nothing(void **state)
{
    (void)state;
    crystals a = {0};
    random_system(&a, 11);
    crystals b = a;
    for (int d = 0; d < 3; d++)
        b.coord[6 + d] += 2 * TRICLINIC[d] - 3 * TRICLINIC[6 + d];
    evaluate(&a, EWALD, 1e-10, 1);
    evaluate(&b, EWALD, 1e-10, 1);
    assert_true(fabs(a.energy[0] - b.energy[0]) < 1e-10);
    for (int i = 0; i < 3 * a.n; i++)
        assert_true(fabs(a.grad[i] - b.grad[i]) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rock_salt_has_the_madelung_constant),
        cmocka_unit_test(sums_agree_with_independent_ones),
        cmocka_unit_test(supercell_has_the_energy_of_its_cells),
        cmocka_unit_test(energy_does_not_depend_on_the_splitting),
        cmocka_unit_test(gradients_are_slopes_of_the_energy),
        cmocka_unit_test(strain_derivative_is_the_slope_of_the_energy),
        cmocka_unit_test(results_do_not_depend_on_the_batch_or_threads),
        cmocka_unit_test(moving_an_atom_by_a_lattice_vector_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
