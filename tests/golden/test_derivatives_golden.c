/* SPDX-License-Identifier: MIT */
/* test_derivatives_golden.c - Hessians and gradients of training losses against the reference in
 * float64 (tests/golden/derivatives.txt and losses.txt, written by tests/reference/
 * make_derivatives.py and make_losses.py, which have the formats). */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_deriv.h"

static const double HESSIAN = 1e-7;              /* eV/A^2 */
static const double LOSS = 1e-10;                /* relative */
static const double LOSS_OF_LATTICE_SUM = 1e-8;  /* the reference's sum is good to that */
static const double GRADIENT = 1e-8;             /* relative to the largest of its tensor ... */
static const double GRADIENT_OF_LARGEST = 1e-10; /* ... or to the largest of all */
static const aimnet_loss_weights WEIGHTS = {.energy = 1.0, .forces = 0.2, .charges = 0.05};

enum { MOST = 8 };

static FILE *open_data(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s", AIM_SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    return f;
}

static double *numbers(FILE *f, size_t n)
{
    double *x = calloc(n ? n : 1, sizeof *x);
    assert_non_null(x);
    for (size_t k = 0; k < n; k++)
        assert_int_equal(fscanf(f, "%lf", x + k), 1);
    return x;
}

static aimnet_calc *open_calc(const char *model, const char *coulomb, int threads,
                              aimnet_model **loaded)
{
    aimnet_options o = aimnet_options_default();
    o.precision = AIMNET_DOUBLE;
    o.threads = threads;
    o.coulomb = strcmp(coulomb, "dsf") == 0 ? AIMNET_COULOMB_DSF : AIMNET_COULOMB_SIMPLE;
    *loaded = model_open(strcmp(model, "data/default.pt") == 0 ? "default" : model);
    return calc_open(*loaded, &o);
}

static void compare_hessian(FILE *f)
{
    char model[128], coulomb[16], name[64];
    int n;
    assert_int_equal(fscanf(f, "%127s %15s %63s %d", model, coulomb, name, &n), 4);
    const size_t size = 9 * (size_t)n * (size_t)n;
    double *expected = numbers(f, size);
    molecule mol = molecule_read(name);
    aimnet_model *loaded;
    aimnet_calc *calc = open_calc(model, coulomb, 2, &loaded);
    const aimnet_system system = molecule_system(&mol);
    aimnet_result r = {.hessian = calloc(size, sizeof(double))};
    assert_non_null(r.hessian);
    assert_int_equal(mol.n, n);
    if (aimnet_calc_eval(calc, &system, 1, &r) != AIMNET_OK)
        fail_msg("%s", r.message);
    for (size_t k = 0; k < size; k++)
        if (!(fabs(r.hessian[k] - expected[k]) <= HESSIAN))
            fail_msg("%s, %s, %s: element %zu is %.12g, the reference has %.12g", model, coulomb,
                     name, k, r.hessian[k], expected[k]);
    free(r.hessian);
    free(expected);
    molecule_free(&mol);
    aimnet_calc_free(calc);
    aimnet_model_free(loaded);
}

typedef struct loss_case {
    char model[128];
    int n;
    double expected[4];
    molecule mol[MOST];
    aimnet_system system[MOST];
    aimnet_target target[MOST];
    double *forces[MOST], *charges[MOST];
} loss_case;

static void read_loss(FILE *f, loss_case *c)
{
    assert_int_equal(fscanf(f, "%127s %d %lf %lf %lf %lf", c->model, &c->n, &c->expected[0],
                            &c->expected[1], &c->expected[2], &c->expected[3]),
                     6);
    assert_true(c->n <= MOST);
    for (int k = 0; k < c->n; k++) {
        char name[64];
        int n;
        assert_int_equal(fscanf(f, " structure %63s %d %lf", name, &n, &c->target[k].energy), 3);
        c->mol[k] = molecule_read(name);
        c->system[k] = molecule_system(&c->mol[k]);
        c->forces[k] = calloc(3 * (size_t)n, sizeof(double));
        c->charges[k] = calloc((size_t)n, sizeof(double));
        assert_true(c->mol[k].n == n && c->forces[k] && c->charges[k]);
        for (int i = 0; i < n; i++) {
            double *t = c->forces[k] + 3 * i;
            assert_int_equal(fscanf(f, "%lf %lf %lf %lf", c->charges[k] + i, t, t + 1, t + 2), 4);
        }
        c->target[k].forces = c->forces[k];
        c->target[k].charges = c->charges[k];
    }
}

