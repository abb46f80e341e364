/* SPDX-License-Identifier: MIT */
/* test_cuda_arrays.c - evaluations and lists between arrays on a card, without one: what the library
 * does in front of the seam, against a module that computes formulas (fake_card.c). Results are those
 * of aimnet_calc_eval; what is wrong is said in a sentence; failing allocations are met. The card
 * itself is tested by tests/cuda/test_arrays.cu. */
#include "fail_alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_cuda.h"

enum { N = 9, SYSTEMS = 3 };

static const int32_t numbers[N] = {8, 1, 1, 1, 1, 8, 1, 1, 0};
static const int32_t mol_idx[N] = {0, 0, 0, 1, 1, 2, 2, 2, 2};
static const double coord[3 * N] = {0,   0,   0,   0.76, 0.58, 0.1, -0.7, 0.6, 0.2,
                                    5,   5,   5,   5,    5.7,  5,   1.5,  0.2, 0.4,
                                    2.1, 0.9, 0.4, 0.8,  0.95, 0.3, 9,    9,   9};
static const double charge[SYSTEMS] = {0, 0, 0};

static void *on_card(const void *host, size_t bytes)
{
    void *p;
    assert_int_equal(aimnet_cuda_alloc(0, bytes, &p), AIMNET_OK);
    if (host)
        assert_int_equal(aimnet_cuda_copy(0, p, host, bytes, NULL), AIMNET_OK);
    return p;
}

typedef struct card {
    double *coord, *energy, *forces, *charges, *stress;
    aimnet_cuda_systems in;
    aimnet_cuda_results out;
    aimnet_result info[SYSTEMS];
} card;

static void card_open(card *c)
{
    memset(c, 0, sizeof *c);
    c->coord = on_card(coord, sizeof coord);
    c->energy = on_card(NULL, SYSTEMS * sizeof(double));
    c->forces = on_card(NULL, sizeof coord);
    c->charges = on_card(NULL, N * sizeof(double));
    c->stress = on_card(NULL, 9 * SYSTEMS * sizeof(double));
    c->in = (aimnet_cuda_systems){
        .atoms = {.n_atoms = N, .n_systems = SYSTEMS, .coord = c->coord, .mol_idx = mol_idx},
        .numbers = numbers,
        .charge = charge};
    c->out = (aimnet_cuda_results){
        .energy = c->energy, .forces = c->forces, .charges = c->charges, .info = c->info};
}

static void card_close(card *c)
{
    double *all[] = {c->coord, c->energy, c->forces, c->charges, c->stress};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        aimnet_cuda_free(0, all[k]);
}

/* The same by aimnet_calc_eval. */
typedef struct numbers_out {
    double energy[SYSTEMS], forces[3 * N], charges[N];
} numbers_out;

static void on_host(aimnet_calc *calc, numbers_out *out)
{
    static const int32_t first[SYSTEMS + 1] = {0, 3, 5, 9};
    aimnet_system s[SYSTEMS] = {{0}};
    aimnet_result r[SYSTEMS] = {{0}};
    for (int k = 0; k < SYSTEMS; k++) {
        s[k].n_atoms = first[k + 1] - first[k];
        s[k].numbers = numbers + first[k];
        s[k].coord = coord + 3 * first[k];
        r[k].forces = out->forces + 3 * first[k];
        r[k].charges = out->charges + first[k];
    }
    assert_int_equal(aimnet_calc_eval(calc, s, SYSTEMS, r), AIMNET_OK);
    for (int k = 0; k < SYSTEMS; k++)
        out->energy[k] = r[k].energy;
}

static aimnet_calc *open_calc(aimnet_model *model, int n, const char *device)
{
    aimnet_model *models[3] = {model, model, model};
    aimnet_options o = aimnet_options_default();
    aimnet_calc *calc;
    o.device = device;
    o.threads = 1;
    assert_int_equal(aimnet_calc_create(models, n, &o, &calc), AIMNET_OK);
    return calc;
}

static aimnet_model *open_model(void)
{
    aimnet_model *model;
    assert_int_equal(aimnet_model_load(NULL, NULL, &model), AIMNET_OK);
    return model;
}

static void assert_same(const card *c, const numbers_out *want)
{
    assert_memory_equal(c->energy, want->energy, sizeof want->energy);
    assert_memory_equal(c->forces, want->forces, sizeof want->forces);
    assert_memory_equal(c->charges, want->charges, sizeof want->charges);
}

