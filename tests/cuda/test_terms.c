/* SPDX-License-Identifier: MIT */
/* test_terms.c - terms on a card against the same on the host, in double: models that embed them, every
 * Coulomb method, molecules, crystals and slabs; their derivatives likewise. What the card leaves to the
 * host would be right as well, so that nothing is left is asserted, too. Needs a GPU. */
#include "../golden/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_cuda.h"
#include "aimnet_deriv.h"

static const double ENERGY = 1e-9, FORCE = 1e-8, CHARGE = 1e-9, STRESS = 1e-8; /* per atom */
static const double PRODUCT = 1e-7, SLOPE = 1e-8, STRAIN_SLOPE = 1e-6;         /* eV/A^2, e/A, eV */
static const double GRADIENT = 1e-8, SINGLE_GRADIENT = 1e-5;                   /* of the largest */

typedef struct term_case {
    const char *model;
    aimnet_coulomb coulomb;
    int molecules, crystals, slabs; /* what it is for */
} term_case;

static const term_case CASES[] = {
    {"tests/golden/models/d3ts.pt", AIMNET_COULOMB_SIMPLE, 1, 1, 1},
    {"tests/golden/models/d3ts_nse.pt", AIMNET_COULOMB_SIMPLE, 1, 1, 0},
    {"tests/golden/models/srrep_exp.pt", AIMNET_COULOMB_SIMPLE, 1, 1, 1},
    {"tests/golden/models/srrep_cosine.pt", AIMNET_COULOMB_SIMPLE, 1, 1, 0},
    {"tests/golden/models/srrep_none.pt", AIMNET_COULOMB_SIMPLE, 1, 1, 0},
    {"tests/golden/models/lr_simple.pt", AIMNET_COULOMB_SIMPLE, 1, 0, 0},
    {"tests/golden/models/lr_dsf.pt", AIMNET_COULOMB_SIMPLE, 1, 1, 1},
    {"tests/golden/models/lr_dsf_full.pt", AIMNET_COULOMB_SIMPLE, 1, 1, 0},
    {"tests/golden/models/lr_ewald.pt", AIMNET_COULOMB_SIMPLE, 0, 1, 0},
    {"tests/golden/models/lr_pme_full.pt", AIMNET_COULOMB_SIMPLE, 0, 1, 0},
    {"tests/golden/models/lr_dftd3.pt", AIMNET_COULOMB_SIMPLE, 1, 0, 0},
    {"tests/golden/models/script_coulomb_d3.jpt", AIMNET_COULOMB_SIMPLE, 1, 0, 0},
    {"tests/golden/models/script_d3ts.jpt", AIMNET_COULOMB_SIMPLE, 1, 1, 1},
    {"default", AIMNET_COULOMB_DSF, 1, 1, 1},
    {"default", AIMNET_COULOMB_EWALD, 0, 1, 0},
    {"default", AIMNET_COULOMB_PME, 0, 1, 0},
};
enum { N_CASES = sizeof CASES / sizeof *CASES };

/* ---------------------------------------------------------------- structures */

typedef enum kind { MOLECULE, CRYSTAL, SLAB, BOX, NEEDLE, PLATE, N_KINDS } kind;

typedef struct structure {
    molecule mol;
    double cell[9];
    aimnet_system system;
} structure;

/* side^3 water molecules, each turned a little differently. */
static molecule make_water(int side)
{
    static const double water[9] = {0, 0, 0, 0.757, 0.587, 0, -0.757, 0.587, 0};
    const size_t n = 3 * (size_t)(side * side * side);
    molecule m = {.n = (int32_t)n,
                  .numbers = malloc(n * sizeof *m.numbers),
                  .coord = malloc(3 * n * sizeof *m.coord),
                  .mult = 1};
    assert_true(m.numbers && m.coord);
    for (size_t i = 0; i < n; i++) {
        const size_t k = i / 3, at[3] = {k % (size_t)side, k / (size_t)side % (size_t)side,
                                         k / (size_t)(side * side)};
        const double c = cos(0.7 * (double)k), s = sin(0.7 * (double)k), *w = water + 3 * (i % 3);
        const double r[3] = {c * w[0] - s * w[1], s * w[0] + c * w[1], 0.1 * (double)(k % 3)};
        m.numbers[i] = i % 3 ? 1 : 8;
        for (int d = 0; d < 3; d++)
            m.coord[3 * i + (size_t)d] = 3.1 * (double)at[d] + r[d];
    }
    return m;
}

