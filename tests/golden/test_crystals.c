/* SPDX-License-Identifier: MIT */
/* test_crystals.c - crystals, slabs and wires of tests/golden/crystals against the Python reference
 * in float64, in double and in single precision; and what must hold for every method: stress is the
 * strain derivative of the energy, a supercell has the energy of its cells.
 *
 * A case is one set of options; its structures are evaluated together in one call. The format is
 * described in tests/reference/make_crystals.py, the tolerances in docs/numerics.md. At the end the
 * worst case of each quantity is printed.
 *
 *     test_crystals [TEXT]      only the cases whose name contains TEXT */
#include "support.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CASES = 32, MAX_STRUCTURES = 16 };

typedef enum quantity { ENERGY, FORCES, CHARGES, STRESS, N_QUANTITIES } quantity;
static const char *const quantity_name[] = {"energy", "forces", "charges", "stress"};

/* ---------------------------------------------------------------- tolerances (docs/numerics.md) */

typedef struct tolerances {
    double energy_per_atom, energy_least, force, force_relative, charge, stress;
} tolerances;
static const tolerances tolerance_of[2] = {
    [AIMNET_SINGLE] = {1e-6, 2e-6, 2e-4, 2e-5, 1e-5, 2e-6},
    [AIMNET_DOUBLE] = {1e-9, 1e-9, 1e-8, 0.0, 1e-9, 1e-8},
};
/* Lattice sums: the reference's truncation and ours, both as the accuracy says. */
static const double LATTICE_ENERGY = 1.0; /* eV per atom and unit of accuracy */
static const double LATTICE_FORCE = 5.0;  /* eV/A */
static const double LATTICE_STRESS = 1.0; /* eV/A^3 */

/* ---------------------------------------------------------------- cases */

typedef struct expected {
    char name[64];
    aimnet_frame frame;
    double noise[4], energy[4], stress[9];
    double *charges, *forces;
} expected;

typedef struct golden_case {
    char name[64], model[128]; /* the default model if empty */
    aimnet_options options;
    int n;
    expected item[MAX_STRUCTURES];
} golden_case;

static void read_crystal(const char *name, aimnet_frame *frame)
{
    char path[512];
    aimnet_reader *reader = NULL;
    snprintf(path, sizeof path, "%s/tests/golden/crystals/%s.xyz", AIM_SOURCE_DIR, name);
    if (aimnet_reader_open(path, NULL, &reader) || aimnet_reader_next(reader, frame))
        fail_msg("%s", aimnet_last_error());
    aimnet_reader_close(reader);
}

static void numbers(FILE *file, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fscanf(file, "%lf", &v[i]), 1);
}

static void read_item(FILE *file, expected *e)
{
    char word[64];
    int n;
    assert_int_equal(fscanf(file, "%63s %d", e->name, &n), 2);
    read_crystal(e->name, &e->frame);
    assert_int_equal(e->frame.n_atoms, n);
    e->charges = calloc((size_t)n, sizeof *e->charges);
    e->forces = calloc((size_t)n, 3 * sizeof *e->forces);
    assert_true(e->charges && e->forces);
    while (fscanf(file, "%63s", word) == 1 && strcmp(word, "end") != 0) {
        if (strcmp(word, "noise") == 0)
            numbers(file, e->noise, 4);
        else if (strcmp(word, "energy") == 0)
            numbers(file, e->energy, 4);
        else if (strcmp(word, "stress") == 0)
            numbers(file, e->stress, 9);
        else if (strcmp(word, "atoms") == 0)
            for (int i = 0; i < n; i++) {
                numbers(file, e->charges + i, 1);
                numbers(file, e->forces + 3 * i, 3);
            }
        else
            fail_msg("%s: unknown word '%s'", e->name, word);
    }
}