static void close_loss(loss_case *c)
{
    for (int k = 0; k < c->n; k++) {
        molecule_free(&c->mol[k]);
        free(c->forces[k]);
        free(c->charges[k]);
    }
}

static int find_parameter(aimnet_calc *calc, const char *name, aimnet_parameter *p)
{
    int n;
    assert_int_equal(aimnet_calc_parameter_count(calc, &n, NULL), AIMNET_OK);
    for (int k = 0; k < n; k++)
        if (aimnet_calc_parameter(calc, k, p) == AIMNET_OK && strcmp(p->name, name) == 0)
            return 1;
    return 0;
}

static double largest_of(const double *x, int64_t n)
{
    double largest = 0;
    for (int64_t k = 0; k < n; k++)
        largest = fmax(largest, fabs(x[k]));
    return largest;
}

/* All tensors of the file; returns how many numbers they have. */
static int64_t compare_gradients(FILE *f, const char *model, aimnet_calc *calc,
                                 const double *gradient, int64_t total)
{
    char word[16], name[256];
    int64_t seen = 0;
    const double largest = largest_of(gradient, total);
    while (fscanf(f, "%15s", word) == 1 && strcmp(word, "gradient") == 0) {
        long long count;
        aimnet_parameter p;
        assert_int_equal(fscanf(f, "%255s %lld", name, &count), 2);
        double *expected = numbers(f, (size_t)count);
        if (!find_parameter(calc, name, &p))
            fail_msg("%s has no parameter %s", model, name);
        assert_true(p.count == count);
        const double tolerance =
            fmax(GRADIENT * largest_of(expected, count), GRADIENT_OF_LARGEST * largest);
        for (int64_t k = 0; k < count; k++)
            if (!(fabs(gradient[p.offset + k] - expected[k]) <= tolerance))
                fail_msg("%s: %s[%lld] is %.12g, the reference has %.12g", model, name,
                         (long long)k, gradient[p.offset + k], expected[k]);
        seen += count;
        free(expected);
    }
    return seen;
}

