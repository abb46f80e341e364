/* SPDX-License-Identifier: MIT */
/* test_opt_card.c - optimisations that stay on a card, without one: the module of fake_card.c moves
 * paths in memory that it has handed out itself, by the lines that kernels are compiled from. Whatever
 * structures move there, they go the host's way to the bit, and failures leave nothing behind. On a
 * card: tests/golden/test_paths.c. */
#include "fail_alloc.h"

#include <math.h>
#include <stdio.h>

#include "aimnet_opt.h"

enum { N = 4, MOST = 3 * N };

static const int32_t numbers[N] = {8, 1, 6, 7};
static const double coord[MOST] = {4.5, 0.4, 0.2, 0.1, -0.3, 0.5, 3.4, 0.6, -0.2, 2.4, -0.5, 0.1};
static const double cell[9] = {9, 0.3, 0, 0, 8, 0.2, 0.5, 0, 7.5};
static const uint8_t frozen[N] = {0, 1, 0, 0};

typedef struct fixture {
    aimnet_model *model;
    aimnet_calc *calc;
} fixture;

static aimnet_calc *open_calc(aimnet_model *model)
{
    aimnet_options o = aimnet_options_default();
    aimnet_calc *calc;
    o.device = "cuda";
    o.threads = 1;
    o.precision = AIMNET_DOUBLE;
    assert_int_equal(aimnet_calc_create(&model, 1, &o, &calc), AIMNET_OK);
    return calc;
}

static int setup(void **state)
{
    static fixture f;
    assert_int_equal(aimnet_model_load(NULL, NULL, &f.model), AIMNET_OK);
    f.calc = open_calc(f.model);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    aimnet_calc_free(f->calc);
    aimnet_model_free(f->model);
    return 0;
}

/* 0: water's atoms, 1: all four, 2: and one of them frozen, 3: in a crystal, 4: in a slab, 5: in a wire */
enum { KINDS = 6 };
static aimnet_system system_of(int kind)
{
    aimnet_system s = {.n_atoms = kind == 0 ? 2 : N, .numbers = numbers, .coord = coord};
    if (kind >= 3)
        s.cell = cell;
    for (int d = 0; d < 3; d++)
        s.pbc[d] = kind == 3 || (kind == 4 && d < 2) || (kind == 5 && d == 1);
    s.charge = 0;
    return s;
}

static aimnet_opt *open_pool(const fixture *f, aimnet_opt_options o, int on_host)
{
    aimnet_opt *opt;
    o.on_host = on_host;
    assert_int_equal(aimnet_opt_create(f->calc, &o, &opt), AIMNET_OK);
    return opt;
}

static void assert_same(const aimnet_opt_state *a, const aimnet_opt_state *b)
{
    const size_t n = (size_t)a->n_atoms;
    assert_int_equal(a->verdict, b->verdict);
    assert_int_equal(a->n_steps, b->n_steps);
    assert_int_equal(a->n_evaluations, b->n_evaluations);
    assert_string_equal(a->message, b->message);
    assert_string_equal(a->warnings, b->warnings);
    assert_memory_equal(&a->energy, &b->energy, sizeof a->energy);
    assert_memory_equal(&a->fmax, &b->fmax, sizeof a->fmax);
    assert_memory_equal(&a->smax, &b->smax, sizeof a->smax);
    assert_memory_equal(&a->enthalpy, &b->enthalpy, sizeof a->enthalpy);
    assert_memory_equal(&a->energy_change, &b->energy_change, sizeof a->energy_change);
    assert_memory_equal(a->coord, b->coord, 3 * n * sizeof(double));
    assert_memory_equal(a->forces, b->forces, 3 * n * sizeof(double));
    assert_memory_equal(a->charges, b->charges, n * sizeof(double));
    assert_true(!a->cell == !b->cell && !a->stress == !b->stress);
    if (a->cell)
        assert_memory_equal(a->cell, b->cell, 9 * sizeof(double));
    if (a->stress)
        assert_memory_equal(a->stress, b->stress, 9 * sizeof(double));
}

