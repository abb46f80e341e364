/* SPDX-License-Identifier: MIT */
/* test_paths.c - optimisations whose whole loop stays on a GPU against the same with steps on the host
 * (test_opt.c, which knows ASE's minima): equal steps, energies and places up to rounding, for every
 * kind of path; bit-identical whatever else is in the pool. Without AIMNET_TEST_DEVICE there is no
 * GPU, and nothing to compare: skipped. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_opt.h"
#include "opt_frames.h"

/* Double precision; sums of a step have another order, and paths of 20 to 100 steps amplify that. */
static const double SAME_ENERGY = 1e-6; /* eV */
static const double SAME_FORCE = 1e-3;  /* eV/A, of forces that both have converged to less */
enum { CLUSTER = 2100 };

typedef struct fixture {
    aimnet_model *model;
    aimnet_calc *calc;
} fixture;

static int setup(void **state)
{
    static fixture f;
    aimnet_options o = aimnet_options_default();
    if (getenv("AIMNET_TEST_DEVICE") == NULL)
        return 0;
    o.precision = AIMNET_DOUBLE;
    f.model = model_open(NULL);
    f.calc = calc_open(f.model, &o);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    if (f) {
        aimnet_calc_free(f->calc);
        aimnet_model_free(f->model);
    }
    return 0;
}

typedef struct pool {
    aimnet_opt *opt;
    int n, slot[MAX_FRAMES];
} pool;

static pool start(const fixture *f, aimnet_opt_options o, int on_host, const aimnet_frame *frames,
                  int n, const uint8_t *frozen)
{
    pool p = {.n = n};
    o.on_host = on_host;
    assert_int_equal(aimnet_opt_create(f->calc, &o, &p.opt), AIMNET_OK);
    for (int k = 0; k < n; k++) {
        const aimnet_system s = aimnet_frame_system(&frames[k]);
        assert_int_equal(aimnet_opt_add(p.opt, &s, frozen, &p.slot[k]), AIMNET_OK);
    }
    return p;
}

static void run(pool *p)
{
    int n;
    do
        if (aimnet_opt_advance(p->opt, &n) != AIMNET_OK)
            fail_msg("%s", aimnet_last_error());
    while (n > 0);
}

static aimnet_opt_state state_of(const pool *p, int k)
{
    aimnet_opt_state s;
    assert_int_equal(aimnet_opt_get(p->opt, p->slot[k], &s), AIMNET_OK);
    return s;
}

/* Every frame by both; same ends. verdict -1: whichever, the same. */
static void compare(const fixture *f, const aimnet_opt_options *o, const aimnet_frame *frames,
                    int n, const uint8_t *frozen, int verdict)
{
    pool card = start(f, *o, 0, frames, n, frozen), host = start(f, *o, 1, frames, n, frozen);
    run(&card);
    run(&host);
    for (int k = 0; k < n; k++) {
        const aimnet_opt_state a = state_of(&card, k), b = state_of(&host, k);
        print_message("%s: %d and %d gradients, %.9f and %.9f eV, %.2g and %.2g eV/A\n",
                      frames[k].title, a.n_evaluations, b.n_evaluations, a.energy, b.energy, a.fmax,
                      b.fmax);
        assert_int_equal(a.verdict, b.verdict);
        assert_true(verdict == -1 || (int)a.verdict == verdict);
        assert_true(abs(a.n_evaluations - b.n_evaluations) <= 1 + b.n_evaluations / 50);
        assert_true(fabs(a.energy - b.energy) < SAME_ENERGY);
        assert_true(fabs(a.fmax - b.fmax) < SAME_FORCE);
        for (int32_t i = 0; frozen && i < a.n_atoms; i++)
            if (frozen[i] && o->cell == AIMNET_OPT_CELL_FIXED)
                assert_memory_equal(a.coord + 3 * i, frames[k].coord + 3 * i, 3 * sizeof(double));
    }
    aimnet_opt_free(card.opt);
    aimnet_opt_free(host.opt);
}