static void results_are_those_of_the_host(void **state)
{
    (void)state;
    aimnet_model *model = open_model();
    for (int members = 1; members <= 3; members += 2) {
        aimnet_calc *calc = open_calc(model, members, "cuda");
        numbers_out want;
        card c;
        card_open(&c);
        on_host(calc, &want);
        assert_int_equal(aimnet_cuda_eval(calc, &c.in, &c.out, NULL), AIMNET_OK);
        assert_same(&c, &want);
        /* described by arrays of the card, positions in single precision */
        int32_t *z = on_card(numbers, sizeof numbers), *m = on_card(mol_idx, sizeof mol_idx);
        float single[3 * N];
        for (int k = 0; k < 3 * N; k++)
            single[k] = (float)coord[k];
        float *x = on_card(single, sizeof single);
        c.in.numbers = z;
        c.in.atoms.mol_idx = m;
        c.in.atoms.coord = NULL;
        c.in.coord_single = x;
        assert_int_equal(aimnet_cuda_eval(calc, &c.in, &c.out, NULL), AIMNET_OK);
        for (int k = 0; k < SYSTEMS; k++)
            assert_true(fabs(c.energy[k] - want.energy[k]) < 1e-5);
        aimnet_cuda_free(0, z);
        aimnet_cuda_free(0, m);
        aimnet_cuda_free(0, x);
        card_close(&c);
        aimnet_calc_free(calc);
    }
    aimnet_model_free(model);
}

/* Recipes of energies: terms among the outputs, by atom and by system, live and dead. */
static void so_are_those_of_embedded_terms(void **state)
{
    static const char *const NAMES[] = {
        "d3ts.pt",         "d3ts_nse.pt",     "srrep_exp.pt",         "srrep_none.pt",
        "srrep_cosine.pt", "lr_simple.pt",    "lr_dsf_full.pt",       "lr_dftd3.pt",
        "shift_reduce.pt", "script_d3ts.jpt", "script_coulomb_d3.jpt"};
    (void)state;
    for (size_t k = 0; k < sizeof NAMES / sizeof *NAMES; k++) {
        char path[512];
        aimnet_model *model;
        snprintf(path, sizeof path, "%s/tests/golden/models/%s", AIM_SOURCE_DIR, NAMES[k]);
        assert_int_equal(aimnet_model_load(path, NULL, &model), AIMNET_OK);
        aimnet_calc *calc = open_calc(model, 1, "cuda");
        assert_null(strstr(aimnet_calc_warnings(calc), "host"));
        numbers_out want;
        card c;
        card_open(&c);
        on_host(calc, &want);
        assert_int_equal(aimnet_cuda_eval(calc, &c.in, &c.out, NULL), AIMNET_OK);
        assert_same(&c, &want);
        card_close(&c);
        aimnet_calc_free(calc);
        aimnet_model_free(model);
    }
}

