/* SPDX-License-Identifier: MIT */
/* test_ewald.c - Ewald sums: an analytic limit, independence of the splitting, derivatives,
 * supercells, other systems in the batch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "point/units.h"
#include "term/term.h"

enum { MAX_ATOMS = 128, MAX_SYSTEMS = 3 };

typedef struct crystals {
    int n_systems, n;
    int32_t offset[MAX_SYSTEMS + 1], system[MAX_ATOMS], numbers[MAX_ATOMS], pbc[3 * MAX_SYSTEMS];
    double coord[3 * MAX_ATOMS], q[MAX_ATOMS], cell[9 * MAX_SYSTEMS], charge[MAX_SYSTEMS],
        mult[MAX_SYSTEMS];
    double energy[MAX_SYSTEMS], grad[3 * MAX_ATOMS], gq[MAX_ATOMS], strain[9 * MAX_SYSTEMS];
} crystals;

static void add_system(crystals *c, int n, const double *coord, const double *q, const double *cell)
{
    const int s = c->n_systems++;
    memcpy(c->coord + 3 * c->n, coord, 3 * (size_t)n * sizeof *coord);
    memcpy(c->q + c->n, q, (size_t)n * sizeof *q);
    memcpy(c->cell + 9 * s, cell, 9 * sizeof *cell);
    for (int i = 0; i < n; i++) {
        c->system[c->n + i] = s;
        c->numbers[c->n + i] = 11;
    }
    for (int d = 0; d < 3; d++)
        c->pbc[3 * s + d] = 1;
    c->n += n;
    c->offset[s + 1] = c->n;
}

static void evaluate(crystals *c, double accuracy, int threads)
{
    const aim_alloc alloc = aim_alloc_default();
    const aim_batch b = {.n_atoms = c->n,
                         .n_systems = c->n_systems,
                         .offset = c->offset,
                         .system = c->system,
                         .numbers = c->numbers,
                         .coord = c->coord,
                         .cell = c->cell,
                         .pbc = c->pbc,
                         .charge = c->charge,
                         .mult = c->mult};
    double cutoff = 0;
    for (int s = 0; s < c->n_systems; s++)
        cutoff = fmax(cutoff,
                      aim_ewald_choose(c->cell + 9 * s, c->offset[s + 1] - c->offset[s], accuracy)
                          .real_cutoff);
    aim_nlist *nlist;
    aim_team *team;
    aim_pairs pairs = {0};
    aim_arena scratch = {0};
    assert_int_equal(aim_nlist_create(&alloc, &nlist), AIMNET_OK);
    assert_int_equal(aim_team_create(&alloc, threads, &team), AIMNET_OK);
    assert_int_equal(aim_nlist_build(nlist, &b, cutoff, 120, 0, team, &pairs), AIMNET_OK);
    memset(c->energy, 0, sizeof c->energy);
    memset(c->grad, 0, sizeof c->grad);
    memset(c->gq, 0, sizeof c->gq);
    memset(c->strain, 0, sizeof c->strain);
    aim_term_io io = {.batch = &b,
                      .pairs = &pairs,
                      .team = team,
                      .alloc = &alloc,
                      .scratch = &scratch,
                      .q = c->q,
                      .energy = c->energy,
                      .grad = c->grad,
                      .gq = c->gq,
                      .strain = c->strain};
    assert_int_equal(aim_term_coulomb_ewald(&io, accuracy), AIMNET_OK);
    aim_pairs_free(&pairs, &alloc);
    aim_arena_free(&scratch, &alloc);
    aim_nlist_free(nlist);
    aim_team_free(team);
}

static double unit(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53;
}

/* Ten charges that do not add up to zero, some of them outside of a triclinic cell. */
static const double TRICLINIC[9] = {6, 0.3, -0.2, 1.1, 7, 0.4, -2, 0.5, 8};
static void random_system(crystals *c, uint64_t seed)
{
    double x[30], q[10];
    for (int i = 0; i < 30; i++)
        x[i] = 4.0 * (i / 3 % 3) + 12.0 * unit(&seed) - 6.0;
    for (int i = 0; i < 10; i++)
        q[i] = unit(&seed) - 0.4;
    add_system(c, 10, x, q, TRICLINIC);
}