/* Water k with its first atom there. */
static void move_water(molecule *m, int32_t k, const double to[3])
{
    double *x = m->coord + 9 * (size_t)k;
    const double from[3] = {x[0], x[1], x[2]};
    for (int d = 0; d < 9; d++)
        x[d] += to[d % 3] - from[d % 3];
}

/* A row of water as long as the meshes of a card may be. */
static structure needle_open(void)
{
    static const double LENGTH = 6400.0; /* 2,916 points */
    structure s = {.mol = make_water(8), .cell = {9.0, 0, 0, 0, 9.0, 0, 0, 0, LENGTH}};
    const int32_t waters = s.mol.n / 3;
    for (int32_t k = 0; k < waters; k++)
        move_water(&s.mol, k, (const double[3]){4.0, 4.0, LENGTH / waters * k});
    s.system = molecule_system(&s.mol);
    return s;
}

/* Water across a cell so wide that its bins stand in columns (cells.h): on three lines from corner to corner. */
static structure plate_open(void)
{
    structure s = {.mol = make_water(5), .cell = {96.0, 2.0, 0.5, -3.0, 88.0, 1.0, 0.4, -0.6, 9.0}};
    const int32_t along = s.mol.n / 9;
    for (int32_t k = 0; k < s.mol.n / 3; k++) {
        const double part = (double)(k / 3) / along;
        move_water(&s.mol, k, (const double[3]){93.0 * part, 90.0 * part, 3.0 * (k % 3)});
    }
    s.system = molecule_system(&s.mol);
    return s;
}

static structure structure_open(kind what)
{
    if (what == NEEDLE)
        return needle_open();
    if (what == PLATE)
        return plate_open();
    static const double skew[9] = {12.0, 0.3, 0.5, 1.0, 11.0, 0.0, -0.5, 0.8, 9.0};
    enum { SIDE = 6 };
    structure s = {.mol = what == BOX ? make_water(SIDE) : molecule_read("caffeine")};
    memcpy(s.cell, skew, sizeof skew);
    for (int k = 0; k < 9 && what == BOX; k++)
        s.cell[k] = k % 4 ? 0.0 : 3.1 * SIDE;
    s.system = molecule_system(&s.mol);
    return s;
}

static aimnet_system system_of(const structure *s, kind what)
{
    aimnet_system system = s->system;
    if (what == MOLECULE)
        return system;
    system.cell = s->cell;
    for (int d = 0; d < 3; d++)
        system.pbc[d] = what != SLAB || d < 2;
    return system;
}

static int serves(const term_case *c, kind what)
{
    return what == MOLECULE ? c->molecules
           : what == SLAB   ? c->slabs
           : what == NEEDLE ? c->coulomb == AIMNET_COULOMB_PME
           : what == PLATE  ? c->slabs
                            : c->crystals;
}

/* ---------------------------------------------------------------- results */

typedef struct numbers_out {
    double energy, stress[9], *forces, *charges;
} numbers_out;

static double *zeroed(size_t n)
{
    double *x = calloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

static aimnet_calc *open_on(const term_case *c, aimnet_model *model, const char *device,
                            aimnet_precision precision)
{
    aimnet_options o = aimnet_options_default();
    o.device = device;
    o.precision = precision;
    o.coulomb = c->coulomb;
    return calc_open(model, &o);
}

static void assert_near(const char *what, const term_case *c, kind k, const double *a,
                        const double *b, size_t n, double tolerance)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, isfinite(a[i]) ? fabs(a[i] - b[i]) : INFINITY);
    if (worst > tolerance)
        fail_msg("%s, method %d, structure %d: %s differ by %.3g, allowed %.3g", c->model,
                 (int)c->coulomb, (int)k, what, worst, tolerance);
}