static aimnet_opt_options tight(void)
{
    aimnet_opt_options o = aimnet_opt_options_default();
    assert_int_equal(aimnet_opt_set_level(&o, AIMNET_OPT_TIGHT), AIMNET_OK);
    return o;
}

static void free_frames(aimnet_frame *frames, int n)
{
    for (int k = 0; k < n; k++)
        aimnet_frame_free(&frames[k]);
}

static void molecules_go_the_way_of_the_host(void **state)
{
    if (*state == NULL)
        skip();
    aimnet_frame frames[MAX_FRAMES];
    const int n = read_frames("molecules.xyz", frames);
    aimnet_opt_options o = tight();
    uint8_t frozen[512] = {1, 0, 0, 1};
    compare(*state, &o, frames, n, NULL, AIMNET_OPT_CONVERGED);
    compare(*state, &o, frames, n, frozen, AIMNET_OPT_CONVERGED);
    o.method = AIMNET_OPT_FIRE;
    compare(*state, &o, frames, n, NULL, AIMNET_OPT_CONVERGED);
    o.max_steps = 3;
    compare(*state, &o, frames, n, NULL, AIMNET_OPT_NOT_CONVERGED);
    free_frames(frames, n);
}

static void crystals_and_their_cells_do(void **state)
{
    if (*state == NULL)
        skip();
    aimnet_frame frames[MAX_FRAMES];
    const int n = read_frames("crystals.xyz", frames);
    aimnet_opt_options o = tight();
    compare(*state, &o, frames, n, NULL, AIMNET_OPT_CONVERGED);
    o.cell = AIMNET_OPT_CELL_FULL;
    o.pressure = 0.005;
    compare(*state, &o, frames, n, NULL, AIMNET_OPT_CONVERGED);
    o.cell = AIMNET_OPT_CELL_ISOTROPIC;
    compare(*state, &o, frames, n, NULL, AIMNET_OPT_CONVERGED);
    free_frames(frames, n);
}

/* One structure of the golden crystals, moved a little so that it has a way to go. */
static void compare_open(const fixture *f, const aimnet_opt_options *o, const char *name)
{
    char path[512];
    aimnet_reader *reader;
    aimnet_frame frame = {0};
    snprintf(path, sizeof path, AIM_SOURCE_DIR "/tests/golden/crystals/%s.xyz", name);
    assert_int_equal(aimnet_reader_open(path, NULL, &reader), AIMNET_OK);
    assert_int_equal(aimnet_reader_next(reader, &frame), AIMNET_OK);
    aimnet_reader_close(reader);
    for (int32_t k = 0; k < 3 * frame.n_atoms; k++)
        frame.coord[k] += 0.03 * sin(1.7 * k);
    frame.cell[6] = frame.cell[7] = 0.0; /* not periodic: fixing z is enough */
    compare(f, o, &frame, 1, NULL, -1);
    aimnet_frame_free(&frame);
}

/* A soft surface: after so many steps both must still be on one path. */
static void slabs_and_wires_do(void **state)
{
    if (*state == NULL)
        skip();
    aimnet_opt_options o = tight();
    o.max_steps = 15;
    compare_open(*state, &o, "slab");
    compare_open(*state, &o, "wire");
    o.cell = AIMNET_OPT_CELL_FULL;
    o.fixed_axes[2] = 1;
    compare_open(*state, &o, "slab");
    o.fixed_axes[1] = 1;
    compare_open(*state, &o, "wire");
}