static void rock_salt(crystals *c, int repeat)
{
    const double a = 5.64;
    double x[3 * 64], q[64];
    int n = 0;
    for (int i = 0; i < 2 * repeat; i++)
        for (int j = 0; j < 2; j++)
            for (int k = 0; k < 2; k++, n++) {
                x[3 * n] = 0.5 * a * i;
                x[3 * n + 1] = 0.5 * a * j;
                x[3 * n + 2] = 0.5 * a * k;
                q[n] = (i + j + k) % 2 ? -1 : 1;
            }
    const double cell[9] = {a * repeat, 0, 0, 0, a, 0, 0, 0, a};
    add_system(c, n, x, q, cell);
}

static void rock_salt_has_the_madelung_constant(void **state)
{
    (void)state;
    crystals c = {0};
    rock_salt(&c, 1);
    evaluate(&c, 1e-10, 1);
    const double madelung = -c.energy[0] / 4.0 / AIM_COULOMB_K * 0.5 * 5.64;
    assert_true(fabs(madelung - 1.747564594633182) < 1e-11);
    for (int i = 0; i < 3 * c.n; i++)
        assert_true(fabs(c.grad[i]) < 1e-10);
}

static void supercell_has_the_energy_of_its_cells(void **state)
{
    (void)state;
    crystals c = {0};
    rock_salt(&c, 1);
    rock_salt(&c, 4);
    evaluate(&c, 1e-10, 2);
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
    evaluate(&a, 1e-8, 1);
    evaluate(&b, 1e-13, 1);
    assert_true(fabs(a.energy[0] - b.energy[0]) < 1e-8);
    for (int i = 0; i < 3 * a.n; i++)
        assert_true(fabs(a.grad[i] - b.grad[i]) < 1e-7);
}

static double energy_of(crystals *c)
{
    evaluate(c, 1e-10, 1);
    return c->energy[0];
}

static void gradients_are_slopes_of_the_energy(void **state)
{
    (void)state;
    const double h = 1e-4;
    crystals c = {0};
    random_system(&c, 5);
    evaluate(&c, 1e-10, 1);
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

static void strained(const crystals *from, int component, double e, crystals *to)
{
    *to = *from;
    const int a = component / 3, b = component % 3;
    for (int i = 0; i < from->n; i++)
        to->coord[3 * i + b] += e * from->coord[3 * i + a];
    for (int v = 0; v < 3; v++)
        to->cell[3 * v + b] += e * from->cell[3 * v + a];
}

static void strain_derivative_is_the_slope_of_the_energy(void **state)
{
    (void)state;
    const double h = 1e-4;
    crystals c = {0}, moved;
    random_system(&c, 7);
    evaluate(&c, 1e-11, 1);
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
    evaluate(&alone, 1e-8, 1);
    evaluate(&together, 1e-8, 3);
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
    evaluate(&a, 1e-10, 1);
    evaluate(&b, 1e-10, 1);
    assert_true(fabs(a.energy[0] - b.energy[0]) < 1e-10);
    for (int i = 0; i < 3 * a.n; i++)
        assert_true(fabs(a.grad[i] - b.grad[i]) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rock_salt_has_the_madelung_constant),
        cmocka_unit_test(supercell_has_the_energy_of_its_cells),
        cmocka_unit_test(energy_does_not_depend_on_the_splitting),
        cmocka_unit_test(gradients_are_slopes_of_the_energy),
        cmocka_unit_test(strain_derivative_is_the_slope_of_the_energy),
        cmocka_unit_test(results_do_not_depend_on_the_batch_or_threads),
        cmocka_unit_test(moving_an_atom_by_a_lattice_vector_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
