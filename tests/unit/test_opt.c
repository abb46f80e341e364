/* SPDX-License-Identifier: MIT */
/* test_opt.c - the optimiser: it reaches the minima that ASE's optimisers reach (energies from
 * tests/reference/make_opt.py), its gradients are the slopes of the enthalpy, a path depends on
 * nothing but its structure, and failures leave nothing behind. */
#include "fail_alloc.h"

#include <math.h>
#include <stdio.h>

#include "aimnet_opt.h"
#include "opt_frames.h"
#include "opt/hessian.h"
#include "opt/job.h"

static const double SAME_MINIMUM = 1e-5; /* eV, both to forces below 1e-3 eV/A or less */

typedef struct fixture {
    aimnet_model *model;
    aimnet_calc *calc; /* double precision */
} fixture;

static int setup(void **state)
{
    static fixture f;
    aimnet_options options = aimnet_options_default();
    options.precision = AIMNET_DOUBLE;
    options.threads = 2;
    assert_int_equal(aimnet_model_load(NULL, NULL, &f.model), AIMNET_OK);
    assert_int_equal(aimnet_calc_create(&f.model, 1, &options, &f.calc), AIMNET_OK);
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

static void free_frames(aimnet_frame *frames, int n)
{
    for (int i = 0; i < n; i++)
        aimnet_frame_free(&frames[i]);
}

static double value_of(const char *title, const char *key)
{
    const char *at = strstr(title, key);
    assert_non_null(at);
    return strtod(at + strlen(key), NULL);
}

static aimnet_opt_options tight(void)
{
    aimnet_opt_options o = aimnet_opt_options_default();
    assert_int_equal(aimnet_opt_set_level(&o, AIMNET_OPT_TIGHT), AIMNET_OK);
    return o;
}

static void run_to_the_end(aimnet_opt *opt)
{
    int n;
    do
        assert_int_equal(aimnet_opt_advance(opt, &n), AIMNET_OK);
    while (n > 0);
}

/* Optimises one structure; the state's arrays are copied. */
typedef struct outcome {
    aimnet_opt_state state;
    double coord[400], forces[400], cell[9];
    char message[AIMNET_MESSAGE_SIZE];
} outcome;

static void optimise(aimnet_calc *calc, const aimnet_opt_options *options,
                     const aimnet_system *system, const uint8_t *frozen, outcome *out)
{
    aimnet_opt *opt;
    int slot;
    assert_int_equal(aimnet_opt_create(calc, options, &opt), AIMNET_OK);
    assert_int_equal(aimnet_opt_add(opt, system, frozen, &slot), AIMNET_OK);
    run_to_the_end(opt);
    memset(out, 0, sizeof *out);
    assert_int_equal(aimnet_opt_get(opt, slot, &out->state), AIMNET_OK);
    const size_t n = 3 * (size_t)system->n_atoms;
    assert_true(n <= sizeof out->coord / sizeof *out->coord);
    memcpy(out->coord, out->state.coord, n * sizeof(double));
    memcpy(out->forces, out->state.forces, n * sizeof(double));
    snprintf(out->message, sizeof out->message, "%s", out->state.message);
    if (out->state.cell)
        memcpy(out->cell, out->state.cell, sizeof out->cell);
    aimnet_opt_free(opt);
}

static const int32_t water_numbers[] = {8, 1, 1};
static const double water_coord[] = {0.0, 0.0, 0.1173, 0.0, 0.80, -0.4692, 0.0, -0.72, -0.4692};
static const aimnet_system water = {.n_atoms = 3, .numbers = water_numbers, .coord = water_coord};

/* ---------------------------------------------------------------- minima */

static void molecules_reach_the_minima_of_ase(void **state)
{
    const fixture *f = *state;
    aimnet_frame frames[MAX_FRAMES];
    aimnet_opt_options options = tight();
    aimnet_opt *opt;
    int slot[MAX_FRAMES];
    options.fmax = 2e-4;
    options.ediff = 0.0;
    const int n = read_frames("molecules.xyz", frames);
    assert_true(n > 5);
    assert_int_equal(aimnet_opt_create(f->calc, &options, &opt), AIMNET_OK);
    for (int i = 0; i < n; i++) {
        const aimnet_system system = aimnet_frame_system(&frames[i]);
        assert_int_equal(aimnet_opt_add(opt, &system, NULL, &slot[i]), AIMNET_OK);
    }
    run_to_the_end(opt);
    for (int i = 0; i < n; i++) {
        aimnet_opt_state s;
        assert_int_equal(aimnet_opt_get(opt, slot[i], &s), AIMNET_OK);
        assert_int_equal(s.verdict, AIMNET_OPT_CONVERGED);
        assert_true(fabs(s.energy - value_of(frames[i].title, "ase_energy=")) < SAME_MINIMUM);
        assert_true(s.n_evaluations <= (int)value_of(frames[i].title, "ase_gradients="));
    }
    aimnet_opt_free(opt);
    free_frames(frames, n);
}

static void crystals_reach_the_minima_of_ase(void **state)
{
    const fixture *f = *state;
    aimnet_frame frames[MAX_FRAMES];
    const int n = read_frames("crystals.xyz", frames);
    assert_true(n >= 3);
    for (int i = 0; i < n; i++) {
        aimnet_opt_options options = tight();
        outcome out;
        const aimnet_system system = aimnet_frame_system(&frames[i]);
        options.cell = strstr(frames[i].title, "mode=isotropic") ? AIMNET_OPT_CELL_ISOTROPIC
                                                                 : AIMNET_OPT_CELL_FULL;
        options.fixed_axes[2] = strstr(frames[i].title, "mode=xy") != NULL;
        options.pressure = value_of(frames[i].title, "pressure=");
        optimise(f->calc, &options, &system, NULL, &out);
        assert_int_equal(out.state.verdict, AIMNET_OPT_CONVERGED);
        /* under pressure with one factor for the cell there is a lower minimum beside ASE's */
        const double above = out.state.enthalpy - value_of(frames[i].title, "ase_enthalpy=");
        assert_true(above < 1e-4);
        assert_true(above > -1e-4 || options.cell == AIMNET_OPT_CELL_ISOTROPIC);
        assert_true(out.state.n_evaluations <= (int)value_of(frames[i].title, "ase_gradients="));
        if (options.fixed_axes[2])
            assert_true(out.cell[8] == frames[i].cell[8]);
    }
    free_frames(frames, n);
}

static void fire_finds_the_same_minimum(void **state)
{
    const fixture *f = *state;
    aimnet_opt_options options = tight();
    outcome lbfgs, fire;
    optimise(f->calc, &options, &water, NULL, &lbfgs);
    options.method = AIMNET_OPT_FIRE;
    optimise(f->calc, &options, &water, NULL, &fire);
    assert_int_equal(lbfgs.state.verdict, AIMNET_OPT_CONVERGED);
    assert_int_equal(fire.state.verdict, AIMNET_OPT_CONVERGED);
    assert_true(fabs(lbfgs.state.energy - fire.state.energy) < 1e-6);
    assert_true(lbfgs.state.n_evaluations < fire.state.n_evaluations);
}

static void forces_of_the_result_are_those_of_its_coordinates(void **state)
{
    const fixture *f = *state;
    const aimnet_opt_options options = tight();
    double forces[9];
    outcome out;
    optimise(f->calc, &options, &water, NULL, &out);
    aimnet_system there = water;
    aimnet_result result = {.forces = forces};
    there.coord = out.coord;
    assert_int_equal(aimnet_calc_eval(f->calc, &there, 1, &result), AIMNET_OK);
    assert_true(result.energy == out.state.energy);
    assert_memory_equal(forces, out.forces, sizeof forces);
    assert_true(out.state.fmax < options.fmax);
}

/* ---------------------------------------------------------------- independence */

static void a_path_does_not_depend_on_the_pool(void **state)
{
    const fixture *f = *state;
    aimnet_frame frames[MAX_FRAMES];
    const aimnet_opt_options options = aimnet_opt_options_default();
    const int n = read_frames("molecules.xyz", frames);
    outcome alone;
    aimnet_opt *opt;
    int slot, other;
    aimnet_system last = aimnet_frame_system(&frames[n - 1]);
    optimise(f->calc, &options, &last, NULL, &alone);
    assert_int_equal(aimnet_opt_create(f->calc, &options, &opt), AIMNET_OK);
    for (int i = 0; i < n - 1; i++) {
        const aimnet_system system = aimnet_frame_system(&frames[i]);
        assert_int_equal(aimnet_opt_add(opt, &system, NULL, &other), AIMNET_OK);
        if (i == 2) { /* some have moved, one has left before ours comes */
            assert_int_equal(aimnet_opt_advance(opt, NULL), AIMNET_OK);
            assert_int_equal(aimnet_opt_remove(opt, other), AIMNET_OK);
        }
    }
    assert_int_equal(aimnet_opt_add(opt, &last, NULL, &slot), AIMNET_OK);
    run_to_the_end(opt);
    aimnet_opt_state s;
    assert_int_equal(aimnet_opt_get(opt, slot, &s), AIMNET_OK);
    assert_int_equal(s.n_evaluations, alone.state.n_evaluations);
    assert_memory_equal(s.coord, alone.coord, 3 * (size_t)s.n_atoms * sizeof(double));
    aimnet_opt_free(opt);
    free_frames(frames, n);
}

static void frozen_atoms_keep_their_place(void **state)
{
    const fixture *f = *state;
    const aimnet_opt_options options = tight();
    const uint8_t frozen[3] = {1, 0, 1}, all[3] = {1, 1, 1};
    outcome out;
    optimise(f->calc, &options, &water, frozen, &out);
    assert_int_equal(out.state.verdict, AIMNET_OPT_CONVERGED);
    assert_memory_equal(out.coord, water_coord, 3 * sizeof(double));
    assert_memory_equal(out.coord + 6, water_coord + 6, 3 * sizeof(double));
    assert_true(fabs(out.coord[4] - water_coord[4]) > 1e-3);
    optimise(f->calc, &options, &water, all, &out);
    assert_int_equal(out.state.verdict, AIMNET_OPT_CONVERGED);
    assert_int_equal(out.state.n_evaluations, 1);
}

/* ---------------------------------------------------------------- gradients */

static double enthalpy_at(aimnet_calc *calc, aim_variables *v, double *forces, double *stress)
{
    aimnet_system s = {.n_atoms = v->n_atoms, .numbers = v->numbers, .coord = v->x};
    aimnet_result r = {.forces = forces, .stress = stress};
    s.cell = v->cell;
    memcpy(s.pbc, v->periodic, sizeof s.pbc);
    assert_int_equal(aimnet_calc_eval(calc, &s, 1, &r), AIMNET_OK);
    return r.energy + v->pressure * aim_variables_volume(v);
}

static void gradients_are_slopes_of_the_enthalpy(void **state)
{
    const fixture *f = *state;
    aimnet_frame frames[MAX_FRAMES];
    const int n = read_frames("crystals.xyz", frames);
    const double h = 1e-4;
    for (int mode = 0; mode < 3; mode++) {
        aimnet_opt_options options = aimnet_opt_options_default();
        aim_job *job;
        double gradient[400], forces[400], stress[9], scrap[400];
        const aim_alloc alloc = aim_alloc_default();
        const aimnet_system system = aimnet_frame_system(&frames[0]);
        options.cell = mode == 1 ? AIMNET_OPT_CELL_ISOTROPIC : AIMNET_OPT_CELL_FULL;
        options.fixed_axes[1] = mode == 2;
        options.pressure = 0.02;
        assert_int_equal(aim_job_create(&alloc, &system, NULL, &options, AIMNET_DOUBLE, 0, &job),
                         AIMNET_OK);
        aim_variables *v = &job->path.v;
        const int n_strains[3] = {6, 1, 3}, first = 3 * v->n_atoms;
        assert_int_equal(v->n_strains, n_strains[mode]);
        for (int k = 0; k < v->n_strains; k++) /* away from F = 1 */
            v->value[first + k] = 0.02 * v->scale / (k + 1);
        aim_variables_place(v);
        (void)enthalpy_at(f->calc, v, forces, stress);
        aim_variables_gradient(v, forces, stress, gradient);
        for (int i = 0; i < v->n_var; i += i < first - 7 ? 7 : 1) {
            const double x = v->value[i];
            v->value[i] = x + h;
            aim_variables_place(v);
            const double up = enthalpy_at(f->calc, v, scrap, NULL);
            v->value[i] = x - h;
            aim_variables_place(v);
            const double down = enthalpy_at(f->calc, v, scrap, NULL);
            v->value[i] = x;
            const double slope = (up - down) / (2 * h);
            assert_true(fabs(slope - gradient[i]) < (i < first ? 2e-5 : 1e-4)); /* 2e-6 eV/A^3 */
        }
        aim_job_free(job);
    }
    free_frames(frames, n);
}

/* L L^T x */
static void multiply(const double *l, int n, const double *x, double *y)
{
    double t[400] = {0};
    for (int i = 0; i < n; i++)
        for (int k = i; k < n; k++)
            t[i] += l[k * n + i] * x[k];
    for (int i = 0; i < n; i++) {
        y[i] = 0.0;
        for (int k = 0; k <= i; k++)
            y[i] += l[i * n + k] * t[k];
    }
}

/* Lengths, angles and torsions do not change when a molecule moves as a whole: what the model
 * Hessian answers then is its multiple of the unit matrix alone. That holds only if all derivatives
 * are right. */
static void model_hessian_does_not_see_rigid_motion(void **state)
{
    (void)state;
    aimnet_frame frames[MAX_FRAMES];
    const int n = read_frames("molecules.xyz", frames);
    static double h[400 * 400];
    for (int i = 0; i < n; i++) {
        const aimnet_opt_options options = aimnet_opt_options_default();
        const aimnet_system system = aimnet_frame_system(&frames[i]);
        const aim_alloc alloc = aim_alloc_default();
        aim_job *job;
        double unit = 0.0;
        assert_int_equal(aim_job_create(&alloc, &system, NULL, &options, AIMNET_DOUBLE, 0, &job),
                         AIMNET_OK);
        const int n_var = job->path.v.n_var;
        aim_model_hessian(&job->path.v, h);
        /* bends of nearly linear chains are approximate: they see a turn about the chain */
        const int linear = strchr(frames[i].title, '#') != NULL;
        for (int mode = 0; mode < (linear ? 3 : 6); mode++) {
            double x[400], y[400];
            for (int a = 0; a < n_var; a++) {
                const double *r = job->path.v.x + a - a % 3;
                const int d = a % 3, e = mode % 3;
                x[a] = mode < 3 ? d == e
                       : d == e ? 0.0
                                : (d == (e + 1) % 3 ? -r[(e + 2) % 3] : r[(e + 1) % 3]);
            }
            multiply(h, n_var, x, y);
            for (int a = 0; a < n_var; a++) {
                if (mode == 0 && a == 0)
                    unit = y[0];
                assert_true(fabs(y[a] - unit * x[a]) < 1e-9 * (1.0 + fabs(x[a])));
            }
        }
        assert_true(unit > 0.0);

        aim_job_free(job);
    }
    free_frames(frames, n);
}

/* ---------------------------------------------------------------- verdicts and mistakes */

static void verdicts_say_what_happened(void **state)
{
    const fixture *f = *state;
    static const double together[] = {0, 0, 0, 0, 0, 0.01};
    const int32_t pair[] = {1, 1};
    const aimnet_system overlap = {.n_atoms = 2, .numbers = pair, .coord = together};
    aimnet_opt_options options = tight();
    outcome out;
    optimise(f->calc, &options, &overlap, NULL, &out);
    assert_int_equal(out.state.verdict, AIMNET_OPT_FAILED);
    assert_non_null(strstr(out.message, "overlap"));
    assert_true(isnan(out.state.energy));
    options.max_steps = 2;
    optimise(f->calc, &options, &water, NULL, &out);
    assert_int_equal(out.state.verdict, AIMNET_OPT_NOT_CONVERGED);
    assert_int_equal(out.state.n_evaluations, 3);
    assert_non_null(strstr(out.message, "after 2 steps"));
    options.max_steps = 1000;
    options.fmax = 1e-18; /* below what double precision can reach */
    optimise(f->calc, &options, &water, NULL, &out);
    assert_int_equal(out.state.verdict, AIMNET_OPT_STALLED);
    assert_true(out.state.fmax < 1e-5);
    assert_string_equal(aimnet_opt_verdict_name(AIMNET_OPT_STALLED), "stalled");
    assert_string_equal(aimnet_opt_verdict_name((aimnet_opt_verdict)77), "unknown");
}

/* The built-in model has not seen dense ice: its energy has no bottom there. */
static void a_fall_into_a_hole_of_the_model_is_stopped(void **state)
{
    const fixture *f = *state;
    aimnet_frame frames[MAX_FRAMES];
    const int n = read_frames("../crystals/ice.xyz", frames);
    const aimnet_system ice = aimnet_frame_system(&frames[0]);
    aimnet_opt_options options = tight();
    outcome out;
    options.cell = AIMNET_OPT_CELL_FULL;
    optimise(f->calc, &options, &ice, NULL, &out);
    assert_int_equal(out.state.verdict, AIMNET_OPT_COLLAPSED);
    assert_string_equal(aimnet_opt_verdict_name(out.state.verdict), "collapsed");
    assert_non_null(strstr(out.message, "not valid"));
    assert_true(out.state.n_evaluations < 200);
    free_frames(frames, n);
}

static void mistakes_are_named(void **state)
{
    const fixture *f = *state;
    aimnet_opt *opt = (aimnet_opt *)1;
    aimnet_opt_options o = aimnet_opt_options_default();
    aimnet_opt_state s;
    int slot;
    assert_int_equal(aimnet_opt_create(NULL, NULL, &opt), AIMNET_ERR_ARG);
    assert_null(opt);
    o.fmax = NAN;
    assert_int_equal(aimnet_opt_create(f->calc, &o, &opt), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "fmax"));
    o = aimnet_opt_options_default();
    o.memory = 0;
    assert_int_equal(aimnet_opt_create(f->calc, &o, &opt), AIMNET_ERR_ARG);
    o = (aimnet_opt_options){0};
    assert_int_equal(aimnet_opt_create(f->calc, &o, &opt), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "aimnet_opt_options_default"));
    o = aimnet_opt_options_default();
    o.cell = AIMNET_OPT_CELL_FULL;
    assert_int_equal(aimnet_opt_create(f->calc, &o, &opt), AIMNET_OK);
    assert_int_equal(aimnet_opt_add(opt, &water, NULL, &slot), AIMNET_ERR_SYSTEM);
    assert_non_null(strstr(aimnet_last_error(), "not periodic"));
    const double cell[9] = {9, 0, 0, 0, 9, 0, 0, 0, 20};
    aimnet_system slab = water;
    slab.cell = cell;
    slab.pbc[0] = slab.pbc[1] = 1;
    assert_int_equal(aimnet_opt_add(opt, &slab, NULL, &slot), AIMNET_ERR_SYSTEM);
    assert_non_null(strstr(aimnet_last_error(), "vector c"));
    assert_int_equal(aimnet_opt_get(opt, 0, &s), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_opt_remove(opt, -1), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_opt_advance(opt, &slot), AIMNET_OK); /* nothing runs: nothing happens */
    assert_int_equal(slot, 0);
    assert_int_equal(aimnet_opt_set_level(&o, (aimnet_opt_level)9), AIMNET_ERR_ARG);
    aimnet_opt_free(opt);
    aimnet_opt_free(NULL);
}