static numbers_out evaluate_one(aimnet_calc *calc, const aimnet_system *s, int on_card)
{
    numbers_out out = {.forces = zeroed(3 * (size_t)s->n_atoms),
                       .charges = zeroed((size_t)s->n_atoms)};
    aimnet_result r = {
        .forces = out.forces, .charges = out.charges, .stress = s->cell ? out.stress : NULL};
    if (aimnet_calc_eval(calc, s, 1, &r) != AIMNET_OK)
        fail_msg("%s", r.message);
    out.energy = r.energy;
    if (on_card && (strstr(r.warnings, "host") || strstr(aimnet_calc_warnings(calc), "host")))
        fail_msg("left to the host: %s", r.warnings);
    return out;
}

static void numbers_free(numbers_out *n)
{
    free(n->forces);
    free(n->charges);
}

static void terms_are_those_of_the_host(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        structure s = structure_open((kind)k);
        const aimnet_system system = system_of(&s, (kind)k);
        const size_t n = (size_t)system.n_atoms;
        for (const term_case *c = CASES; c < CASES + N_CASES; c++) {
            if (!serves(c, (kind)k))
                continue;
            aimnet_model *model = model_open(c->model);
            aimnet_calc *host = open_on(c, model, "cpu", AIMNET_DOUBLE),
                        *card = open_on(c, model, "cuda", AIMNET_DOUBLE);
            numbers_out a = evaluate_one(card, &system, 1), b = evaluate_one(host, &system, 0);
            assert_near("energies", c, (kind)k, &a.energy, &b.energy, 1, ENERGY * (double)n);
            assert_near("forces", c, (kind)k, a.forces, b.forces, 3 * n, FORCE);
            assert_near("charges", c, (kind)k, a.charges, b.charges, n, CHARGE);
            assert_near("stresses", c, (kind)k, a.stress, b.stress, 9, STRESS);
            numbers_free(&a);
            numbers_free(&b);
            aimnet_calc_free(host);
            aimnet_calc_free(card);
            aimnet_model_free(model);
        }
        molecule_free(&s.mol);
    }
}

/* ---------------------------------------------------------------- bits */

static void same(const char *what, const term_case *c, const double *a, const double *b, size_t n)
{
    if (memcmp(a, b, n * sizeof *a) != 0)
        fail_msg("%s, method %d: %s are not the same bits", c->model, (int)c->coulomb, what);
}

/* Alone, again (as a graph), and beside a larger structure. */
static void compare_company(const term_case *c, kind small, kind large)
{
    structure s[2] = {structure_open(large), structure_open(small)};
    aimnet_system systems[2] = {system_of(&s[0], large), system_of(&s[1], small)};
    const size_t n = (size_t)systems[1].n_atoms;
    aimnet_model *model = model_open(c->model);
    aimnet_calc *card = open_on(c, model, "cuda", AIMNET_SINGLE);
    numbers_out alone = evaluate_one(card, &systems[1], 1);
    for (int turn = 0; turn < 3; turn++) {
        numbers_out again = evaluate_one(card, &systems[1], 1);
        same("energies of another turn", c, &alone.energy, &again.energy, 1);
        same("forces of another turn", c, alone.forces, again.forces, 3 * n);
        numbers_free(&again);
    }
    double *forces = zeroed(3 * n);
    aimnet_result r[2] = {{.energy = 0}, {.forces = forces}};
    assert_int_equal(aimnet_calc_eval(card, systems, 2, r), AIMNET_OK);
    same("energies in company", c, &alone.energy, &r[1].energy, 1);
    same("forces in company", c, alone.forces, forces, 3 * n);
    free(forces);
    numbers_free(&alone);
    aimnet_calc_free(card);
    aimnet_model_free(model);
    molecule_free(&s[0].mol);
    molecule_free(&s[1].mol);
}