static void compare_loss(FILE *f)
{
    loss_case c = {0};
    aimnet_model *model;
    aimnet_loss_weights parts;
    int64_t total;
    double loss;
    read_loss(f, &c);
    aimnet_calc *calc = open_calc(c.model, "simple", 2, &model);
    assert_int_equal(aimnet_calc_parameter_count(calc, NULL, &total), AIMNET_OK);
    double *gradient = calloc((size_t)total, sizeof *gradient);
    assert_non_null(gradient);
    if (aimnet_calc_loss(calc, c.system, c.target, c.n, &WEIGHTS, &loss, &parts, gradient) !=
        AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    const double ours[4] = {loss, parts.energy, parts.forces, parts.charges};
    for (int k = 0; k < 4; k++)
        if (!(fabs(ours[k] - c.expected[k]) <= LOSS * c.expected[0]))
            fail_msg("%s: part %d is %.15g, the reference has %.15g", c.model, k, ours[k],
                     c.expected[k]);
    assert_true(compare_gradients(f, c.model, calc, gradient, total) == total);
    free(gradient);
    close_loss(&c);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void hessians_and_parameter_gradients_are_those_of_the_reference(void **state)
{
    (void)state;
    char word[16];
    int hessians = 0, losses = 0;
    FILE *f = open_data("derivatives.txt");
    while (fscanf(f, "%15s", word) == 1) {
        if (strcmp(word, "hessian") == 0) {
            compare_hessian(f);
            hessians++;
        } else {
            assert_string_equal(word, "loss");
            compare_loss(f);
            losses++;
        }
    }
    fclose(f);
    assert_true(hessians == 16 && losses == 4);
}

/* ---------------------------------------------------------------- dipole, spin and stress */

/* energy, spin charges, dipole, stress */
enum { PARTS = 4 };

typedef struct property_case {
    char model[128], coulomb[16];
    double parameter, weight[PARTS], expected[1 + PARTS];
    int n;
    aimnet_frame frame[MOST];
    aimnet_system system[MOST];
    aimnet_target target[MOST];
    double *values[MOST]; /* dipole, stress, spin charges */
} property_case;

static void read_frame(const char *folder, const char *name, aimnet_frame *frame)
{
    char path[512];
    aimnet_reader *reader;
    snprintf(path, sizeof path, "%s/tests/golden/%s/%s.xyz", AIM_SOURCE_DIR, folder, name);
    if (aimnet_reader_open(path, NULL, &reader) || aimnet_reader_next(reader, frame))
        fail_msg("%s", aimnet_last_error());
    aimnet_reader_close(reader);
}

static int read_property_loss(FILE *f, property_case *c)
{
    *c = (property_case){.n = 0};
    if (fscanf(f, " loss %127s %15s %lf %d", c->model, c->coulomb, &c->parameter, &c->n) != 4)
        return 0;
    assert_true(c->n <= MOST);
    for (int k = 0; k < PARTS; k++)
        assert_int_equal(fscanf(f, "%lf", &c->weight[k]), 1);
    for (int k = 0; k <= PARTS; k++)
        assert_int_equal(fscanf(f, "%lf", &c->expected[k]), 1);
    for (int k = 0; k < c->n; k++) {
        char name[64];
        int n;
        double energy;
        assert_int_equal(fscanf(f, " structure %63s %d %lf", name, &n, &energy), 3);
        double *x = c->values[k] = numbers(f, 12 + (size_t)n);
        read_frame(c->parameter > 0 ? "crystals" : "molecules", name, &c->frame[k]);
        c->system[k] = aimnet_frame_system(&c->frame[k]);
        assert_int_equal(c->system[k].n_atoms, n);
        c->target[k] =
            (aimnet_target){.energy = energy, .dipole = x, .stress = x + 3, .spin_charges = x + 12};
    }
    return 1;
}

static aimnet_calc *open_property_calc(const property_case *c, aimnet_model **model)
{
    aimnet_options o = aimnet_options_default();
    o.precision = AIMNET_DOUBLE;
    o.threads = 2;
    if (strcmp(c->coulomb, "dsf") == 0) {
        o.coulomb = AIMNET_COULOMB_DSF;
        o.coulomb_cutoff = c->parameter;
    } else if (strcmp(c->coulomb, "ewald") == 0) {
        o.coulomb = AIMNET_COULOMB_EWALD;
        o.ewald_accuracy = c->parameter;
    }
    *model = model_open(c->model);
    return calc_open(*model, &o);
}

static void compare_property_loss(FILE *f, property_case *c)
{
    aimnet_model *model;
    aimnet_loss_weights parts;
    int64_t total;
    double loss;
    aimnet_calc *calc = open_property_calc(c, &model);
    const aimnet_loss_weights weights = {.energy = c->weight[0],
                                         .spin_charges = c->weight[1],
                                         .dipole = c->weight[2],
                                         .stress = c->weight[3]};
    assert_int_equal(aimnet_calc_parameter_count(calc, NULL, &total), AIMNET_OK);
    double *gradient = calloc((size_t)total, sizeof *gradient);
    assert_non_null(gradient);
    if (aimnet_calc_loss(calc, c->system, c->target, c->n, &weights, &loss, &parts, gradient) !=
        AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    const double ours[1 + PARTS] = {loss, parts.energy, parts.spin_charges, parts.dipole,
                                    parts.stress};
    const double tolerance = strcmp(c->coulomb, "ewald") == 0 ? LOSS_OF_LATTICE_SUM : LOSS;
    for (int k = 0; k <= PARTS; k++)
        if (!(fabs(ours[k] - c->expected[k]) <= tolerance * c->expected[0]))
            fail_msg("%s, %s: part %d is %.15g, the reference has %.15g", c->model, c->coulomb, k,
                     ours[k], c->expected[k]);
    assert_true(compare_gradients(f, c->model, calc, gradient, total) == total);
    free(gradient);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void dipole_spin_and_stress_losses_have_the_gradients_of_the_reference(void **state)
{
    (void)state;
    int seen[PARTS] = {0};
    FILE *f = open_data("losses.txt");
    for (property_case c; read_property_loss(f, &c);) {
        compare_property_loss(f, &c);
        for (int k = 0; k < PARTS; k++)
            seen[k] += c.weight[k] > 0;
        for (int k = 0; k < c.n; k++) {
            aimnet_frame_free(&c.frame[k]);
            free(c.values[k]);
        }
    }
    assert_true(feof(f));
    fclose(f);
    assert_true(seen[1] == 1 && seen[2] == 2 && seen[3] == 2);
}

static const int32_t NUMBERS[6] = {8, 1, 1, 8, 1, 1};
static const double COORD[18] = {0.1, 0.2, 0.0, 0.9, 0.6, 0.1, -0.5, 0.8, 0.3,
                                 2.6, 2.4, 2.2, 3.4, 2.9, 2.5, 2.1,  3.1, 2.4};
static const double CELL[9] = {5.1, 0.0, 0.2, 0.6, 4.8, 0.0, -0.3, 0.4, 5.3};

/* dL/dtheta is linear in the targets: with F' = F + a d, the part of the forces is a^2 |d|^2 and
 * its gradient a times a fixed vector. At a = 0 loss and gradient vanish. */
static void a_loss_at_its_own_targets_is_zero_and_grows_as_a_parabola(void **state)
{
    (void)state;
    aimnet_model *model;
    double forces[18], charges[6], dipole[3], stress[9], d[18], loss[3];
    int64_t total;
    aimnet_calc *calc = open_calc("tests/golden/models/base.pt", "dsf", 1, &model);
    const aimnet_system system = {.n_atoms = 6,
                                  .numbers = NUMBERS,
                                  .coord = COORD,
                                  .cell = CELL,
                                  .pbc = {1, 1, 1},
                                  .mult = 1};
    aimnet_result r = {.forces = forces, .charges = charges, .dipole = dipole, .stress = stress};
    const aimnet_loss_weights weights = {1, 2, 3, 0, 4, 500};
    assert_int_equal(aimnet_calc_eval(calc, &system, 1, &r), AIMNET_OK);
    assert_int_equal(aimnet_calc_parameter_count(calc, NULL, &total), AIMNET_OK);
    double *g[3];
    for (int k = 0; k < 3; k++) {
        for (int e = 0; e < 18; e++)
            d[e] = forces[e] + 0.1 * k * (e % 5 - 2.0);
        double sigma[9], mu[3];
        for (int e = 0; e < 9; e++)
            sigma[e] = stress[e] + 0.001 * k * (e % 4);
        for (int e = 0; e < 3; e++)
            mu[e] = dipole[e] - 0.2 * k;
        const aimnet_target target = {r.energy + 0.3 * k, d, charges, NULL, mu, sigma};
        g[k] = calloc((size_t)total, sizeof(double));
        assert_non_null(g[k]);
        if (aimnet_calc_loss(calc, &system, &target, 1, &weights, &loss[k], NULL, g[k]) !=
            AIMNET_OK)
            fail_msg("%s", aimnet_last_error());
    }
    assert_true(loss[0] < 1e-20 && loss[1] > 1e-6);
    assert_true(fabs(loss[2] - 4 * loss[1]) < 1e-9 * loss[2]);
    const double size = largest_of(g[2], total);
    for (int64_t e = 0; e < total; e++)
        assert_true(fabs(g[0][e]) < 1e-9 * size && fabs(g[2][e] - 2 * g[1][e]) < 1e-9 * size);
    for (int k = 0; k < 3; k++)
        free(g[k]);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void gradients_are_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    char word[16] = "";
    loss_case c = {0};
    FILE *f = open_data("derivatives.txt");
    while (strcmp(word, "loss") != 0)
        assert_int_equal(fscanf(f, "%15s", word), 1);
    read_loss(f, &c);
    fclose(f);
    double *first = NULL, loss[2];
    for (int threads = 1; threads <= 3; threads += 2) {
        aimnet_model *model;
        int64_t total;
        aimnet_calc *calc = open_calc(c.model, "simple", threads, &model);
        assert_int_equal(aimnet_calc_parameter_count(calc, NULL, &total), AIMNET_OK);
        double *g = calloc((size_t)total, sizeof *g);
        assert_non_null(g);
        assert_int_equal(
            aimnet_calc_loss(calc, c.system, c.target, c.n, &WEIGHTS, &loss[threads / 2], NULL, g),
            AIMNET_OK);
        if (first) {
            assert_memory_equal(first, g, (size_t)total * sizeof *g);
            free(g);
        } else {
            first = g;
        }
        aimnet_calc_free(calc);
        aimnet_model_free(model);
    }
    assert_true(loss[0] == loss[1]);
    free(first);
    close_loss(&c);
}

static void losses_without_targets_or_with_bad_structures_are_refused(void **state)
{
    (void)state;
    aimnet_model *model;
    double loss, coord[9] = {0, 0, 0, 0, 0, NAN, 1, 0, 0}, zero[9] = {0};
    static const int32_t water[3] = {8, 1, 1};
    aimnet_calc *calc = open_calc("tests/golden/models/base.pt", "simple", 1, &model);
    const aimnet_system system = {.n_atoms = 3, .numbers = water, .coord = coord, .mult = 1};
    aimnet_target t = {.energy = 0};
    aimnet_loss_weights w = {.forces = 1};
    assert_int_equal(aimnet_calc_loss(calc, &system, &t, 1, &w, &loss, NULL, NULL), AIMNET_ERR_ARG);
    t.forces = zero;
    assert_int_equal(aimnet_calc_loss(calc, &system, &t, 1, &w, &loss, NULL, NULL),
                     AIMNET_ERR_SYSTEM);
    assert_non_null(strstr(aimnet_last_error(), "structure 0"));
    w = (aimnet_loss_weights){.energy = -1};
    assert_int_equal(aimnet_calc_loss(calc, &system, &t, 1, &w, &loss, NULL, NULL), AIMNET_ERR_ARG);
    w = (aimnet_loss_weights){0};
    assert_int_equal(aimnet_calc_loss(calc, &system, &t, 1, &w, &loss, NULL, NULL), AIMNET_ERR_ARG);
    w = (aimnet_loss_weights){.stress = 1};
    t.stress = zero;
    assert_int_equal(aimnet_calc_loss(calc, &system, &t, 1, &w, &loss, NULL, NULL), AIMNET_ERR_ARG);
    w = (aimnet_loss_weights){.spin_charges = 1};
    t.spin_charges = zero;
    assert_int_equal(aimnet_calc_loss(calc, &system, &t, 1, &w, &loss, NULL, NULL), AIMNET_ERR_ARG);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hessians_and_parameter_gradients_are_those_of_the_reference),
        cmocka_unit_test(dipole_spin_and_stress_losses_have_the_gradients_of_the_reference),
        cmocka_unit_test(a_loss_at_its_own_targets_is_zero_and_grows_as_a_parabola),
        cmocka_unit_test(gradients_are_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(losses_without_targets_or_with_bad_structures_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
