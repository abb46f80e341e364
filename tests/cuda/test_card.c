/* SPDX-License-Identifier: MIT */
/* test_card.c - what a calculator promises of the card itself: cards are described, memory is
 * estimated, a card that is full is an error and no end; graphs, slabs and other structures of a batch
 * change nothing. Needs a GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_cuda.h"

static const double ESTIMATE = 0.1; /* of the bytes really taken */

typedef struct box {
    aimnet_system system;
    int32_t *numbers;
    double *coord, cell[9];
} box;

/* n^3 water molecules at the density of water, each turned a little differently. */
static box make_box(int n)
{
    static const double water[9] = {0, 0, 0, 0.757, 0.587, 0, -0.757, 0.587, 0};
    const double step = 3.1;
    const size_t atoms = 3 * (size_t)n * (size_t)n * (size_t)n;
    box b = {.numbers = malloc(atoms * sizeof *b.numbers),
             .coord = malloc(3 * atoms * sizeof *b.coord)};
    assert_true(b.numbers && b.coord);
    for (size_t m = 0; m < atoms / 3; m++) {
        const size_t at[3] = {m % (size_t)n, m / (size_t)n % (size_t)n, m / (size_t)n / (size_t)n};
        const double c = cos(0.7 * (double)m), s = sin(0.7 * (double)m);
        for (size_t a = 0; a < 3; a++) {
            double *r = b.coord + 3 * (3 * m + a);
            r[0] = step * (double)at[0] + c * water[3 * a] - s * water[3 * a + 1];
            r[1] = step * (double)at[1] + s * water[3 * a] + c * water[3 * a + 1];
            r[2] = step * (double)at[2];
            b.numbers[3 * m + a] = a == 0 ? 8 : 1;
        }
    }
    return b;
}

static aimnet_system system_of(box *b, int n)
{
    for (int d = 0; d < 3; d++)
        b->cell[4 * d] = 3.1 * n;
    return (aimnet_system){.n_atoms = 3 * n * n * n,
                           .numbers = b->numbers,
                           .coord = b->coord,
                           .cell = b->cell,
                           .pbc = {1, 1, 1}};
}

static void box_free(box *b)
{
    free(b->numbers);
    free(b->coord);
}

static aimnet_options options_of(aimnet_coulomb method)
{
    aimnet_options o = aimnet_options_default();
    o.device = "cuda";
    o.coulomb = method;
    return o;
}

static aimnet_calc *open_calc(aimnet_model *model, aimnet_options o)
{
    aimnet_calc *calc;
    assert_int_equal(aimnet_calc_create(&model, 1, &o, &calc), AIMNET_OK);
    return calc;
}

static aimnet_model *open_model(void)
{
    aimnet_model *model;
    assert_int_equal(aimnet_model_load(NULL, NULL, &model), AIMNET_OK);
    return model;
}

static void cards_are_described(void **state)
{
    int n;
    aimnet_cuda_card card;
    (void)state;
    assert_int_equal(aimnet_cuda_count(&n), AIMNET_OK);
    assert_true(n >= 1);
    for (int k = 0; k < n; k++) {
        assert_int_equal(aimnet_cuda_get_card(k, &card), AIMNET_OK);
        assert_true(card.name[0] && card.major >= 1 && card.driver >= card.runtime);
        assert_true(card.available <= card.memory && card.memory > 1000000000);
    }
    assert_int_equal(aimnet_cuda_get_card(n, &card), AIMNET_ERR_DEVICE);
    assert_non_null(strstr(aimnet_last_error(), "does not exist"));
}

static size_t available(void)
{
    aimnet_cuda_card card;
    assert_int_equal(aimnet_cuda_get_card(0, &card), AIMNET_OK);
    return card.available;
}

static size_t estimate_of(aimnet_calc *calc, const aimnet_system *s, int n)
{
    size_t bytes;
    assert_int_equal(aimnet_calc_memory_estimate(calc, s, n, 1, &bytes), AIMNET_OK);
    return bytes;
}

/* Water, 3 n^3 atoms. share: of the memory for all atoms at once that is allowed; 0: as much as there is. */
static void compare_estimate(int n, aimnet_coulomb method, double share)
{
    box b = make_box(n);
    const aimnet_system s = system_of(&b, n);
    aimnet_model *model = open_model();
    aimnet_options o = options_of(method);
    aimnet_calc *calc = open_calc(model, o);
    size_t estimate = estimate_of(calc, &s, 1);
    if (share > 0) {
        aimnet_calc_free(calc);
        o.device_memory = (size_t)(share * (double)estimate);
        calc = open_calc(model, o);
        estimate = estimate_of(calc, &s, 1);
        assert_true(estimate <= o.device_memory);
    }
    aimnet_result r = {.forces = malloc(3 * (size_t)s.n_atoms * sizeof(double))};
    const size_t before = available();
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_OK);
    const double taken = (double)before - (double)available();
    print_message("%d atoms: estimated %.3f GB, taken %.3f GB\n", (int)s.n_atoms,
                  (double)estimate * 1e-9, taken * 1e-9);
    assert_true(fabs((double)estimate - taken) <= ESTIMATE * taken);
    free(r.forces);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    box_free(&b);
}

