/* SPDX-License-Identifier: MIT */
/* test_deriv_out_of_memory.c - every allocation of the calls with second derivatives fails in turn:
 * products, rows, dense Hessians, losses, derivatives for vibrations. Each failure is reported, the
 * calculator stays usable and then gives what undisturbed memory gives, and nothing is left. */
#include "fail_alloc.h"

#include <stdio.h>

#include "aimnet_deriv.h"
#include "aimnet_vib.h"

enum { ATOMS = 6, COORDINATES = 3 * ATOMS, MOST = COORDINATES * (COORDINATES + 3) };

static const int32_t NUMBERS[ATOMS] = {8, 1, 1, 8, 1, 1};
static const double COORD[COORDINATES] = {0.1, 0.2, 0.0, 0.9, 0.6, 0.1, -0.5, 0.8, 0.3,
                                          2.6, 2.4, 2.2, 3.4, 2.9, 2.5, 2.1,  3.1, 2.4};
static const double CELL[9] = {5.1, 0.0, 0.2, 0.6, 4.8, 0.0, -0.3, 0.4, 5.3};
static const aimnet_system MOLECULE = {
    .n_atoms = ATOMS, .numbers = NUMBERS, .coord = COORD, .mult = 1};
static const aimnet_system CRYSTAL = {.n_atoms = ATOMS,
                                      .numbers = NUMBERS,
                                      .coord = COORD,
                                      .cell = CELL,
                                      .pbc = {1, 1, 1},
                                      .mult = 1};

/* What a call leaves behind; numbers that it does not fill stay zero. */
typedef struct outcome {
    double x[MOST];
} outcome;
typedef aimnet_status (*call_fn)(aimnet_calc *calc, const aimnet_system *system, outcome *out);

static aimnet_status products(aimnet_calc *calc, const aimnet_system *system, outcome *out)
{
    double v[2 * COORDINATES], w[18];
    for (int k = 0; k < 2 * COORDINATES; k++)
        v[k] = COORD[k * 7 % COORDINATES];
    for (int k = 0; k < 18; k++)
        w[k] = 0.01 * k;
    const aimnet_hvp job = {.n_directions = 2,
                            .v = v,
                            .strain = system->cell ? w : NULL,
                            .hv = out->x,
                            .charges = out->x + 2 * COORDINATES,
                            .dstrain = system->cell ? out->x + 3 * COORDINATES : NULL};
    return aimnet_calc_hvp(calc, system, &job);
}

/* Two structures, run as one batch. */
static aimnet_status product_of_two(aimnet_calc *calc, const aimnet_system *system, outcome *out)
{
    const aimnet_system both[2] = {*system, *system};
    const aimnet_hvp jobs[2] = {{.n_directions = 1, .v = COORD, .hv = out->x},
                                {.n_directions = 1, .v = COORD, .hv = out->x + COORDINATES}};
    return aimnet_calc_hvp_batch(calc, both, 2, jobs);
}

static int collect(void *user, int64_t first, int64_t n_rows, int64_t columns, const double *rows)
{
    memcpy(((outcome *)user)->x + first * columns, rows, (size_t)(n_rows * columns) * sizeof *rows);
    return 0;
}

static aimnet_status rows(aimnet_calc *calc, const aimnet_system *system, outcome *out)
{
    return aimnet_calc_hessian_rows(calc, system, collect, out);
}

static aimnet_status saved(aimnet_calc *calc, const aimnet_system *system, outcome *out)
{
    const char *const path = AIM_TEST_TMP "/out_of_memory.npy";
    const aimnet_status status = aimnet_calc_hessian_save(calc, system, path);
    if (status != AIMNET_OK)
        return status;
    assert_int_equal(aimnet_matrix_load(path, out->x, COORDINATES, COORDINATES), AIMNET_OK);
    assert_int_equal(remove(path), 0);
    return AIMNET_OK;
}

static aimnet_status dense(aimnet_calc *calc, const aimnet_system *system, outcome *out)
{
    aimnet_result r = {.hessian = out->x};
    const aimnet_status status = aimnet_calc_eval(calc, system, 1, &r);
    return status == AIMNET_ERR_SOME_FAILED ? r.status : status;
}

static aimnet_status vibrations(aimnet_calc *calc, const aimnet_system *system, outcome *out)
{
    return aimnet_vib_derivatives(calc, system, 0.0, out->x, out->x + COORDINATES * COORDINATES);
}

