/* SPDX-License-Identifier: MIT */
/* test_large.c - structures whose checks and results are shared among workers in blocks
 * (calc/blocks.h): every atom gets its own numbers, whatever the number of workers, and of what is
 * wrong the first atom is named. The network is a formula (fake_card.c), so that they may be large. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet.h"
#include "calc/blocks.h"

enum { N = 40 * AIM_BLOCK_ATOMS + 77 };

static int32_t numbers[N];
static double coord[3 * N], forces[3 * N], charges[N];
static const double cell[9] = {50, 0, 0, 0, 50, 0, 0, 0, 50};

static aimnet_system make(void)
{
    for (int i = 0; i < N; i++) {
        numbers[i] = i % 3 ? 1 : 8;
        for (int d = 0; d < 3; d++)
            coord[3 * i + d] = 25.0 + 25.0 * sin(1.7 * i + 2.1 * d);
    }
    return (aimnet_system){
        .n_atoms = N, .numbers = numbers, .coord = coord, .cell = cell, .pbc = {1, 1, 1}};
}

static aimnet_calc *open_calc(aimnet_model **model, int threads)
{
    aimnet_options o = aimnet_options_default();
    aimnet_calc *calc;
    o.device = "cuda";
    o.threads = threads;
    assert_int_equal(aimnet_model_load(NULL, NULL, model), AIMNET_OK);
    assert_int_equal(aimnet_calc_create(model, 1, &o, &calc), AIMNET_OK);
    return calc;
}

/* The formulas of the fake card; rows of padding are zero. */
static void check_atoms(void)
{
    for (int i = 0; i < N; i++) {
        assert_true(charges[i] == (numbers[i] ? 0.01 * numbers[i] + 0.001 * coord[3 * (size_t)i] +
                                                    1e-6 * (cell[0] + cell[4] + cell[8])
                                              : 0.0));
        for (int d = 0; d < 3; d++) {
            const double away = coord[3 * i + d] - (d == 0 ? 0.5 * numbers[i] : 0.0);
            assert_true(forces[3 * i + d] == (numbers[i] ? -(0.0 + 0.3 * (d + 1) * away) : 0.0));
        }
    }
}

static void every_atom_gets_its_own_numbers(void **state)
{
    double energy[2];
    (void)state;
    for (int padded = 0; padded < 2; padded++) {
        const aimnet_system s = make();
        for (int i = 0; i < N; i += 11)
            numbers[i] *= !padded;
        for (int k = 0; k < 2; k++) {
            aimnet_model *model;
            aimnet_calc *calc = open_calc(&model, k ? 3 : 1);
            double dipole[3], want[3] = {0};
            aimnet_result r = {.forces = forces, .charges = charges, .dipole = dipole};
            memset(forces, 0xff, sizeof forces);
            memset(charges, 0xff, sizeof charges);
            assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_OK);
            energy[k] = r.energy;
            check_atoms();
            for (int i = 0; i < N; i++)
                for (int d = 0; d < 3; d++)
                    want[d] += charges[i] * coord[3 * i + d];
            assert_memory_equal(dipole, want, sizeof want);
            aimnet_calc_free(calc);
            aimnet_model_free(model);
        }
        assert_true(energy[0] == energy[1]);
    }
}