/* ---------------------------------------------------------------- memory */

static aimnet_status optimise_with(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    aimnet_opt *opt = NULL;
    aimnet_options options = aimnet_options_default();
    int slot, n = 1;
    (void)ctx;
    options.threads = 1;
    aimnet_status status = aimnet_model_load(NULL, hooks, &model);
    if (status == AIMNET_OK)
        status = aimnet_calc_create(&model, 1, &options, &calc);
    if (status == AIMNET_OK)
        status = aimnet_opt_create(calc, NULL, &opt);
    for (int i = 0; i < 2 && status == AIMNET_OK; i++)
        status = aimnet_opt_add(opt, &water, NULL, &slot);
    while (status == AIMNET_OK && n > 0)
        status = aimnet_opt_advance(opt, &n);
    aimnet_opt_free(opt);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return status;
}

/* Only the allocations after the model's are failed: those of the model have their own test. */
static void failing_allocations_are_reported(void **state)
{
    (void)state;
    fail_alloc_sweep_last(optimise_with, NULL, 40, 5);
}

static void advancing_allocates_nothing(void **state)
{
    (void)state;
    fail_alloc f;
    aimnet_model *model;
    aimnet_calc *calc;
    aimnet_opt *opt;
    int slot, n;
    fail_alloc_init(&f, 0, 0);
    assert_int_equal(aimnet_model_load(NULL, &f.hooks, &model), AIMNET_OK);
    assert_int_equal(aimnet_calc_create(&model, 1, NULL, &calc), AIMNET_OK);
    assert_int_equal(aimnet_opt_create(calc, NULL, &opt), AIMNET_OK);
    assert_int_equal(aimnet_opt_add(opt, &water, NULL, &slot), AIMNET_OK);
    assert_int_equal(aimnet_opt_advance(opt, &n), AIMNET_OK);
    const long calls = f.calls;
    run_to_the_end(opt);
    assert_int_equal(f.calls, calls);
    aimnet_opt_free(opt);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    fail_alloc_assert_clean(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(molecules_reach_the_minima_of_ase),
        cmocka_unit_test(crystals_reach_the_minima_of_ase),
        cmocka_unit_test(fire_finds_the_same_minimum),
        cmocka_unit_test(forces_of_the_result_are_those_of_its_coordinates),
        cmocka_unit_test(a_path_does_not_depend_on_the_pool),
        cmocka_unit_test(frozen_atoms_keep_their_place),
        cmocka_unit_test(gradients_are_slopes_of_the_enthalpy),
        cmocka_unit_test(model_hessian_does_not_see_rigid_motion),
        cmocka_unit_test(verdicts_say_what_happened),
        cmocka_unit_test(a_fall_into_a_hole_of_the_model_is_stopped),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(advancing_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