static void memory_is_estimated(void **state)
{
    (void)state;
    compare_estimate(24, AIMNET_COULOMB_DSF, 0);
    compare_estimate(24, AIMNET_COULOMB_PME, 0);
    compare_estimate(13, AIMNET_COULOMB_DSF, 0); /* few enough to keep the tugs of their pairs */
}

static void memory_of_slabs_is_estimated(void **state)
{
    (void)state;
    compare_estimate(24, AIMNET_COULOMB_DSF, 0.4);
    compare_estimate(24, AIMNET_COULOMB_PME, 0.5);
}

static void a_full_card_is_an_error_and_the_calculator_goes_on(void **state)
{
    const int small = 6;
    int large = 48;
    size_t estimate = 0, most = available();
    aimnet_model *model = open_model();
    aimnet_calc *calc = open_calc(model, options_of(AIMNET_COULOMB_DSF));
    box one = make_box(small), many = {.numbers = NULL};
    const aimnet_system s = system_of(&one, small);
    aimnet_result before = {.energy = 0}, after = before, full = before;
    (void)state;
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &before), AIMNET_OK);
    aimnet_system big = s;
    while (estimate < most + most / 4) {
        large = large * 5 / 4;
        box_free(&many);
        many = make_box(large);
        big = system_of(&many, large);
        estimate = estimate_of(calc, &big, 1);
    }
    full.forces = malloc(3 * (size_t)big.n_atoms * sizeof(double));
    assert_non_null(full.forces);
    assert_int_equal(aimnet_calc_eval(calc, &big, 1, &full), AIMNET_ERR_SOME_FAILED);
    assert_int_equal(full.status, AIMNET_ERR_MEMORY);
    print_message("%d atoms: %s\n", (int)big.n_atoms, full.message);
    assert_non_null(strstr(full.message, "GB are free"));
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &after), AIMNET_OK);
    assert_true(before.energy == after.energy);
    free(full.forces);
    box_free(&many);
    box_free(&one);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

/* Nine evaluations of a box while its atoms move, from the fourth on in another cell; with a second box that
 * stays as it is, behind it, from the seventh on before it. Of three such shapes the second is recorded,
 * the third replayed. */
enum { STEPS = 9, MOVED_VALUES = 3 * 3 * 64, STILL_VALUES = 3 * 3 * 27 };

typedef struct steps {
    double energy[STEPS][2], forces[STEPS][MOVED_VALUES], still_forces[STEPS][STILL_VALUES];
} steps;

static void evaluate_steps(aimnet_calc *calc, box *b, box *still, int n_systems, steps *to)
{
    box moved = *b;
    double coord[MOVED_VALUES];
    moved.coord = coord;
    for (int step = 0; step < STEPS; step++) {
        const int first = n_systems == 2 && step >= 6;
        aimnet_system s[2];
        aimnet_result r[2];
        s[first] = system_of(&moved, 4);
        s[!first] = system_of(still, 3);
        moved.cell[8] += step < 3 ? 0 : 0.2;
        for (int k = 0; k < MOVED_VALUES; k++)
            coord[k] = b->coord[k] + 0.02 * sin((double)(step * (k + 1)));
        r[first] = (aimnet_result){.forces = to->forces[step]};
        r[!first] = (aimnet_result){.forces = to->still_forces[step]};
        assert_int_equal(aimnet_calc_eval(calc, s, n_systems, r), AIMNET_OK);
        to->energy[step][0] = r[first].energy;
        to->energy[step][1] = r[!first].energy;
    }
}

static void check_graphs(aimnet_model *model, aimnet_coulomb method, int n_systems)
{
    static steps of[2];
    box b = make_box(4), still = make_box(3);
    memset(of, 0, sizeof of);
    for (int no_graph = 0; no_graph < 2; no_graph++) {
        aimnet_options o = options_of(method);
        o.no_graph = no_graph;
        aimnet_calc *calc = open_calc(model, o);
        evaluate_steps(calc, &b, &still, n_systems, &of[no_graph]);
        aimnet_calc_free(calc);
    }
    assert_memory_equal(&of[0], &of[1], sizeof of[0]);
    for (int step = 1; step < STEPS; step++) {
        assert_true(of[0].energy[step][0] != of[0].energy[step - 1][0]);
        assert_true(of[0].energy[step][1] == of[0].energy[0][1]);
    }
    box_free(&b);
    box_free(&still);
}

