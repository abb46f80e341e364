/* SPDX-License-Identifier: MIT */
/* test_golden.c - every case of tests/golden/cases against the Python reference in float64, in
 * double and in single precision.
 *
 * A case is one model with one set of options; its structures are evaluated together in one call.
 * The format of the files is described in tests/reference/make_golden.py, the tolerances below in
 * docs/numerics.md. At the end the worst case of each quantity is printed, and for single
 * precision the structures that miss a tenth of the tolerance. A failure prints the command that
 * reproduces it.
 *
 *     test_golden [TEXT]        only the cases whose name contains TEXT */
#include "support.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CASES = 256, MAX_STRUCTURES = 256, MAX_OUTPUTS = 4, MAX_OPTIONS = 16 };

typedef enum quantity {
    ENERGY,
    TERMS,
    FORCES,
    CHARGES,
    SPIN_CHARGES,
    DIPOLE,
    QUADRUPOLE,
    OUTPUTS,
    N_QUANTITIES
} quantity;
static const char *const quantity_name[N_QUANTITIES] = {
    "energy", "terms", "forces", "charges", "spin_charges", "dipole", "quadrupole", "outputs"};

/* ---------------------------------------------------------------- tolerances (docs/numerics.md) */

typedef struct tolerances {
    double energy_per_atom, energy_least; /* eV */
    double force, force_relative;         /* eV/A, and of the largest force */
    double charge;                        /* e */
    double output;                        /* of the largest value, at least of 1 */
} tolerances;
static const tolerances tolerance_of[2] = {
    [AIMNET_SINGLE] = {1e-6, 2e-6, 2e-4, 2e-5, 1e-5, 2e-5},
    [AIMNET_DOUBLE] = {1e-9, 1e-9, 1e-8, 0.0, 1e-9, 1e-9},
};
/* ---------------------------------------------------------------- cases */

typedef struct expected_output {
    char name[64];
    int per_atom, width;
    double *values;
} expected_output;

typedef struct expected {
    molecule mol;
    double noise[3];  /* of the reference in float32: energy, forces, charges */
    double energy[4]; /* total, network, coulomb, dispersion */
    double dipole[3], quadrupole[6];
    double *charges, *forces, *spin_charges;
    int n_outputs;
    expected_output output[MAX_OUTPUTS];
} expected;

typedef struct golden_case {
    char name[64], model[256];
    char option[MAX_OPTIONS][96]; /* "key value..." */
    int n_options, n_structures, spin;
    expected *structure;
} golden_case;

typedef struct text {
    const char *path;
    FILE *file;
    char word[256];
} text;

static int next_word(text *t)
{
    while (fscanf(t->file, "%255s", t->word) == 1) {
        if (t->word[0] != '#')
            return 1;
        int c;
        while ((c = fgetc(t->file)) != '\n' && c != EOF)
            ;
    }
    return 0;
}

static double next_number(text *t)
{
    char *end = NULL;
    double v = next_word(t) ? strtod(t->word, &end) : 0.0;
    if (!end || *end)
        fail_msg("%s: a number was expected, found '%s'", t->path, t->word);
    return v;
}

static void next_numbers(text *t, double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = next_number(t);
}

static double *numbers_new(size_t n)
{
    double *v = calloc(n > 0 ? n : 1, sizeof *v);
    assert_non_null(v);
    return v;
}

static void read_atoms(text *t, expected *e)
{
    size_t n = (size_t)e->mol.n;
    int columns = (int)next_number(t);
    e->charges = numbers_new(n);
    e->forces = numbers_new(3 * n);
    if (columns == 5)
        e->spin_charges = numbers_new(n);
    for (size_t i = 0; i < n; i++) {
        next_numbers(t, e->charges + i, 1);
        next_numbers(t, e->forces + 3 * i, 3);
        if (columns == 5)
            next_numbers(t, e->spin_charges + i, 1);
    }
}