static void company_and_repetition_change_no_bit(void **state)
{
    (void)state;
    for (const term_case *c = CASES; c < CASES + N_CASES; c++) {
        if (c->molecules)
            compare_company(c, MOLECULE, MOLECULE);
        if (c->crystals)
            compare_company(c, CRYSTAL, BOX);
    }
}

/* As much memory as slabs need, of what all atoms at once would take. */
static aimnet_calc *open_in_slabs(const term_case *c, aimnet_model *model, const aimnet_system *s)
{
    aimnet_options o = aimnet_options_default();
    o.device = "cuda";
    o.coulomb = c->coulomb;
    aimnet_calc *calc = calc_open(model, &o);
    size_t whole, bytes;
    assert_int_equal(aimnet_calc_memory_estimate(calc, s, 1, 1, &whole), AIMNET_OK);
    for (double share = 0.5; share < 0.97; share += 0.05) {
        aimnet_calc_free(calc);
        o.device_memory = (size_t)(share * (double)whole);
        calc = calc_open(model, &o);
        assert_int_equal(aimnet_calc_memory_estimate(calc, s, 1, 1, &bytes), AIMNET_OK);
        if (bytes <= o.device_memory)
            return calc;
    }
    fail_msg("%s: no slabs", c->model);
    return calc;
}

static void slabs_change_no_bit(void **state)
{
    (void)state;
    structure s = structure_open(BOX);
    const aimnet_system system = system_of(&s, BOX);
    const size_t n = (size_t)system.n_atoms;
    for (const term_case *c = CASES; c < CASES + N_CASES; c++) {
        if (!c->crystals)
            continue;
        aimnet_model *model = model_open(c->model);
        aimnet_calc *all = open_on(c, model, "cuda", AIMNET_SINGLE),
                    *slabs = open_in_slabs(c, model, &system);
        numbers_out a = evaluate_one(all, &system, 1), b = evaluate_one(slabs, &system, 1);
        same("energies in slabs", c, &a.energy, &b.energy, 1);
        same("forces in slabs", c, a.forces, b.forces, 3 * n);
        same("stresses in slabs", c, a.stress, b.stress, 9);
        numbers_free(&a);
        numbers_free(&b);
        aimnet_calc_free(all);
        aimnet_calc_free(slabs);
        aimnet_model_free(model);
    }
    molecule_free(&s.mol);
}

/* The card of AIMNET_TEST_DEVICE (cuda or cuda:N). */
static int card_of_tests(void)
{
    const char *device = getenv("AIMNET_TEST_DEVICE"), *number = device ? strchr(device, ':') : NULL;
    return number ? (int)strtol(number + 1, NULL, 10) : 0;
}

static void *on_card(const void *host, size_t bytes)
{
    void *p;
    assert_int_equal(aimnet_cuda_alloc(card_of_tests(), bytes, &p), AIMNET_OK);
    if (host)
        assert_int_equal(aimnet_cuda_copy(card_of_tests(), p, host, bytes, NULL), AIMNET_OK);
    return p;
}