/* All kinds from `first` on, moved by both, compared before and after every step. */
static void compare(const fixture *f, aimnet_opt_options options, int first, int last)
{
    aimnet_opt *opt[2];
    int slot[2][KINDS], running[2] = {0, 0};
    for (int h = 0; h < 2; h++) {
        opt[h] = open_pool(f, options, h);
        for (int k = first; k <= last; k++) {
            const aimnet_system s = system_of(k);
            assert_int_equal(aimnet_opt_add(opt[h], &s, k == 2 ? frozen : NULL, &slot[h][k]),
                             AIMNET_OK);
        }
    }
    do
        for (int h = 0; h < 2; h++) {
            assert_int_equal(aimnet_opt_advance(opt[h], &running[h]), AIMNET_OK);
            for (int k = first; h == 1 && k <= last; k++) {
                aimnet_opt_state a, b, c;
                assert_int_equal(aimnet_opt_peek(opt[0], slot[0][k], &a), AIMNET_OK);
                assert_true(!a.coord && !a.forces && !a.charges && !a.stress);
                assert_int_equal(aimnet_opt_get(opt[0], slot[0][k], &b), AIMNET_OK);
                assert_int_equal(aimnet_opt_get(opt[1], slot[1][k], &c), AIMNET_OK);
                assert_int_equal(a.n_steps, b.n_steps);
                assert_same(&b, &c);
            }
        }
    while (running[0] + running[1] > 0);
    for (int h = 0; h < 2; h++)
        aimnet_opt_free(opt[h]);
}

static void molecules_go_the_way_of_the_host(void **state)
{
    aimnet_opt_options o = aimnet_opt_options_default();
    o.fmax = 1e-3;
    compare(*state, o, 0, 2);
    o.method = AIMNET_OPT_FIRE;
    compare(*state, o, 0, 2);
    o.max_steps = 3; /* not converged, in the same words */
    compare(*state, o, 0, 2);
}

static void crystals_slabs_and_wires_do(void **state)
{
    const aimnet_opt_options o = aimnet_opt_options_default();
    compare(*state, o, 0, 5);
    compare(*state, o, 4, 4);
}

static void cells_do(void **state)
{
    aimnet_opt_options o = aimnet_opt_options_default();
    o.cell = AIMNET_OPT_CELL_FULL;
    o.pressure = 0.01;
    o.max_steps = 12;
    compare(*state, o, 3, 3);
    o.fixed_axes[0] = o.fixed_axes[2] = 1;
    compare(*state, o, 3, 4);
    o.fixed_axes[0] = o.fixed_axes[2] = 0;
    o.method = AIMNET_OPT_FIRE;
    o.cell = AIMNET_OPT_CELL_ISOTROPIC;
    compare(*state, o, 3, 3);
}

static void slots_are_refilled(void **state)
{
    const fixture *f = *state;
    aimnet_opt *opt = open_pool(f, aimnet_opt_options_default(), 0);
    double energy[3] = {0};
    for (int k = 0; k < 200; k++) { /* more than the fake has blocks */
        const aimnet_system s = system_of(k % 3);
        aimnet_opt_state now;
        int slot, n = 1;
        assert_int_equal(aimnet_opt_add(opt, &s, k % 3 == 2 ? frozen : NULL, &slot), AIMNET_OK);
        assert_int_equal(slot, 0);
        while (n > 0)
            assert_int_equal(aimnet_opt_advance(opt, &n), AIMNET_OK);
        assert_int_equal(aimnet_opt_get(opt, slot, &now), AIMNET_OK);
        assert_int_equal(now.verdict, AIMNET_OPT_CONVERGED);
        if (k < 3)
            energy[k] = now.energy;
        assert_memory_equal(&now.energy, &energy[k % 3], sizeof now.energy);
        assert_int_equal(aimnet_opt_remove(opt, slot), AIMNET_OK);
    }
    aimnet_opt_free(opt);
}