static void read_output(text *t, expected *e)
{
    assert_true(e->n_outputs < MAX_OUTPUTS);
    expected_output *o = &e->output[e->n_outputs++];
    assert_true(next_word(t));
    snprintf(o->name, sizeof o->name, "%.63s", t->word);
    o->per_atom = (int)next_number(t);
    o->width = (int)next_number(t);
    size_t n = (size_t)o->width * (o->per_atom ? (size_t)e->mol.n : 1);
    o->values = numbers_new(n);
    next_numbers(t, o->values, n);
}

static void read_structure(text *t, expected *e)
{
    assert_true(next_word(t));
    e->mol = molecule_read(t->word);
    if ((int)next_number(t) != e->mol.n)
        fail_msg("%s: %s.xyz has %d atoms", t->path, e->mol.name, e->mol.n);
    e->mol.charge = next_number(t);
    e->mol.mult = next_number(t);
    while (next_word(t) && strcmp(t->word, "end") != 0) {
        if (strcmp(t->word, "noise") == 0)
            next_numbers(t, e->noise, 3);
        else if (strcmp(t->word, "energy") == 0)
            next_numbers(t, e->energy, 4);
        else if (strcmp(t->word, "dipole") == 0)
            next_numbers(t, e->dipole, 3);
        else if (strcmp(t->word, "quadrupole") == 0)
            next_numbers(t, e->quadrupole, 6);
        else if (strcmp(t->word, "atoms") == 0)
            read_atoms(t, e);
        else if (strcmp(t->word, "output") == 0)
            read_output(t, e);
        else
            fail_msg("%s: unknown word '%s'", t->path, t->word);
    }
}

static void read_option(text *t, golden_case *c)
{
    assert_true(c->n_options < MAX_OPTIONS && next_word(t));
    char *option = c->option[c->n_options++];
    int values = strcmp(t->word, "d3_params") == 0 ? 4 : 1;
    size_t used = (size_t)snprintf(option, sizeof c->option[0], "%.40s", t->word);
    for (int i = 0; i < values; i++) {
        assert_true(next_word(t));
        used += (size_t)snprintf(option + used, sizeof c->option[0] - used, " %.20s", t->word);
    }
}

static golden_case case_read(const char *name)
{
    golden_case c = {0};
    char path[512];
    snprintf(c.name, sizeof c.name, "%.63s", name);
    snprintf(path, sizeof path, "%s/tests/golden/cases/%s.txt", AIM_SOURCE_DIR, name);
    text t = {.path = path, .file = fopen(path, "r")};
    if (!t.file)
        fail_msg("%s cannot be opened", path);
    c.structure = calloc(MAX_STRUCTURES, sizeof *c.structure);
    assert_non_null(c.structure);
    while (next_word(&t)) {
        if (strcmp(t.word, "model") == 0 && next_word(&t)) {
            snprintf(c.model, sizeof c.model, "%.255s", t.word);
        } else if (strcmp(t.word, "option") == 0) {
            read_option(&t, &c);
        } else if (strcmp(t.word, "structure") == 0 && c.n_structures < MAX_STRUCTURES) {
            expected *e = &c.structure[c.n_structures++];
            read_structure(&t, e);
            c.spin |= e->spin_charges != NULL;
        } else {
            fail_msg("%s: unknown word '%s'", path, t.word);
        }
    }
    fclose(t.file);
    return c;
}

static void case_free(golden_case *c)
{
    for (int i = 0; i < c->n_structures; i++) {
        expected *e = &c->structure[i];
        molecule_free(&e->mol);
        free(e->charges);
        free(e->forces);
        free(e->spin_charges);
        for (int k = 0; k < e->n_outputs; k++)
            free(e->output[k].values);
    }
    free(c->structure);
}