static void graphs_change_nothing(void **state)
{
    aimnet_model *model = open_model();
    (void)state;
    for (int method = AIMNET_COULOMB_DSF; method <= AIMNET_COULOMB_PME; method++)
        for (int n_systems = 1; n_systems <= 2; n_systems++)
            check_graphs(model, (aimnet_coulomb)method, n_systems);
    aimnet_model_free(model);
}

/* Beside a large structure the convolutions of a small one go another way: clusters of water, crystals. */
static void a_structure_does_not_depend_on_its_batch(void **state)
{
    enum { SMALL = 6, LARGE = 10, VALUES = 3 * 3 * SMALL * SMALL * SMALL };
    (void)state;
    for (int method = AIMNET_COULOMB_SIMPLE; method <= AIMNET_COULOMB_PME; method++) {
        box small = make_box(SMALL), large = make_box(LARGE);
        aimnet_system systems[2] = {system_of(&large, LARGE), system_of(&small, SMALL)};
        for (int k = 0; k < 2 && method == AIMNET_COULOMB_SIMPLE; k++)
            systems[k].cell = NULL;
        aimnet_model *model = open_model();
        aimnet_calc *calc = open_calc(model, options_of((aimnet_coulomb)method));
        double forces[2][VALUES], charges[2][VALUES / 3];
        aimnet_result alone = {.forces = forces[0], .charges = charges[0]},
                      batch[2] = {{.energy = 0}, {.forces = forces[1], .charges = charges[1]}};
        assert_int_equal(aimnet_calc_eval(calc, &systems[1], 1, &alone), AIMNET_OK);
        assert_int_equal(aimnet_calc_eval(calc, systems, 2, batch), AIMNET_OK);
        assert_true(alone.energy == batch[1].energy);
        assert_memory_equal(forces[0], forces[1], sizeof forces[0]);
        assert_memory_equal(charges[0], charges[1], sizeof charges[0]);
        aimnet_calc_free(calc);
        aimnet_model_free(model);
        box_free(&small);
        box_free(&large);
    }
}

enum { SIDE = 8, ATOMS = 3 * SIDE * SIDE * SIDE, OTHER_SIDE = 5, CRYSTALS = 2 };

typedef struct all_results {
    double energy[CRYSTALS], energy_alone[CRYSTALS], forces[CRYSTALS][3 * ATOMS],
        charges[CRYSTALS][ATOMS], stress[CRYSTALS][9];
} all_results;

/* All results of both crystals in one batch, with and without gradients; bytes estimated for them. */
static size_t evaluate(aimnet_model *model, const aimnet_options *o, const aimnet_system *s,
                       all_results *all)
{
    aimnet_calc *calc = open_calc(model, *o);
    aimnet_result r[CRYSTALS] = {0}, alone[CRYSTALS] = {0};
    memset(all, 0, sizeof *all);
    for (int k = 0; k < CRYSTALS; k++) {
        r[k].forces = all->forces[k];
        r[k].charges = all->charges[k];
        r[k].stress = all->stress[k];
    }
    const size_t bytes = estimate_of(calc, s, CRYSTALS);
    assert_int_equal(aimnet_calc_eval(calc, s, CRYSTALS, r), AIMNET_OK);
    assert_int_equal(aimnet_calc_eval(calc, s, CRYSTALS, alone), AIMNET_OK);
    for (int k = 0; k < CRYSTALS; k++) {
        all->energy[k] = r[k].energy;
        all->energy_alone[k] = alone[k].energy;
    }
    aimnet_calc_free(calc);
    return bytes;
}

/* Slabs of several lengths, from many of a tile each; they begin within bins, and one has the end of a
 * crystal and the beginning of the next. */
static void compare_slabs(aimnet_coulomb method, aimnet_precision precision)
{
    static const double SHARES[] = {0.8, 0.6, 0.45};
    static all_results whole, slabs;
    box b = make_box(SIDE), c = make_box(OTHER_SIDE);
    const aimnet_system s[CRYSTALS] = {system_of(&b, SIDE), system_of(&c, OTHER_SIDE)};
    aimnet_model *model = open_model();
    aimnet_options o = options_of(method);
    o.precision = precision;
    o.batch_atoms = CRYSTALS * ATOMS;
    const size_t all = evaluate(model, &o, s, &whole);
    for (size_t k = 0; k < sizeof SHARES / sizeof *SHARES; k++) {
        o.device_memory = (size_t)(SHARES[k] * (double)all);
        assert_true(evaluate(model, &o, s, &slabs) <= o.device_memory);
        assert_memory_equal(&whole, &slabs, sizeof whole);
    }
    aimnet_model_free(model);
    box_free(&b);
    box_free(&c);
}