/* Random weights have no minima worth reaching: some steps of the same path. */
static void models_that_embed_their_terms_do(void **state)
{
    static const char *const names[] = {"d3ts.pt", "srrep_exp.pt", "lr_dsf.pt", "script_d3ts.jpt"};
    if (*state == NULL)
        skip();
    aimnet_frame frames[MAX_FRAMES];
    const int n = read_frames("molecules.xyz", frames);
    aimnet_opt_options o = tight();
    o.max_steps = 6;
    for (int k = 0; k < 4; k++) {
        char path[512];
        aimnet_options options = aimnet_options_default();
        options.precision = AIMNET_DOUBLE;
        snprintf(path, sizeof path, "tests/golden/models/%s", names[k]);
        fixture f = {.model = model_open(path)};
        f.calc = calc_open(f.model, &options);
        compare(&f, &o, frames, 3, NULL, -1);
        aimnet_calc_free(f.calc);
        aimnet_model_free(f.model);
    }
    free_frames(frames, n);
}

/* n water molecules on a lattice, each turned a little differently. */
static aimnet_frame make_cluster(int n)
{
    static const double water[9] = {0, 0, 0, 0.757, 0.587, 0, -0.757, 0.587, 0};
    const int side = (int)ceil(cbrt(n));
    aimnet_frame f = {.n_atoms = 3 * n, .mult = 1.0};
    f.coord = malloc(9 * (size_t)n * sizeof *f.coord);
    f.numbers = malloc(3 * (size_t)n * sizeof *f.numbers);
    f.title = calloc(1, 64);
    assert_true(f.coord && f.numbers && f.title);
    snprintf(f.title, 64, "%d waters", n);
    for (int m = 0; m < n; m++) {
        const int at[3] = {m % side, m / side % side, m / side / side};
        const double c = cos(0.7 * m), s = sin(0.7 * m);
        for (int a = 0; a < 3; a++) {
            double *r = f.coord + 3 * (3 * m + a);
            r[0] = 3.2 * at[0] + c * water[3 * a] - s * water[3 * a + 1];
            r[1] = 3.2 * at[1] + s * water[3 * a] + c * water[3 * a + 1];
            r[2] = 3.2 * at[2];
            f.numbers[3 * m + a] = a == 0 ? 8 : 1;
        }
    }
    return f;
}

/* The largest with a model Hessian, one above, and one with a block of more threads. */
static void large_structures_do(void **state)
{
    if (*state == NULL)
        skip();
    static const int waters[] = {100, 101, CLUSTER / 3};
    aimnet_opt_options o = tight();
    o.max_steps = 12;
    for (int k = 0; k < 3; k++) {
        aimnet_frame f = make_cluster(waters[k]);
        compare(*state, &o, &f, 1, NULL, AIMNET_OPT_NOT_CONVERGED);
        free(f.coord);
        free(f.numbers);
        free(f.title);
    }
}

/* Alone, and together with others, some of which have left before it ends. */
static void a_path_does_not_depend_on_the_pool(void **state)
{
    if (*state == NULL)
        skip();
    aimnet_frame frames[MAX_FRAMES];
    const int n = read_frames("molecules.xyz", frames);
    const aimnet_opt_options o = tight();
    pool all = start(*state, o, 0, frames, n, NULL);
    run(&all);
    for (int k = 0; k < n; k++) {
        pool alone = start(*state, o, 0, frames + k, 1, NULL);
        run(&alone);
        const aimnet_opt_state a = state_of(&alone, 0), b = state_of(&all, k);
        assert_int_equal(a.n_evaluations, b.n_evaluations);
        assert_memory_equal(&a.energy, &b.energy, sizeof a.energy);
        assert_memory_equal(a.coord, b.coord, 3 * (size_t)a.n_atoms * sizeof *a.coord);
        aimnet_opt_free(alone.opt);
    }
    aimnet_opt_free(all.opt);
    free_frames(frames, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(molecules_go_the_way_of_the_host),
        cmocka_unit_test(crystals_and_their_cells_do),
        cmocka_unit_test(slabs_and_wires_do),
        cmocka_unit_test(models_that_embed_their_terms_do),
        cmocka_unit_test(large_structures_do),
        cmocka_unit_test(a_path_does_not_depend_on_the_pool),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
