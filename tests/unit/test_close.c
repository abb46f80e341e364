/* SPDX-License-Identifier: MIT */
/* test_close.c - slabs and wires have the energies and forces of the crystals that stand for them on a
 * device (calc/close.c), whichever axes are open, in skewed cells, wherever the atoms stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "aimnet.h"
#include "base/vec3.h"
#include "calc/calc.h"

enum { MOLECULES = 4, N = 3 * MOLECULES };
static const double SAME = 1e-9; /* eV, eV/A: images are summed in another order */

static const double CELL[9] = {6.4, 0.3, -0.2, 1.1, 6.9, 0.4, -0.6, 0.8, 7.3};
static const double water[9] = {0, 0, 0, 0.757, 0.587, 0, -0.757, 0.587, 0};

typedef struct open_system {
    int32_t numbers[N];
    double coord[3 * N], cell[9];
    int32_t pbc[3];
} open_system;

/* Molecules along the diagonal, which is longer than the cell. */
static open_system make(const int32_t pbc[3])
{
    open_system s;
    for (int m = 0; m < MOLECULES; m++)
        for (int a = 0; a < 3; a++) {
            const double turn = 0.9 * m, *w = water + 3 * a;
            double *r = s.coord + 3 * (3 * m + a);
            r[0] = 2.9 * m - 4.0 + cos(turn) * w[0] - sin(turn) * w[1];
            r[1] = 2.1 * m + 3.0 + sin(turn) * w[0] + cos(turn) * w[1];
            r[2] = -1.3 * m + 0.2 * a;
            s.numbers[3 * m + a] = a ? 1 : 8;
        }
    memcpy(s.cell, CELL, sizeof s.cell);
    memcpy(s.pbc, pbc, sizeof s.pbc);
    return s;
}

static double evaluate(const open_system *s, double *forces)
{
    aimnet_options o = aimnet_options_default();
    aimnet_model *model;
    aimnet_calc *calc;
    o.precision = AIMNET_DOUBLE;
    o.coulomb = AIMNET_COULOMB_DSF;
    assert_int_equal(aimnet_model_load(NULL, NULL, &model), AIMNET_OK);
    assert_int_equal(aimnet_calc_create(&model, 1, &o, &calc), AIMNET_OK);
    const aimnet_system in = {.n_atoms = N,
                              .numbers = s->numbers,
                              .coord = s->coord,
                              .cell = s->cell,
                              .pbc = {s->pbc[0], s->pbc[1], s->pbc[2]}};
    aimnet_result r = {.forces = forces};
    assert_int_equal(aimnet_calc_eval(calc, &in, 1, &r), AIMNET_OK);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return r.energy;
}

static int close_cell(const open_system *s, double closed[9])
{
    static const int32_t offset[2] = {0, N};
    const aim_calc c = {.options = aimnet_options_default()};
    aim_flat f = {.batch = {.n_atoms = N,
                            .n_systems = 1,
                            .offset = offset,
                            .coord = s->coord,
                            .cell = s->cell,
                            .pbc = s->pbc},
                  .closed = closed};
    aim_close_cells(&c, &f);
    return f.closes;
}

static void the_crystal_has_the_same_energy_and_forces(void **state)
{
    (void)state;
    for (int axes = 1; axes < 7; axes++) {
        const int32_t pbc[3] = {axes & 1, axes >> 1 & 1, axes >> 2 & 1}, all[3] = {1, 1, 1};
        const open_system open = make(pbc);
        open_system crystal = make(all);
        double forces[2][3 * N];
        assert_true(close_cell(&open, crystal.cell));
        assert_true(fabs(evaluate(&open, forces[0]) - evaluate(&crystal, forces[1])) < SAME);
        for (int k = 0; k < 3 * N; k++)
            assert_true(fabs(forces[0][k] - forces[1][k]) < SAME);
        for (int k = 0; k < 9; k++) /* periodic vectors stay */
            assert_true(!pbc[k / 3] || crystal.cell[k] == CELL[k]);
    }
}

static void crystals_and_molecules_are_left_alone(void **state)
{
    static const int32_t all[3] = {1, 1, 1}, none[3] = {0, 0, 0};
    double closed[9];
    (void)state;
    open_system s = make(all);
    assert_false(close_cell(&s, closed));
    s = make(none);
    assert_false(close_cell(&s, closed));
}

static void vectors_in_one_line_cannot_be_closed(void **state)
{
    static const int32_t pbc[3] = {1, 1, 0};
    double closed[9];
    (void)state;
    open_system s = make(pbc);
    for (int d = 0; d < 3; d++)
        s.cell[3 + d] = 2.0 * s.cell[d];
    assert_false(close_cell(&s, closed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_crystal_has_the_same_energy_and_forces),
        cmocka_unit_test(crystals_and_molecules_are_left_alone),
        cmocka_unit_test(vectors_in_one_line_cannot_be_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