static void slabs_change_nothing(void **state)
{
    (void)state;
    for (int method = AIMNET_COULOMB_DSF; method <= AIMNET_COULOMB_PME; method++)
        compare_slabs((aimnet_coulomb)method, AIMNET_SINGLE);
    compare_slabs(AIMNET_COULOMB_DSF, AIMNET_DOUBLE);
}

/* Of slabs as long as they may be, activations are kept of as many as there is room for. */
static void kept_activations_change_nothing(void **state)
{
    (void)state;
    enum { N = 44 };
    box b = make_box(N);
    const aimnet_system s = system_of(&b, N);
    const size_t values = 3 * (size_t)s.n_atoms;
    aimnet_model *model = open_model();
    aimnet_options o = options_of(AIMNET_COULOMB_DSF);
    double *forces[2] = {malloc(values * sizeof(double)), malloc(values * sizeof(double))}, energy = 0;
    aimnet_calc *calc = open_calc(model, o);
    const size_t all = estimate_of(calc, &s, 1);
    for (int k = 0; k < 4; k++) {
        if (k > 0) {
            aimnet_calc_free(calc);
            o.device_memory = (size_t)((0.9 - 0.2 * k) * (double)all);
            calc = open_calc(model, o);
        }
        aimnet_result r = {.forces = forces[k > 0]};
        assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_OK);
        energy = k > 0 ? energy : r.energy;
        assert_true(r.energy == energy);
        assert_memory_equal(forces[0], forces[k > 0], values * sizeof(double));
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    box_free(&b);
    free(forces[0]);
    free(forces[1]);
}

static void less_memory_than_a_slab_needs_is_an_error(void **state)
{
    (void)state;
    box b = make_box(SIDE);
    const aimnet_system s = system_of(&b, SIDE);
    aimnet_model *model = open_model();
    aimnet_options o = options_of(AIMNET_COULOMB_DSF);
    o.device_memory = 5000000;
    aimnet_calc *calc = open_calc(model, o);
    static double forces[3 * ATOMS];
    aimnet_result r = {.forces = forces};
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_ERR_SOME_FAILED);
    assert_int_equal(r.status, AIMNET_ERR_MEMORY);
    assert_non_null(strstr(r.message, "device_memory allows 0.01 GB"));
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    box_free(&b);
}

/* Batches of small molecules, whose lists, terms and sums go by molecules and whose results come in two parts. */
enum { MOLECULES = 500, WATERS = 8, MOST = 3 * WATERS };

typedef struct crowd {
    aimnet_system system[MOLECULES];
    aimnet_result result[MOLECULES];
    int32_t numbers[MOLECULES][MOST];
    double coord[MOLECULES][3 * MOST], forces[MOLECULES][3 * MOST], charges[MOLECULES][MOST];
} crowd;

/* Drops of up to eight waters, no two the same; ragged: not all of eight. */
static void fill_crowd(crowd *c, const box *b, int ragged)
{
    for (int k = 0; k < MOLECULES; k++) {
        memcpy(c->numbers[k], b->numbers, sizeof c->numbers[k]);
        memcpy(c->coord[k], b->coord, sizeof c->coord[k]);
        for (int a = 0; a < 3 * MOST; a++)
            c->coord[k][a] += 0.01 * sin((double)(k + 1) * (a + 1));
        c->system[k] = (aimnet_system){.n_atoms = MOST - (ragged ? 3 * (k % 4) : 0),
                                       .numbers = c->numbers[k],
                                       .coord = c->coord[k]};
        c->result[k] = (aimnet_result){.forces = c->forces[k], .charges = c->charges[k]};
    }
}