static void expect_note(const char *file, const char *note)
{
    char path[4096];
    aimnet_model *model;
    snprintf(path, sizeof path, AIM_SOURCE_DIR "/tests/golden/models/%s", file);
    assert_int_equal(aimnet_model_load(path, NULL, &model), AIMNET_OK);
    aimnet_calc *calc = open_calc(model, 1, "cuda");
    assert_non_null(strstr(aimnet_calc_warnings(calc), note));
    assert_int_equal(aimnet_calc_set_lr_cutoff(calc, 10.0), AIMNET_OK);
    assert_non_null(strstr(aimnet_calc_warnings(calc), note));
    aimnet_calc_free(calc);
    calc = open_calc(model, 1, "cpu");
    assert_null(strstr(aimnet_calc_warnings(calc), note));
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

/* A Coulomb sum that is no part of the energy is not the card's, nor second derivatives of a head that ends
 * with an activation. */
static void what_is_left_to_the_host_is_said(void **state)
{
    (void)state;
    expect_note("lr_simple_full.pt", "waits for the host's terms");
    expect_note("mlp_options.pt", "second derivatives are computed by the host");
}

static void a_bad_structure_costs_no_other_anything(void **state)
{
    (void)state;
    aimnet_model *model = open_model();
    aimnet_calc *calc = open_calc(model, 1, "cuda");
    numbers_out want;
    card c;
    card_open(&c);
    on_host(calc, &want);
    c.coord[3 * 3 + 1] = NAN;
    assert_int_equal(aimnet_cuda_eval(calc, &c.in, &c.out, NULL), AIMNET_ERR_SOME_FAILED);
    assert_int_equal(c.info[1].status, AIMNET_ERR_SYSTEM);
    assert_non_null(strstr(c.info[1].message, "coordinate y of atom 0 (H) is not finite"));
    assert_int_equal(c.info[0].status, AIMNET_OK);
    assert_true(c.energy[0] == want.energy[0] && c.energy[2] == want.energy[2]);
    assert_memory_equal(c.forces, want.forces, 9 * sizeof(double));
    assert_memory_equal(c.forces + 15, want.forces + 15, 12 * sizeof(double));
    /* stress of molecules is an error of each */
    c.coord[3 * 3 + 1] = 5;
    c.out.stress = c.stress;
    assert_int_equal(aimnet_cuda_eval(calc, &c.in, &c.out, NULL), AIMNET_ERR_SOME_FAILED);
    assert_non_null(strstr(c.info[0].message, "stress needs a periodic cell"));
    c.out.stress = NULL;
    assert_int_equal(aimnet_cuda_eval(calc, &c.in, &c.out, NULL), AIMNET_OK);
    assert_same(&c, &want);
    card_close(&c);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void stress_is_divided_by_the_volume(void **state)
{
    (void)state;
    static const double cell[9] = {8, 0, 0, 1, 9, 0, 0, 2, 10};
    aimnet_model *model = open_model();
    aimnet_calc *calc = open_calc(model, 3, "cuda");
    card c;
    card_open(&c);
    c.in.atoms.n_cells = 1;
    c.in.atoms.cell = cell;
    c.out.stress = c.stress;
    assert_int_equal(aimnet_cuda_eval(calc, &c.in, &c.out, NULL), AIMNET_OK);
    for (int k = 0; k < 9 * SYSTEMS; k++)
        assert_true(fabs(c.stress[k] - 0.7 / 720.0) < 1e-18);
    assert_int_equal(c.info[0].coulomb_method, AIMNET_COULOMB_DSF);
    assert_non_null(strstr(c.info[0].warnings, "replaced by DSF"));
    card_close(&c);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void refused(aimnet_status status, aimnet_status expected, const char *part)
{
    assert_int_equal(status, expected);
    if (!strstr(aimnet_last_error(), part))
        fail_msg("'%s' lacks '%s'", aimnet_last_error(), part);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    aimnet_model *model = open_model();
    aimnet_calc *calc = open_calc(model, 1, "cuda"), *cpu = open_calc(model, 1, "cpu");
    card c;
    card_open(&c);
    refused(aimnet_cuda_eval(NULL, &c.in, &c.out, NULL), AIMNET_ERR_ARG, "calc is NULL");
    refused(aimnet_cuda_eval(calc, NULL, &c.out, NULL), AIMNET_ERR_ARG, "systems is NULL");
    refused(aimnet_cuda_eval(calc, &c.in, NULL, NULL), AIMNET_ERR_ARG, "results is NULL");
    refused(aimnet_cuda_eval(cpu, &c.in, &c.out, NULL), AIMNET_ERR_ARG, "computes on the CPU");
    refused(aimnet_cuda_eval(calc, &c.in, &c.out, (void *)1), AIMNET_ERR_ARG, "captured");
    aimnet_cuda_systems in = c.in;
    in.atoms.coord = coord;
    refused(aimnet_cuda_eval(calc, &in, &c.out, NULL), AIMNET_ERR_ARG,
            "coord is memory of the host");
    in.atoms.coord = NULL;
    refused(aimnet_cuda_eval(calc, &in, &c.out, NULL), AIMNET_ERR_ARG, "coord is NULL");
    in = c.in;
    in.coord_single = (const float *)c.coord;
    refused(aimnet_cuda_eval(calc, &in, &c.out, NULL), AIMNET_ERR_ARG, "one of the two");
    in = c.in;
    in.numbers = NULL;
    refused(aimnet_cuda_eval(calc, &in, &c.out, NULL), AIMNET_ERR_ARG, "numbers is NULL");
    in = c.in;
    in.atoms.n_cells = 2;
    refused(aimnet_cuda_eval(calc, &in, &c.out, NULL), AIMNET_ERR_ARG, "n_cells is 2");
    in = c.in;
    in.atoms.n_atoms = N + 3;
    refused(aimnet_cuda_eval(calc, &in, &c.out, NULL), AIMNET_ERR_ARG, "bytes, but");
    in.atoms.n_atoms = -1;
    refused(aimnet_cuda_eval(calc, &in, &c.out, NULL), AIMNET_ERR_ARG, "-1 atoms");
    in = c.in;
    in.atoms.n_systems = 2;
    refused(aimnet_cuda_eval(calc, &in, &c.out, NULL), AIMNET_ERR_ARG, "numbers 3 systems");
    card_close(&c);
    aimnet_calc_free(cpu);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

static void lists_are_described_and_refused(void **state)
{
    (void)state;
    aimnet_cuda_nlist *list;
    double *x = on_card(coord, sizeof coord);
    int32_t *nbmat = on_card(NULL, (N + 1) * 96 * sizeof(int32_t)), needed = 0;
    refused(aimnet_cuda_nlist_create(3, &list), AIMNET_ERR_DEVICE, "one card");
    refused(aimnet_cuda_nlist_create(0, NULL), AIMNET_ERR_ARG, "list is NULL");
    assert_int_equal(aimnet_cuda_nlist_create(0, &list), AIMNET_OK);
    aimnet_atoms a = {.n_atoms = N, .n_systems = SYSTEMS, .coord = x, .mol_idx = mol_idx};
    assert_int_equal(aimnet_cuda_nlist_build(list, &a, 5.0, 96, nbmat, NULL, NULL, &needed, NULL),
                     AIMNET_OK);
    assert_true(nbmat[0] == 0 && nbmat[1] == 3 && nbmat[2] == 5 && needed == 80);
    refused(aimnet_cuda_nlist_build(list, &a, 5.0, 64, nbmat, NULL, NULL, &needed, NULL),
            AIMNET_ERR_OVERFLOW, "a width of 80 is needed");
    refused(aimnet_cuda_nlist_build(NULL, &a, 5.0, 64, nbmat, NULL, NULL, NULL, NULL),
            AIMNET_ERR_ARG, "list is NULL");
    refused(aimnet_cuda_nlist_build(list, &a, 5.0, 63, nbmat, NULL, NULL, NULL, NULL),
            AIMNET_ERR_ARG, "multiple of 16");
    refused(aimnet_cuda_nlist_build(list, &a, 0.0, 64, nbmat, NULL, NULL, NULL, NULL),
            AIMNET_ERR_ARG, "cutoff 0 A");
    refused(aimnet_cuda_nlist_build(list, &a, 5.0, 112, nbmat, NULL, NULL, NULL, NULL),
            AIMNET_ERR_ARG, "nbmat ends after");
    refused(aimnet_cuda_nlist_build(list, &a, 5.0, 96, nbmat, NULL, NULL, NULL, (void *)1),
            AIMNET_ERR_ARG, "captured");
    x[4] = INFINITY;
    refused(aimnet_cuda_nlist_build(list, &a, 5.0, 96, nbmat, NULL, NULL, NULL, NULL),
            AIMNET_ERR_SYSTEM, "coordinate y of atom 1 is inf");
    aimnet_cuda_nlist_free(list);
    aimnet_cuda_free(0, nbmat);
    aimnet_cuda_free(0, x);
}

/* ---------------------------------------------------------------- failing allocations */

static aimnet_status load_and_evaluate(const aimnet_allocator *hooks, void *ctx)
{
    card *c = ctx;
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    aimnet_options o = aimnet_options_default();
    o.device = "cuda";
    o.threads = 1;
    aimnet_status status = aimnet_model_load(NULL, hooks, &model);
    if (status == AIMNET_OK)
        status = aimnet_calc_create(&model, 1, &o, &calc);
    if (status == AIMNET_OK)
        status = aimnet_cuda_eval(calc, &c->in, &c->out, NULL);
    for (int k = 0; status == AIMNET_ERR_SOME_FAILED && k < SYSTEMS; k++)
        status = c->info[k].status != AIMNET_OK ? c->info[k].status : status;
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return status;
}

static void failing_allocations_are_met(void **state)
{
    (void)state;
    card c;
    card_open(&c);
    fail_alloc f;
    long calls = 0;
    /* an allocation of the call itself may fail and the way by the host succeed: no leak either way */
    for (int sticky = 0; sticky < 2; sticky++)
        for (long n = 1;; n++) {
            fail_alloc_init(&f, n, sticky);
            const aimnet_status status = load_and_evaluate(&f.hooks, &c);
            fail_alloc_assert_clean(&f);
            assert_true(status == AIMNET_OK || status == AIMNET_ERR_MEMORY);
            assert_true(status == AIMNET_OK || f.failed > 0);
            if (f.failed == 0) {
                calls = f.calls;
                break;
            }
        }
    assert_true(calls > 10);
    card_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_those_of_the_host),
        cmocka_unit_test(so_are_those_of_embedded_terms),
        cmocka_unit_test(what_is_left_to_the_host_is_said),
        cmocka_unit_test(a_bad_structure_costs_no_other_anything),
        cmocka_unit_test(stress_is_divided_by_the_volume),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(lists_are_described_and_refused),
        cmocka_unit_test(failing_allocations_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