static void the_first_wrong_atom_is_named(void **state)
{
    static const int32_t at[] = {N - 1, 4 * AIM_BLOCK_ATOMS + 3, AIM_BLOCK_ATOMS, 2};
    (void)state;
    aimnet_model *model;
    aimnet_calc *calc = open_calc(&model, 3);
    const aimnet_system s = make();
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        char text[80];
        aimnet_result r = {.forces = forces};
        coord[3 * at[k] + 1] = k % 2 ? INFINITY : NAN;
        snprintf(text, sizeof text, "coordinate y of atom %d ", (int)at[k]);
        assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_ERR_SOME_FAILED);
        assert_non_null(strstr(r.message, text));
    }
    (void)make();
    aimnet_result r = {.forces = forces};
    char text[80];
    snprintf(text, sizeof text, "atom %d is Og", 2 * AIM_BLOCK_ATOMS);
    numbers[2 * AIM_BLOCK_ATOMS] = 118;
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_ERR_SOME_FAILED);
    assert_non_null(strstr(r.message, text));
    memset(numbers, 0, sizeof numbers);
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_ERR_SOME_FAILED);
    assert_non_null(strstr(r.message, "no atoms"));
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void the_largest_force_is_found(void **state)
{
    static const int32_t at[] = {3, AIM_BLOCK_ATOMS - 1, 3 * AIM_BLOCK_ATOMS + 9, N - 1};
    (void)state;
    aimnet_model *model;
    aimnet_calc *calc = open_calc(&model, 3);
    const aimnet_system s = make();
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        char text[80];
        aimnet_result r = {.forces = forces};
        coord[3 * at[k]] = 1000.0 * (double)(k + 1);
        numbers[at[0] - 1] = 0; /* atoms are counted with the padding */
        snprintf(text, sizeof text, "the force on atom %d is", (int)at[k]);
        assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_OK);
        assert_non_null(strstr(r.warnings, text));
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

/* Distances are looked at while the card computes all of them; results come in two parts. */
static void overlapping_structures_cost_only_themselves(int many)
{
    enum { MANY = 41 };
    static const int32_t water[] = {8, 1, 1};
    static double at[MANY][9], force[MANY][9];
    aimnet_model *model;
    aimnet_calc *calc = open_calc(&model, 3);
    aimnet_system s[MANY];
    aimnet_result r[MANY];
    for (int k = 0; k < many; k++) {
        const double x = 0.01 * k, place[9] = {x, 0, 0, x + 0.96, 0, 0, x - 0.24, 0.93, 0};
        memcpy(at[k], place, sizeof place);
        if (k % 13 == 7)
            memcpy(at[k] + 3, at[k] + 6, 3 * sizeof(double));
        s[k] = (aimnet_system){.n_atoms = 3, .numbers = water, .coord = at[k]};
        r[k] = (aimnet_result){.forces = force[k]};
    }
    assert_int_equal(aimnet_calc_eval(calc, s, many, r), AIMNET_ERR_SOME_FAILED);
    for (int k = 0; k < many; k++) {
        if (k % 13 == 7) {
            assert_int_equal(r[k].status, AIMNET_ERR_SYSTEM);
            assert_non_null(strstr(r[k].message, "atoms 1 (H) and 2 (H) overlap"));
            continue;
        }
        double alone[9];
        aimnet_result one = {.forces = alone};
        assert_int_equal(r[k].status, AIMNET_OK);
        assert_int_equal(aimnet_calc_eval(calc, &s[k], 1, &one), AIMNET_OK);
        assert_true(one.energy == r[k].energy);
        assert_memory_equal(alone, force[k], sizeof alone);
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void of_two_parts_the_second_ends_later(void **state)
{
    (void)state;
    overlapping_structures_cost_only_themselves(40);
}

static void of_two_parts_the_second_comes_before_the_end(void **state)
{
    (void)state;
    overlapping_structures_cost_only_themselves(41);
}

static void visit(void *ctx, int block, size_t first, size_t last)
{
    unsigned char *seen = ctx;
    (void)block;
    for (size_t i = first; i < last; i++)
        seen[i]++;
}

static void blocks_have_every_atom_once(void **state)
{
    static const size_t counts[] = {
        0, 1, AIM_BLOCK_MANY - 1, AIM_BLOCK_MANY, AIM_BLOCK_MANY + 1, 1000003};
    (void)state;
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        unsigned char *seen = calloc(counts[k] + 1, 1);
        assert_non_null(seen);
        aim_blocks_run(NULL, counts[k], visit, seen);
        for (size_t i = 0; i <= counts[k]; i++)
            assert_int_equal(seen[i], i < counts[k]);
        assert_in_range(aim_blocks_count(counts[k]), 1, AIM_BLOCKS);
        free(seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_atom_gets_its_own_numbers),
        cmocka_unit_test(the_first_wrong_atom_is_named),
        cmocka_unit_test(the_largest_force_is_found),
        cmocka_unit_test(of_two_parts_the_second_ends_later),
        cmocka_unit_test(of_two_parts_the_second_comes_before_the_end),
        cmocka_unit_test(blocks_have_every_atom_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