/* Evaluates all; structure `wrong` fails (-1: none), some others are what they are alone. */
static void compare_crowd(aimnet_calc *calc, crowd *c, int wrong)
{
    static const int some[] = {0, 5, 9, 11, 250, 374, 375, 376, MOLECULES - 1};
    memset(c->forces, 1, sizeof c->forces);
    assert_int_equal(aimnet_calc_eval(calc, c->system, MOLECULES, c->result),
                     wrong < 0 ? AIMNET_OK : AIMNET_ERR_SOME_FAILED);
    for (int k = 0; k < MOLECULES; k++)
        assert_int_equal(c->result[k].status != AIMNET_OK, k == wrong);
    for (size_t m = 0; m < sizeof some / sizeof *some; m++) {
        const int k = some[m], n = c->system[k].n_atoms;
        double forces[3 * MOST], charges[MOST];
        aimnet_result alone = {.forces = forces, .charges = charges};
        if (k == wrong)
            continue;
        assert_int_equal(aimnet_calc_eval(calc, &c->system[k], 1, &alone), AIMNET_OK);
        assert_true(alone.energy == c->result[k].energy);
        assert_memory_equal(forces, c->forces[k], 3 * (size_t)n * sizeof(double));
        assert_memory_equal(charges, c->charges[k], (size_t)n * sizeof(double));
    }
}

static void many_molecules_are_what_they_are_alone(void **state)
{
    static crowd c;
    (void)state;
    for (int way = 0; way < 4; way++) { /* even or ragged, in single or double precision */
        box b = make_box(2);
        aimnet_options o = options_of(AIMNET_COULOMB_SIMPLE);
        o.precision = way < 2 ? AIMNET_SINGLE : AIMNET_DOUBLE;
        aimnet_model *model = open_model();
        aimnet_calc *calc = open_calc(model, o);
        fill_crowd(&c, &b, way % 2);
        for (int run = 0; run < 3; run++) /* recorded by the second, replayed by the third */
            compare_crowd(calc, &c, -1);
        c.numbers[5][4] = 0;   /* padding */
        c.numbers[11][3] = 16; /* an element that was not there */
        compare_crowd(calc, &c, -1);
        memcpy(c.coord[9] + 3, c.coord[9], 3 * sizeof(double)); /* atoms that overlap */
        compare_crowd(calc, &c, 9);
        c.coord[9][3] = NAN;
        compare_crowd(calc, &c, 9);
        fill_crowd(&c, &b, way % 2);
        compare_crowd(calc, &c, -1);
        aimnet_calc_free(calc);
        aimnet_model_free(model);
        box_free(&b);
    }
}

/* Water on top of each other has rows of as many neighbours as it has atoms. A calculator that has been given it, and
 * allowed little more than a usual batch takes, evaluates that batch as before. */
static void crowded_atoms_leave_no_longer_lists_behind(void **state)
{
    const int side = 16;
    aimnet_model *model = open_model();
    aimnet_options o = options_of(AIMNET_COULOMB_DSF);
    box b = make_box(side), crowd = make_box(12);
    aimnet_system s = system_of(&b, side), crowded = system_of(&crowd, 12);
    aimnet_result before = {.energy = 0}, after = before, wrong = before;
    (void)state;
    memset(s.pbc, 0, sizeof s.pbc);
    s.cell = NULL;
    memset(crowded.pbc, 0, sizeof crowded.pbc);
    crowded.cell = NULL;
    for (size_t k = 0; k < 3 * (size_t)crowded.n_atoms; k++)
        crowd.coord[k] *= 0.05;
    before.forces = malloc(3 * (size_t)s.n_atoms * sizeof(double));
    after.forces = malloc(3 * (size_t)s.n_atoms * sizeof(double));
    wrong.forces = malloc(3 * (size_t)crowded.n_atoms * sizeof(double));
    assert_true(before.forces && after.forces && wrong.forces);
    aimnet_calc *calc = open_calc(model, o);
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &before), AIMNET_OK);
    o.device_memory = estimate_of(calc, &s, 1) * 5 / 4;
    aimnet_calc_free(calc);
    calc = open_calc(model, o);
    assert_int_equal(aimnet_calc_eval(calc, &crowded, 1, &wrong), AIMNET_ERR_SOME_FAILED);
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &after), AIMNET_OK);
    assert_true(before.energy == after.energy);
    free(before.forces);
    free(after.forces);
    free(wrong.forces);
    box_free(&crowd);
    box_free(&b);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards_are_described),
        cmocka_unit_test(memory_is_estimated),
        cmocka_unit_test(memory_of_slabs_is_estimated),
        cmocka_unit_test(a_full_card_is_an_error_and_the_calculator_goes_on),
        cmocka_unit_test(graphs_change_nothing),
        cmocka_unit_test(a_structure_does_not_depend_on_its_batch),
        cmocka_unit_test(many_molecules_are_what_they_are_alone),
        cmocka_unit_test(slabs_change_nothing),
        cmocka_unit_test(kept_activations_change_nothing),
        cmocka_unit_test(less_memory_than_a_slab_needs_is_an_error),
        cmocka_unit_test(crowded_atoms_leave_no_longer_lists_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