static void read_option(FILE *file, golden_case *c)
{
    aimnet_options *o = &c->options;
    static const char *const methods[] = {"simple", "dsf", "ewald", "pme"};
    char key[64], value[64];
    assert_int_equal(fscanf(file, "%63s %63s", key, value), 2);
    const double x = strtod(value, NULL);
    if (strcmp(key, "model") == 0)
        snprintf(c->model, sizeof c->model, "tests/golden/models/%s.pt", value);
    else if (strcmp(key, "coulomb_cutoff") == 0)
        o->coulomb_cutoff = x;
    else if (strcmp(key, "ewald_accuracy") == 0)
        o->ewald_accuracy = x;
    else if (strcmp(key, "needs_dispersion") == 0)
        o->needs_dispersion = (int)x;
    else if (strcmp(key, "coulomb") == 0)
        for (int m = 0; m < 4; m++)
            o->coulomb = strcmp(value, methods[m]) == 0 ? (aimnet_coulomb)m : o->coulomb;
    else
        fail_msg("unknown option '%s'", key);
}

static void case_read(const char *name, golden_case *c)
{
    char path[512], word[64];
    *c = (golden_case){.options = aimnet_options_default()};
    snprintf(c->name, sizeof c->name, "%.63s", name);
    snprintf(path, sizeof path, "%s/tests/golden/crystals/%s.txt", AIM_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%63s", word) == 1) {
        if (word[0] == '#')
            (void)fscanf(file, "%*[^\n]");
        else if (strcmp(word, "option") == 0)
            read_option(file, c);
        else if (strcmp(word, "structure") == 0 && c->n < MAX_STRUCTURES)
            read_item(file, &c->item[c->n++]);
        else
            fail_msg("%s: unknown word '%s'", path, word);
    }
    fclose(file);
}

static void case_free(golden_case *c)
{
    for (int i = 0; i < c->n; i++) {
        aimnet_frame_free(&c->item[i].frame);
        free(c->item[i].charges);
        free(c->item[i].forces);
    }
}

/* ---------------------------------------------------------------- comparison */

typedef struct worst {
    double ratio, error, tolerance, noise;
    char name[160];
} worst;
static worst worst_of[2][N_QUANTITIES];

static double deviation(const double *a, const double *b, size_t n)
{
    double d = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double x = fabs(a[i] - b[i]);
        if (!(x <= d))
            d = isfinite(x) ? x : INFINITY;
    }
    return d;
}

static double largest(const double *a, size_t n)
{
    double m = 0.0;
    for (size_t i = 0; i < n; i++)
        m = fmax(m, fabs(a[i]));
    return m;
}

static int judge(const golden_case *c, const expected *e, quantity q, double error,
                 double tolerance)
{
    worst *w = &worst_of[c->options.precision][q];
    if (error / tolerance > w->ratio) {
        *w = (worst){error / tolerance, error, tolerance, e->noise[q], ""};
        snprintf(w->name, sizeof w->name, "%s: %s", c->name, e->name);
    }
    if (error <= tolerance)
        return 0;
    fprintf(stderr, "%s: %s: %s off by %.3g, allowed are %.3g\n", c->name, e->name,
            quantity_name[q], error, tolerance);
    return 1;
}

static int compare(const golden_case *c, const expected *e, const aimnet_result *r)
{
    const aimnet_options *o = &c->options;
    const tolerances *t = &tolerance_of[o->precision];
    const int pme = o->coulomb == AIMNET_COULOMB_PME || strstr(c->model, "pme") != NULL;
    const int lattice = pme || c->model[0] || o->coulomb == AIMNET_COULOMB_EWALD;
    const double accuracy = lattice ? o->ewald_accuracy : 0.0;
    const double wider = pme && o->precision == AIMNET_SINGLE ? 4 : 1;
    const size_t n = (size_t)e->frame.n_atoms;
    /* of random networks: where the reference in float32 misses the tolerance itself, half of its error */
    const double noise =
        c->model[0] && o->precision == AIMNET_SINGLE ? 0.5 * e->noise[ENERGY] : 0.0;
    int failed = 0;
    failed |= judge(c, e, ENERGY, fabs(r->energy - e->energy[0]),
                    wider * fmax(fmax(t->energy_per_atom * (double)n, t->energy_least), noise) +
                        LATTICE_ENERGY * accuracy * (double)n);
    failed |= judge(c, e, FORCES, deviation(r->forces, e->forces, 3 * n),
                    wider * fmax(t->force, t->force_relative * largest(e->forces, 3 * n)) +
                        LATTICE_FORCE * accuracy);
    failed |= judge(c, e, CHARGES, deviation(r->charges, e->charges, n), wider * t->charge);
    failed |= judge(c, e, STRESS, deviation(r->stress, e->stress, 9),
                    wider * t->stress + LATTICE_STRESS * accuracy);
    return failed;
}

