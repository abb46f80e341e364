/* SPDX-License-Identifier: MIT */
/* test_zero_modes.c - eigenvalues of dense Hessians in double precision: motions of the whole structure
 * cost nothing at a stationary point (tests/golden/minima), everything else does.
 *
 * A rotation's eigenvalue is of the order of the largest force over the size of the molecule, here
 * below 1e-8 eV/A^2. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_deriv.h"
#include "aimnet_vib.h"

static const double ZERO = 1e-6;       /* eV/A^2 */
static const double SOFTEST = 1e-3;    /* eV/A^2, below the softest vibration of these structures */
static const double SYMMETRY = 1e-10;  /* eV/A^2 */
static const double STATIONARY = 1e-8; /* eV/A */

/* Eigenvalues of a symmetric matrix by cyclic Jacobi rotations; a is destroyed. */
static void eigenvalues(double *a, size_t n)
{
    for (int sweep = 0; sweep < 60; sweep++)
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++) {
                if (fabs(a[p * n + q]) < 1e-300)
                    continue;
                const double theta = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]),
                             t = (theta < 0 ? -1.0 : 1.0) /
                                 (fabs(theta) + sqrt(theta * theta + 1.0)),
                             c = 1.0 / sqrt(t * t + 1.0), s = t * c;
                for (size_t k = 0; k < n; k++) {
                    const double x = a[k * n + p], y = a[k * n + q];
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                for (size_t k = 0; k < n; k++) {
                    const double x = a[p * n + k], y = a[q * n + k];
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
            }
}

static int collect(void *user, int64_t first, int64_t n_rows, int64_t columns, const double *rows)
{
    memcpy((double *)user + first * columns, rows, (size_t)(n_rows * columns) * sizeof *rows);
    return 0;
}

/* Hessian row by row as calculated, checked for symmetry; returns how many eigenvalues are zero. */
static int zero_modes(aimnet_calc *calc, const aimnet_system *system, const char *name)
{
    const size_t n = 3 * (size_t)system->n_atoms;
    double *h = calloc(n * n, sizeof *h);
    int zeros = 0;
    assert_non_null(h);
    if (aimnet_calc_hessian_rows(calc, system, collect, h) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (!(fabs(h[i * n + j] - h[j * n + i]) <= SYMMETRY))
                fail_msg("%s: elements %zu, %zu differ by %g", name, i, j,
                         h[i * n + j] - h[j * n + i]);
    eigenvalues(h, n);
    for (size_t k = 0; k < n; k++) {
        const double e = h[k * n + k];
        zeros += fabs(e) < ZERO;
        if (fabs(e) >= ZERO && fabs(e) < SOFTEST)
            fail_msg("%s: an eigenvalue of %g eV/A^2 is neither", name, e);
    }
    free(h);
    return zeros;
}

static aimnet_frame frame_read(const char *folder, const char *name)
{
    char path[512];
    aimnet_reader *reader;
    aimnet_frame frame = {0};
    snprintf(path, sizeof path, "%s/tests/golden/%s/%s.xyz", AIM_SOURCE_DIR, folder, name);
    if (aimnet_reader_open(path, NULL, &reader) || aimnet_reader_next(reader, &frame))
        fail_msg("%s", aimnet_last_error());
    aimnet_reader_close(reader);
    return frame;
}

static void count(const char *folder, const char *name, aimnet_coulomb coulomb, int expected)
{
    aimnet_options o = aimnet_options_default();
    o.precision = AIMNET_DOUBLE;
    o.threads = 2;
    o.coulomb = coulomb;
    aimnet_model *model = model_open("default");
    aimnet_calc *calc = calc_open(model, &o);
    aimnet_frame frame = frame_read(folder, name);
    const aimnet_system system = aimnet_frame_system(&frame);
    double *forces = calloc(3 * (size_t)frame.n_atoms, sizeof *forces);
    aimnet_result r = {.forces = forces};
    assert_non_null(forces);
    assert_int_equal(aimnet_calc_eval(calc, &system, 1, &r), AIMNET_OK);
    for (int k = 0; !system.cell && k < 3 * frame.n_atoms; k++)
        assert_true(fabs(forces[k]) < STATIONARY);
    const int zeros = zero_modes(calc, &system, name);
    if (zeros != expected)
        fail_msg("%s: %d zero modes, expected %d", name, zeros, expected);
    free(forces);
    aimnet_frame_free(&frame);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void minima_have_six_zero_modes(void **state)
{
    (void)state;
    count("minima", "water", AIMNET_COULOMB_SIMPLE, 6);
    count("minima", "ethanol", AIMNET_COULOMB_SIMPLE, 6);
    count("minima", "acetate", AIMNET_COULOMB_SIMPLE, 6);
}

static void linear_minima_have_five(void **state)
{
    (void)state;
    count("minima", "hydrogen_cyanide", AIMNET_COULOMB_SIMPLE, 5);
    count("minima", "acetylene", AIMNET_COULOMB_SIMPLE, 5);
}

/* A cell cannot turn; moving it is free wherever its atoms stand. */
static void crystals_have_three(void **state)
{
    (void)state;
    count("crystals", "ammonium_chloride", AIMNET_COULOMB_DSF, 3);
    count("crystals", "ammonium_chloride", AIMNET_COULOMB_EWALD, 3);
    count("crystals", "ammonium_ion", AIMNET_COULOMB_EWALD, 3);
}

static void rows_streamed_to_a_file_are_the_rows(void **state)
{
    (void)state;
    const char *const path = AIM_TEST_TMP "/streamed.npy";
    aimnet_options o = aimnet_options_default();
    o.precision = AIMNET_DOUBLE;
    aimnet_model *model = model_open("default");
    aimnet_calc *calc = calc_open(model, &o);
    aimnet_frame frame = frame_read("minima", "ethanol");
    aimnet_system system = aimnet_frame_system(&frame);
    const size_t n = 3 * (size_t)system.n_atoms;
    double *rows = calloc(n * n, sizeof *rows), *file = calloc(n * n, sizeof *file);
    assert_true(rows && file);
    assert_int_equal(aimnet_calc_hessian_rows(calc, &system, collect, rows), AIMNET_OK);
    remove(path);
    if (aimnet_calc_hessian_save(calc, &system, path) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    assert_int_equal(aimnet_matrix_load(path, file, (int64_t)n, (int64_t)n), AIMNET_OK);
    assert_memory_equal(rows, file, n * n * sizeof *rows);
    assert_int_equal(aimnet_calc_hessian_save(calc, &system, AIM_TEST_TMP "/nowhere/h.npy"),
                     AIMNET_ERR_FILE);
    assert_int_equal(aimnet_calc_hessian_save(calc, &system, "/dev/full"), AIMNET_ERR_FILE);
    frame.coord[0] = NAN; /* leaves the file as it is */
    assert_int_equal(aimnet_calc_hessian_save(calc, &system, path), AIMNET_ERR_SYSTEM);
    assert_int_equal(aimnet_matrix_load(path, file, (int64_t)n, (int64_t)n), AIMNET_OK);
    assert_memory_equal(rows, file, n * n * sizeof *rows);
    free(rows);
    free(file);
    remove(path);
    aimnet_frame_free(&frame);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minima_have_six_zero_modes),
        cmocka_unit_test(linear_minima_have_five),
        cmocka_unit_test(crystals_have_three),
        cmocka_unit_test(rows_streamed_to_a_file_are_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