static aimnet_options case_options(const golden_case *c, aimnet_precision precision, double d3[4])
{
    aimnet_options o = aimnet_options_default();
    o.precision = precision;
    for (int i = 0; i < c->n_options; i++) {
        char key[64], value[64];
        assert_int_equal(sscanf(c->option[i], "%63s %63s", key, value), 2);
        double v = strtod(value, NULL);
        if (strcmp(key, "coulomb") == 0 && strcmp(value, "dsf") == 0)
            o.coulomb = AIMNET_COULOMB_DSF;
        else if (strcmp(key, "coulomb_cutoff") == 0)
            o.coulomb_cutoff = v;
        else if (strcmp(key, "dsf_alpha") == 0)
            o.dsf_alpha = v;
        else if (strcmp(key, "d3_cutoff") == 0)
            o.d3_cutoff = v;
        else if (strcmp(key, "d3_smoothing") == 0)
            o.d3_smoothing = v;
        else if (strcmp(key, "needs_coulomb") == 0)
            o.needs_coulomb = (int)v;
        else if (strcmp(key, "needs_dispersion") == 0)
            o.needs_dispersion = (int)v;
        else if (strcmp(key, "d3_params") == 0 &&
                 sscanf(c->option[i], "%*s %lf %lf %lf %lf", d3, d3 + 1, d3 + 2, d3 + 3) == 4)
            o.d3_params = d3;
        else
            fail_msg("%s: unknown option '%s'", c->name, c->option[i]);
    }
    return o;
}

/* The command that repeats one structure of a case. */
static void print_command(const golden_case *c, const expected *e, aimnet_precision precision)
{
    static const char *const flag[][2] = {{"coulomb ", "--coulomb "},
                                          {"coulomb_cutoff ", "--coulomb-cutoff "},
                                          {"dsf_alpha ", "--dsf-alpha "},
                                          {"d3_cutoff ", "--d3-cutoff "},
                                          {"d3_smoothing ", "--d3-smoothing "},
                                          {"needs_coulomb 0", "--no-coulomb"},
                                          {"needs_dispersion 0", "--no-dispersion"}};
    fprintf(stderr, "    aimnet energy --precision %s",
            precision == AIMNET_DOUBLE ? "double" : "single");
    if (strcmp(c->model, "full_size") == 0)
        fprintf(stderr, " --model build/release/bench/full_size.pt");
    else if (strcmp(c->model, "default") != 0)
        fprintf(stderr, " --model %s", c->model);
    for (int i = 0; i < c->n_options; i++) {
        int known = 0;
        for (size_t k = 0; k < sizeof flag / sizeof *flag; k++) {
            size_t len = strlen(flag[k][0]);
            if (strncmp(c->option[i], flag[k][0], len) == 0) {
                fprintf(stderr, " %s%s", flag[k][1], c->option[i] + len);
                known = 1;
            }
        }
        if (!known)
            fprintf(stderr, " [in the API only: %s]", c->option[i]);
    }
    fprintf(stderr,
            " --charge %g --mult %g --json --terms --forces --charges --dipole --quadrupole%s "
            "tests/golden/molecules/%s.xyz\n",
            e->mol.charge, e->mol.mult, e->n_outputs ? " --outputs" : "", e->mol.name);
}

/* ---------------------------------------------------------------- comparison */

typedef struct worst {
    double ratio, error, tolerance, noise;
    char name[160];
} worst;
static worst worst_of[2][N_QUANTITIES];
static int n_compared[2], n_over_tenth[N_QUANTITIES];

typedef struct comparison {
    const golden_case *c;
    const expected *e;
    aimnet_precision precision;
    int failed;
} comparison;