static void run_case(golden_case *c, aimnet_precision precision)
{
    c->options.precision = precision;
    aimnet_model *model = model_open(c->model[0] ? c->model : NULL);
    aimnet_calc *calc = calc_open(model, &c->options);
    aimnet_system systems[MAX_STRUCTURES];
    aimnet_result results[MAX_STRUCTURES];
    evaluation e[MAX_STRUCTURES];
    double stress[MAX_STRUCTURES][9];
    for (int i = 0; i < c->n; i++) {
        systems[i] = aimnet_frame_system(&c->item[i].frame);
        e[i] = evaluation_create(systems[i].n_atoms, 0);
        results[i] = e[i].r;
        results[i].stress = stress[i];
    }
    if (aimnet_calc_eval(calc, systems, c->n, results) != AIMNET_OK)
        for (int i = 0; i < c->n; i++)
            if (results[i].status)
                fail_msg("%s: %s", c->item[i].name, results[i].message);
    int failed = 0;
    for (int i = 0; i < c->n; i++) {
        failed += compare(c, &c->item[i], &results[i]);
        evaluation_free(&e[i]);
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    if (failed)
        fail_msg("%s: %d of %d structures disagree with the reference", c->name, failed, c->n);
}

static void case_agrees_in_double_precision(void **state)
{
    golden_case c;
    case_read(*state, &c);
    run_case(&c, AIMNET_DOUBLE);
    case_free(&c);
}

static void case_agrees_in_single_precision(void **state)
{
    golden_case c;
    case_read(*state, &c);
    run_case(&c, AIMNET_SINGLE);
    case_free(&c);
}

static void report(void)
{
    for (int p = AIMNET_DOUBLE; p >= AIMNET_SINGLE; p--) {
        printf("\n%s precision against the reference in float64; worst of each quantity:\n",
               p == AIMNET_DOUBLE ? "double" : "single");
        printf("%-9s %10s %10s %8s %10s  %s\n", "quantity", "error", "tolerance", "ratio",
               "ref. fp32", "case: structure");
        for (int q = 0; q < N_QUANTITIES; q++) {
            const worst *w = &worst_of[p][q];
            if (w->tolerance > 0)
                printf("%-9s %10.2e %10.2e %8.4f %10.2e  %s\n", quantity_name[q], w->error,
                       w->tolerance, w->ratio, w->noise, w->name);
        }
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names of the cases with this text in them. */
static int find_cases(const char *text, char names[MAX_CASES][64])
{
    int n = 0;
    DIR *dir = opendir(AIM_SOURCE_DIR "/tests/golden/crystals");
    for (struct dirent *d; dir && (d = readdir(dir));) {
        const char *dot = strstr(d->d_name, ".txt");
        const size_t len = dot ? (size_t)(dot - d->d_name) : 0;
        if (len == 0 || len >= 64 || n == MAX_CASES || (text && !strstr(d->d_name, text)))
            continue;
        memcpy(names[n++], d->d_name, len);
    }
    if (dir)
        closedir(dir);
    qsort(names, (size_t)n, sizeof names[0], by_name);
    return n;
}

int main(int argc, char **argv)
{
    static char names[MAX_CASES][64], titles[2 * MAX_CASES][96];
    static struct CMUnitTest tests[2 * MAX_CASES];
    const int n = find_cases(argc > 1 ? argv[1] : NULL, names);
    for (int i = 0; i < 2 * n; i++) {
        const int single = i % 2;
        snprintf(titles[i], sizeof titles[i], "%s_agrees_in_%s_precision", names[i / 2],
                 single ? "single" : "double");
        tests[i] = (struct CMUnitTest){.name = titles[i],
                                       .initial_state = names[i / 2],
                                       .test_func = single ? case_agrees_in_single_precision
                                                           : case_agrees_in_double_precision};
    }
    if (n == 0) {
        fprintf(stderr, "no case found in %s/tests/golden/crystals\n", AIM_SOURCE_DIR);
        return 1;
    }
    const int failed = _cmocka_run_group_tests("crystals", tests, 2 * (size_t)n, NULL, NULL);
    report();
    return failed != 0;
}