/* Between arrays on the card, where the host's program is not run. */
static void compare_arrays(const term_case *c, kind what)
{
    structure s = structure_open(what);
    const aimnet_system system = system_of(&s, what);
    const size_t n = (size_t)system.n_atoms, bytes = 3 * n * sizeof(double);
    aimnet_model *model = model_open(c->model);
    aimnet_calc *card = open_on(c, model, "cuda", AIMNET_SINGLE);
    numbers_out want = evaluate_one(card, &system, 1);
    double *coord = on_card(system.coord, bytes), *energy = on_card(NULL, sizeof *energy),
           *forces = on_card(NULL, bytes), *back = zeroed(3 * n), e = 0;
    const aimnet_cuda_systems in = {.atoms = {.n_atoms = (int32_t)n,
                                              .n_systems = 1,
                                              .coord = coord,
                                              .n_cells = system.cell != NULL,
                                              .cell = system.cell},
                                    .numbers = system.numbers};
    const aimnet_cuda_results out = {.energy = energy, .forces = forces};
    assert_int_equal(aimnet_cuda_eval(card, &in, &out, NULL), AIMNET_OK);
    assert_int_equal(aimnet_cuda_copy(card_of_tests(), back, forces, bytes, NULL), AIMNET_OK);
    assert_int_equal(aimnet_cuda_copy(card_of_tests(), &e, energy, sizeof e, NULL), AIMNET_OK);
    same("energies between arrays", c, &e, &want.energy, 1);
    same("forces between arrays", c, back, want.forces, 3 * n);
    free(back);
    aimnet_cuda_free(card_of_tests(), coord);
    aimnet_cuda_free(card_of_tests(), energy);
    aimnet_cuda_free(card_of_tests(), forces);
    numbers_free(&want);
    aimnet_calc_free(card);
    aimnet_model_free(model);
    molecule_free(&s.mol);
}

static void arrays_on_the_card_get_the_same_bits(void **state)
{
    (void)state;
    for (const term_case *c = CASES; c < CASES + N_CASES; c++) {
        if (c->molecules)
            compare_arrays(c, MOLECULE);
        if (c->crystals)
            compare_arrays(c, CRYSTAL);
    }
}

/* ---------------------------------------------------------------- second derivatives */

enum { DIRECTIONS = 5 };

typedef struct products {
    double hv[DIRECTIONS * 3 * 700], charges[DIRECTIONS * 700], strain[9 * DIRECTIONS];
} products;