static void one_that_cannot_be_computed_fails_alone(void **state)
{
    const fixture *f = *state;
    static const int32_t gold[] = {79, 79};
    aimnet_opt *opt = open_pool(f, aimnet_opt_options_default(), 0);
    aimnet_system good = system_of(1), bad = system_of(0);
    aimnet_opt_state s;
    int slot[2], n = 1;
    bad.numbers = gold;
    assert_int_equal(aimnet_opt_add(opt, &bad, NULL, &slot[0]), AIMNET_OK);
    assert_int_equal(aimnet_opt_add(opt, &good, NULL, &slot[1]), AIMNET_OK);
    while (n > 0)
        assert_int_equal(aimnet_opt_advance(opt, &n), AIMNET_OK);
    assert_int_equal(aimnet_opt_get(opt, slot[0], &s), AIMNET_OK);
    assert_int_equal(s.verdict, AIMNET_OPT_FAILED);
    assert_non_null(strstr(s.message, "Au"));
    assert_memory_equal(s.coord, coord, 6 * sizeof(double));
    assert_int_equal(aimnet_opt_get(opt, slot[1], &s), AIMNET_OK);
    assert_int_equal(s.verdict, AIMNET_OPT_CONVERGED);
    aimnet_opt_free(opt);
}

static void absurd_forces_are_warned_of(void **state)
{
    const fixture *f = *state;
    double far[MOST];
    aimnet_opt *opt = open_pool(f, aimnet_opt_options_default(), 0);
    aimnet_system s = system_of(1);
    aimnet_opt_state now;
    int slot;
    memcpy(far, coord, sizeof far);
    far[4] = 400.0;
    s.coord = far;
    assert_int_equal(aimnet_opt_add(opt, &s, frozen, &slot), AIMNET_OK);
    assert_int_equal(aimnet_opt_advance(opt, NULL), AIMNET_OK);
    assert_int_equal(aimnet_opt_peek(opt, slot, &now), AIMNET_OK);
    assert_non_null(strstr(now.warnings, "the force on atom 1 is 240 eV/A"));
    aimnet_opt_free(opt);
}

/* ---------------------------------------------------------------- memory */

static aimnet_status optimise_with(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    aimnet_opt *opt = NULL;
    aimnet_options options = aimnet_options_default();
    int slot, n = 1;
    long *after_first = ctx;
    options.threads = 1;
    options.device = "cuda";
    aimnet_status status = aimnet_model_load(NULL, hooks, &model);
    if (status == AIMNET_OK)
        status = aimnet_calc_create(&model, 1, &options, &calc);
    if (status == AIMNET_OK)
        status = aimnet_opt_create(calc, NULL, &opt);
    for (int i = 0; i < 3 && status == AIMNET_OK; i++) {
        const aimnet_system s = system_of(i);
        status = aimnet_opt_add(opt, &s, NULL, &slot);
    }
    while (status == AIMNET_OK && n > 0) {
        status = aimnet_opt_advance(opt, &n);
        if (after_first && *after_first == 0)
            *after_first = ((fail_alloc *)hooks->user)->calls;
    }
    if (after_first)
        assert_int_equal(((fail_alloc *)hooks->user)->calls, *after_first);
    if (status == AIMNET_OK)
        status = aimnet_opt_remove(opt, slot);
    aimnet_opt_free(opt);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return status;
}

static void advancing_allocates_nothing(void **state)
{
    (void)state;
    long after_first = 0;
    fail_alloc f;
    fail_alloc_init(&f, 0, 0);
    assert_int_equal(optimise_with(&f.hooks, &after_first), AIMNET_OK);
    fail_alloc_assert_clean(&f);
}

/* Only the allocations after the model's are failed: those of the model have their own test. */
static void failing_allocations_are_reported(void **state)
{
    (void)state;
    fail_alloc_sweep_last(optimise_with, NULL, 60, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(molecules_go_the_way_of_the_host),
        cmocka_unit_test(crystals_slabs_and_wires_do),
        cmocka_unit_test(cells_do),
        cmocka_unit_test(slots_are_refilled),
        cmocka_unit_test(one_that_cannot_be_computed_fails_alone),
        cmocka_unit_test(absurd_forces_are_warned_of),
        cmocka_unit_test(advancing_allocates_nothing),
        cmocka_unit_test(failing_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