/* Largest |a - b|; infinite if a number is not finite. */
static double deviation(const double *a, const double *b, size_t n)
{
    double d = 0.0;
    for (size_t i = 0; i < n; i++) {
        double x = fabs(a[i] - b[i]);
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

static void judge(comparison *k, quantity q, double error, double tolerance, double noise)
{
    worst *w = &worst_of[k->precision][q];
    if (error / tolerance > w->ratio) {
        *w = (worst){
            .ratio = error / tolerance, .error = error, .tolerance = tolerance, .noise = noise};
        snprintf(w->name, sizeof w->name, "%s: %s", k->c->name, k->e->mol.name);
    }
    if (k->precision == AIMNET_SINGLE && error > 0.1 * tolerance)
        n_over_tenth[q]++;
    if (!(error <= tolerance)) {
        fprintf(stderr, "%s: %s: %s off by %.3g, allowed are %.3g\n", k->c->name, k->e->mol.name,
                quantity_name[q], error, tolerance);
        if (!k->failed)
            print_command(k->c, k->e, k->precision);
        k->failed = 1;
    }
}

static void compare_outputs(comparison *k, const aimnet_calc *calc, int system)
{
    const tolerances *tol = &tolerance_of[k->precision];
    for (int o = 0; o < k->e->n_outputs; o++) {
        const expected_output *x = &k->e->output[o];
        size_t n = (size_t)x->width * (x->per_atom ? (size_t)k->e->mol.n : 1);
        int index = -1;
        for (int i = 0; i < aimnet_calc_output_count(calc); i++) {
            const char *name = NULL;
            int per_atom = 0, width = 0;
            assert_int_equal(aimnet_calc_output_info(calc, i, &name, &per_atom, &width), AIMNET_OK);
            if (strcmp(name, x->name) == 0 && per_atom == x->per_atom && width == x->width)
                index = i;
        }
        if (index < 0)
            fail_msg("%s: the calculator has no output %s (per atom %d, width %d)", k->c->name,
                     x->name, x->per_atom, x->width);
        double *values = numbers_new(n);
        if (aimnet_calc_output_get(calc, index, system, values, n))
            fail_msg("%s: %s", k->c->name, aimnet_last_error());
        judge(k, OUTPUTS, deviation(values, x->values, n),
              tol->output * fmax(1.0, largest(x->values, n)), 0.0);
        free(values);
    }
}

/* sum_i |phi_i| in V: errors dq of the charges move Coulomb energy from one term to another by at
 * most dq times this. */
static double sum_of_potentials(const expected *e)
{
    const double k_e = 27.211386024367243 * 0.5291772105638411; /* eV A */
    double sum = 0.0;
    for (int32_t i = 0; i < e->mol.n; i++) {
        double phi = 0.0;
        for (int32_t j = 0; j < e->mol.n; j++) {
            const double *a = e->mol.coord + 3 * i, *b = e->mol.coord + 3 * j;
            double d = sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                            (a[2] - b[2]) * (a[2] - b[2]));
            phi += i == j ? 0.0 : k_e * e->charges[j] / d;
        }
        sum += fabs(phi);
    }
    return sum;
}

/* A network whose Coulomb was taken away is a term, not an energy. */
static int without_coulomb(const golden_case *c)
{
    for (int i = 0; i < c->n_options; i++)
        if (strcmp(c->option[i], "needs_coulomb 0") == 0)
            return 1;
    return 0;
}

static void compare(comparison *k, const evaluation *got)
{
    const expected *e = k->e;
    const aimnet_result *r = &got->r;
    const tolerances *tol = &tolerance_of[k->precision];
    size_t n = (size_t)e->mol.n;
    double energy = fmax(tol->energy_per_atom * (double)n, tol->energy_least), r1 = 0.0, r2 = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double *x = e->mol.coord + 3 * i;
        double d2 = x[0] * x[0] + x[1] * x[1] + x[2] * x[2];
        r1 += sqrt(d2);
        r2 += d2;
    }
    double terms[3] = {r->energy_network, r->energy_coulomb, r->energy_dispersion};
    double part = energy + tol->charge * sum_of_potentials(e);
    judge(k, ENERGY, fabs(r->energy - e->energy[0]), without_coulomb(k->c) ? part : energy,
          e->noise[0]);
    judge(k, TERMS, deviation(terms, e->energy + 1, 3), part, 0.0);
    judge(k, FORCES, deviation(r->forces, e->forces, 3 * n),
          fmax(tol->force, tol->force_relative * largest(e->forces, 3 * n)), e->noise[1]);
    judge(k, CHARGES, deviation(r->charges, e->charges, n), tol->charge, e->noise[2]);
    judge(k, DIPOLE, deviation(r->dipole, e->dipole, 3), tol->charge * fmax(1.0, r1), 0.0);
    judge(k, QUADRUPOLE, deviation(r->quadrupole, e->quadrupole, 6),
          tol->charge * fmax(1.0, 2.0 * r2), 0.0);
    if (e->spin_charges)
        judge(k, SPIN_CHARGES, deviation(r->spin_charges, e->spin_charges, n), tol->charge,
              e->noise[2]);
}