static void multiply(const term_case *c, aimnet_model *model, const char *device,
                     const aimnet_system *s, const double *v, const double *w, products *out)
{
    aimnet_calc *calc = open_on(c, model, device, AIMNET_DOUBLE);
    const aimnet_hvp job = {.n_directions = DIRECTIONS,
                            .v = v,
                            .strain = w,
                            .hv = out->hv,
                            .charges = out->charges,
                            .dstrain = w ? out->strain : NULL};
    if (aimnet_calc_hvp(calc, s, &job) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    aimnet_calc_free(calc);
}

/* strained: cell and positions move together as well. */
static void compare_products(const term_case *c, kind what, int strained)
{
    static products card, host;
    structure s = structure_open(what);
    const aimnet_system system = system_of(&s, what);
    const size_t n = (size_t)system.n_atoms;
    double *v = zeroed(3 * n * DIRECTIONS), w[9 * DIRECTIONS];
    uint64_t seed = 7;
    for (size_t k = 0; k < 3 * n * DIRECTIONS; k++)
        v[k] = next_unit(&seed) - 0.5;
    for (int k = 0; k < 9 * DIRECTIONS; k++)
        w[k] = next_unit(&seed) - 0.5;
    memset(&card, 0, sizeof card);
    memset(&host, 0, sizeof host);
    aimnet_model *model = model_open(c->model);
    multiply(c, model, "cuda", &system, v, strained ? w : NULL, &card);
    multiply(c, model, "cpu", &system, v, strained ? w : NULL, &host);
    const double scale = what == BOX ? 10.0 : 1.0;
    assert_near("products", c, what, card.hv, host.hv, 3 * n * DIRECTIONS, scale * PRODUCT);
    assert_near("slopes of charges", c, what, card.charges, host.charges, n * DIRECTIONS,
                scale * SLOPE);
    assert_near("slopes of strain", c, what, card.strain, host.strain, 9 * DIRECTIONS,
                scale * STRAIN_SLOPE);
    free(v);
    aimnet_model_free(model);
    molecule_free(&s.mol);
}

static void products_are_those_of_the_host(void **state)
{
    (void)state;
    for (const term_case *c = CASES; c < CASES + N_CASES; c++) {
        if (c->molecules)
            compare_products(c, MOLECULE, 0);
        for (int strained = 0; strained < 2 && c->crystals; strained++)
            compare_products(c, CRYSTAL, strained);
        if (c->crystals)
            compare_products(c, BOX, 1);
    }
}

/* ---------------------------------------------------------------- gradients of a loss */

/* Of a loss over so many copies of s. */
static double *gradient_of(const term_case *c, aimnet_model *model, const char *device,
                           aimnet_precision precision, const aimnet_system *s, int copies,
                           int64_t *count, double *loss)
{
    int tensors;
    aimnet_calc *calc = open_on(c, model, device, precision);
    assert_int_equal(aimnet_calc_parameter_count(calc, &tensors, count), AIMNET_OK);
    double *gradient = zeroed((size_t)*count), *zero = zeroed(3 * (size_t)s->n_atoms);
    aimnet_system *systems = malloc((size_t)copies * sizeof *systems);
    aimnet_target *targets = malloc((size_t)copies * sizeof *targets);
    assert_true(systems && targets);
    for (int k = 0; k < copies; k++) {
        systems[k] = *s;
        targets[k] = (aimnet_target){.forces = zero, .charges = zero, .stress = zero};
    }
    const aimnet_loss_weights weights = {
        .energy = 1e-4, .forces = 1, .charges = 0.1, .stress = s->cell ? 1 : 0};
    if (aimnet_calc_loss(calc, systems, targets, copies, &weights, loss, NULL, gradient) !=
        AIMNET_OK)
        fail_msg("%s: %s", c->model, aimnet_last_error());
    free(systems);
    free(targets);
    free(zero);
    aimnet_calc_free(calc);
    return gradient;
}

static void compare_gradients(const term_case *c, kind what, aimnet_precision precision, int copies,
                              double tolerance)
{
    structure s = structure_open(what);
    const aimnet_system system = system_of(&s, what);
    aimnet_model *model = model_open(c->model);
    int64_t count;
    double loss[2], most = 0;
    double *card = gradient_of(c, model, "cuda", precision, &system, copies, &count, &loss[0]),
           *host = gradient_of(c, model, "cpu", precision, &system, copies, &count, &loss[1]);
    for (int64_t k = 0; k < count; k++)
        most = fmax(most, fabs(host[k]));
    assert_near("losses", c, what, &loss[0], &loss[1], 1, tolerance * loss[1]);
    assert_near("gradients", c, what, card, host, (size_t)count, tolerance * most);
    free(card);
    free(host);
    aimnet_model_free(model);
    molecule_free(&s.mol);
}

static void gradients_of_losses_are_those_of_the_host(void **state)
{
    (void)state;
    for (const term_case *c = CASES; c < CASES + N_CASES; c++) {
        if (c->molecules)
            compare_gradients(c, MOLECULE, AIMNET_DOUBLE, 1, GRADIENT);
        if (c->crystals)
            compare_gradients(c, CRYSTAL, AIMNET_DOUBLE, 1, GRADIENT);
    }
}

/* Other kernels than those of few atoms. */
static void gradients_of_thousands_of_atoms_are_those_of_the_host(void **state)
{
    (void)state;
    const term_case whole = {"default", AIMNET_COULOMB_SIMPLE, 1, 0, 0};
    compare_gradients(&whole, MOLECULE, AIMNET_SINGLE, 100, SINGLE_GRADIENT);
}

/* test_terms [TEXT]: only the tests whose name contains TEXT */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_those_of_the_host),
        cmocka_unit_test(company_and_repetition_change_no_bit),
        cmocka_unit_test(slabs_change_no_bit),
        cmocka_unit_test(arrays_on_the_card_get_the_same_bits),
        cmocka_unit_test(products_are_those_of_the_host),
        cmocka_unit_test(gradients_of_losses_are_those_of_the_host),
        cmocka_unit_test(gradients_of_thousands_of_atoms_are_those_of_the_host),
    };
    char filter[80];
    if (argc > 1) {
        snprintf(filter, sizeof filter, "*%.70s*", argv[1]);
        cmocka_set_test_filter(filter);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
