/* SPDX-License-Identifier: MIT */
/* test_crystal_derivatives.c - Hessian-vector products of crystals, slabs and wires, charged cells among
 * them, against the reference in float64 (tests/golden/crystal_hessians.txt, written by
 * tests/reference/make_crystal_hessians.py, which has the format and the directions). */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_deriv.h"

static const double PRODUCT = 1e-7; /* eV/A^2 */
/* Lattice sums are asked for this. The reference's PME drops small weights of its mesh and is as far from
 * its own Ewald sum as its line says, times this factor at most from ours; with all weights ("whole") it
 * is held to PRODUCT. */
static const double ACCURACY = 1e-12, OF_DISTANCE = 3.0;
enum { DIRECTIONS = 3 };

typedef struct product_case {
    char coulomb[16], name[64];
    double parameter, distance;
    int dispersion, n;
    double *expected; /* [3 n][DIRECTIONS] */
} product_case;

static int read_case(FILE *f, product_case *c)
{
    if (fscanf(f, " product %15s %lf %d %63s %d %lf", c->coulomb, &c->parameter, &c->dispersion,
               c->name, &c->n, &c->distance) != 6)
        return 0;
    const size_t size = 3 * DIRECTIONS * (size_t)c->n;
    c->expected = calloc(size, sizeof(double));
    assert_non_null(c->expected);
    for (size_t k = 0; k < size; k++)
        assert_int_equal(fscanf(f, "%lf", c->expected + k), 1);
    return 1;
}

static aimnet_options options_of(const product_case *c)
{
    aimnet_options o = aimnet_options_default();
    o.precision = AIMNET_DOUBLE;
    o.threads = 2;
    o.needs_dispersion = c->dispersion;
    o.coulomb = strcmp(c->coulomb, "dsf") == 0     ? AIMNET_COULOMB_DSF
                : strcmp(c->coulomb, "ewald") == 0 ? AIMNET_COULOMB_EWALD
                                                   : AIMNET_COULOMB_PME;
    if (o.coulomb == AIMNET_COULOMB_DSF)
        o.coulomb_cutoff = c->parameter;
    else
        o.ewald_accuracy = ACCURACY;
    return o;
}

static aimnet_frame read_frame(const char *name)
{
    char path[512];
    aimnet_reader *reader;
    aimnet_frame frame = {0};
    snprintf(path, sizeof path, "%s/tests/golden/crystals/%s.xyz", AIM_SOURCE_DIR, name);
    if (aimnet_reader_open(path, NULL, &reader) || aimnet_reader_next(reader, &frame))
        fail_msg("%s", aimnet_last_error());
    aimnet_reader_close(reader);
    return frame;
}

static void compare(const product_case *c, aimnet_model *model)
{
    const aimnet_options o = options_of(c);
    aimnet_calc *calc = calc_open(model, &o);
    aimnet_frame frame = read_frame(c->name);
    const aimnet_system system = aimnet_frame_system(&frame);
    const size_t n = 3 * (size_t)c->n;
    double *v = calloc(DIRECTIONS * n, sizeof *v), *hv = calloc(DIRECTIONS * n, sizeof *hv);
    assert_true(v && hv && system.n_atoms == c->n);
    for (size_t d = 0; d < DIRECTIONS; d++)
        for (size_t k = 0; k < n; k++)
            v[d * n + k] = cos((double)((d + 1) * (k + 1)));
    const aimnet_hvp job = {.n_directions = DIRECTIONS, .v = v, .hv = hv};
    if (aimnet_calc_hvp(calc, &system, &job) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    const double tolerance = fmax(PRODUCT, OF_DISTANCE * c->distance);
    for (size_t k = 0; k < n; k++)
        for (size_t d = 0; d < DIRECTIONS; d++)
            if (!(fabs(hv[d * n + k] - c->expected[DIRECTIONS * k + d]) <= tolerance))
                fail_msg("%s, %s: product %zu, element %zu is %.12g, the reference has %.12g",
                         c->name, c->coulomb, d, k, hv[d * n + k], c->expected[DIRECTIONS * k + d]);
    free(v);
    free(hv);
    aimnet_frame_free(&frame);
    aimnet_calc_free(calc);
}

static void products_of_crystals_are_those_of_the_reference(void **state)
{
    (void)state;
    static const char *const METHODS[] = {"dsf", "ewald", "pme", "whole"};
    int seen[4] = {0}, charged = 0;
    aimnet_model *model = model_open("default");
    FILE *f = fopen(AIM_SOURCE_DIR "/tests/golden/crystal_hessians.txt", "r");
    assert_non_null(f);
    for (product_case c; read_case(f, &c); free(c.expected)) {
        compare(&c, model);
        charged += strcmp(c.name, "ammonium_ion") == 0;
        for (int k = 0; k < 4; k++)
            seen[k] += strcmp(c.coulomb, METHODS[k]) == 0;
    }
    assert_true(feof(f));
    fclose(f);
    aimnet_model_free(model);
    assert_true(seen[0] == 8 && seen[1] == 4 && seen[2] == 3 && seen[3] == 3 && charged == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_crystals_are_those_of_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