static void run_case(const golden_case *c, aimnet_precision precision)
{
    double d3[4];
    aimnet_options options = case_options(c, precision, d3);
    aimnet_model *model = model_open(c->model);
    aimnet_calc *calc = calc_open(model, &options);
    const molecule *mols[MAX_STRUCTURES];
    evaluation got[MAX_STRUCTURES];
    for (int i = 0; i < c->n_structures; i++) {
        mols[i] = &c->structure[i].mol;
        got[i] = evaluation_create(mols[i]->n, c->spin);
    }
    evaluate_ok(calc, mols, c->n_structures, got);
    int failed = 0;
    for (int i = 0; i < c->n_structures; i++) {
        comparison k = {.c = c, .e = &c->structure[i], .precision = precision};
        compare(&k, &got[i]);
        compare_outputs(&k, calc, i);
        failed += k.failed;
        n_compared[precision]++;
        evaluation_free(&got[i]);
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    if (failed)
        fail_msg("%s: %d of %d structures disagree with the reference", c->name, failed,
                 c->n_structures);
}

/* ---------------------------------------------------------------- one test for each case and
 * precision */

static void case_agrees_in_double_precision(void **state)
{
    golden_case c = case_read(*state);
    run_case(&c, AIMNET_DOUBLE);
    case_free(&c);
}

static void case_agrees_in_single_precision(void **state)
{
    golden_case c = case_read(*state);
    run_case(&c, AIMNET_SINGLE);
    case_free(&c);
}

static void report(void)
{
    for (int p = AIMNET_DOUBLE; p >= AIMNET_SINGLE; p--) {
        printf("\n%s precision against the reference in float64, %d structures; worst of each "
               "quantity:\n",
               p == AIMNET_DOUBLE ? "double" : "single", n_compared[p]);
        printf("%-13s %10s %10s %8s %10s  %s\n", "quantity", "error", "tolerance", "ratio",
               "ref. fp32", "case: structure");
        for (int q = 0; q < N_QUANTITIES; q++) {
            const worst *w = &worst_of[p][q];
            if (w->tolerance > 0)
                printf("%-13s %10.2e %10.2e %8.4f %10.2e  %s\n", quantity_name[q], w->error,
                       w->tolerance, w->ratio, w->noise, w->name);
        }
    }
    printf("\nsingle precision beyond a tenth of the tolerance (structures):");
    for (int q = 0; q < N_QUANTITIES; q++)
        printf(" %s %d", quantity_name[q], n_over_tenth[q]);
    printf("\n");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

int main(int argc, char **argv)
{
    static char names[MAX_CASES][64], titles[2 * MAX_CASES][96];
    static struct CMUnitTest tests[2 * MAX_CASES];
    int n = 0;
    DIR *dir = opendir(AIM_SOURCE_DIR "/tests/golden/cases");
    for (struct dirent *d; dir && (d = readdir(dir));) {
        const char *dot = strstr(d->d_name, ".txt");
        size_t len = dot ? (size_t)(dot - d->d_name) : 0;
        if (len == 0 || len >= sizeof names[0] || n == MAX_CASES ||
            (argc > 1 && !strstr(d->d_name, argv[1])))
            continue;
        memcpy(names[n++], d->d_name, len);
    }
    if (dir)
        closedir(dir);
    qsort(names, (size_t)n, sizeof names[0], by_name);
    for (int i = 0; i < 2 * n; i++) {
        int single = i % 2;
        snprintf(titles[i], sizeof titles[i], "%s_agrees_in_%s_precision", names[i / 2],
                 single ? "single" : "double");
        tests[i] = (struct CMUnitTest){.name = titles[i],
                                       .initial_state = names[i / 2],
                                       .test_func = single ? case_agrees_in_single_precision
                                                           : case_agrees_in_double_precision};
    }
    if (n == 0) {
        fprintf(stderr, "no case found in %s/tests/golden/cases\n", AIM_SOURCE_DIR);
        return 1;
    }
    int failed = _cmocka_run_group_tests("golden", tests, 2 * (size_t)n, NULL, NULL);
    report();
    return failed != 0;
}