static aimnet_status loss(aimnet_calc *calc, const aimnet_system *system, outcome *out)
{
    static const double zero[COORDINATES] = {0};
    const aimnet_target target = {0.0, zero, zero, NULL, zero, zero};
    aimnet_loss_weights weights = {1.0, 0.2, 0.05, 0.0, 0.1, 0.0}, parts;
    int64_t n;
    weights.stress = system->cell ? 1.0 : 0.0;
    aimnet_status status = aimnet_calc_parameter_count(calc, NULL, &n);
    if (status != AIMNET_OK)
        return status;
    double *gradient = malloc((size_t)n * sizeof *gradient);
    assert_non_null(gradient);
    status = aimnet_calc_loss(calc, system, &target, 1, &weights, out->x, &parts, gradient);
    for (int64_t k = 0; status == AIMNET_OK && k < n; k++)
        out->x[1 + k % (MOST - 1)] += gradient[k];
    free(gradient);
    return status;
}

/* A fresh model and calculator; the n-th allocation of the call itself fails (0: none). */
static long run(call_fn call, const aimnet_system *system, aimnet_coulomb coulomb, long n,
                int sticky, outcome *first, outcome *second)
{
    fail_alloc f;
    aimnet_model *model;
    aimnet_calc *calc;
    aimnet_options o = aimnet_options_default();
    o.threads = 2;
    o.coulomb = coulomb;
    fail_alloc_init(&f, 0, sticky);
    assert_int_equal(
        aimnet_model_load(AIM_SOURCE_DIR "/tests/golden/models/base.pt", &f.hooks, &model),
        AIMNET_OK);
    assert_int_equal(aimnet_calc_create(&model, 1, &o, &calc), AIMNET_OK);
    memset(first, 0, sizeof *first);
    memset(second, 0, sizeof *second);
    f.fail_at = n > 0 ? f.calls + n : 0;
    const aimnet_status status = call(calc, system, first);
    const long failed = f.failed;
    if (failed > 0) {
        assert_int_equal(status, AIMNET_ERR_MEMORY);
        assert_true(aimnet_last_error()[0] != '\0');
    } else {
        assert_int_equal(status, AIMNET_OK);
    }
    f.fail_at = 0;
    assert_int_equal(call(calc, system, second), AIMNET_OK);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    fail_alloc_assert_clean(&f);
    return failed;
}

static void sweep(call_fn call, const aimnet_system *system, aimnet_coulomb coulomb)
{
    static outcome expected, first, second;
    run(call, system, coulomb, 0, 0, &expected, &second);
    assert_memory_equal(&expected, &second, sizeof expected);
    for (int sticky = 0; sticky < 2; sticky++) {
        long n = 0;
        while (run(call, system, coulomb, ++n, sticky, &first, &second) > 0)
            assert_memory_equal(&expected, &second, sizeof expected);
        assert_true(n > 2); /* the call does allocate */
        assert_memory_equal(&expected, &first, sizeof expected);
    }
}

static void products_survive_every_failing_allocation(void **state)
{
    (void)state;
    sweep(products, &MOLECULE, AIMNET_COULOMB_SIMPLE);
    sweep(product_of_two, &MOLECULE, AIMNET_COULOMB_SIMPLE);
    sweep(products, &CRYSTAL, AIMNET_COULOMB_DSF);
    sweep(products, &CRYSTAL, AIMNET_COULOMB_EWALD);
    sweep(products, &CRYSTAL, AIMNET_COULOMB_PME);
}

static void rows_survive_every_failing_allocation(void **state)
{
    (void)state;
    sweep(rows, &MOLECULE, AIMNET_COULOMB_SIMPLE);
    sweep(rows, &CRYSTAL, AIMNET_COULOMB_PME);
    sweep(saved, &MOLECULE, AIMNET_COULOMB_SIMPLE);
}

static void dense_hessians_survive_every_failing_allocation(void **state)
{
    (void)state;
    sweep(dense, &MOLECULE, AIMNET_COULOMB_SIMPLE);
    sweep(dense, &CRYSTAL, AIMNET_COULOMB_EWALD);
}

static void losses_survive_every_failing_allocation(void **state)
{
    (void)state;
    sweep(loss, &MOLECULE, AIMNET_COULOMB_SIMPLE);
    sweep(loss, &CRYSTAL, AIMNET_COULOMB_DSF);
}

static void derivatives_for_vibrations_survive_every_failing_allocation(void **state)
{
    (void)state;
    sweep(vibrations, &MOLECULE, AIMNET_COULOMB_SIMPLE);
    sweep(vibrations, &CRYSTAL, AIMNET_COULOMB_PME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_survive_every_failing_allocation),
        cmocka_unit_test(rows_survive_every_failing_allocation),
        cmocka_unit_test(dense_hessians_survive_every_failing_allocation),
        cmocka_unit_test(losses_survive_every_failing_allocation),
        cmocka_unit_test(derivatives_for_vibrations_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
