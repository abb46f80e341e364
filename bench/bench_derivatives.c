/* SPDX-License-Identifier: MIT */
/* bench_derivatives.c - time of Hessians, Hessian-vector products and gradients of a training loss
 * through the public API; bench/peer.py derivatives does the same with the reference.
 *
 *     bench_derivatives [--threads N] [--seconds S] [--precision single|double] [--device DEVICE]
 *                       [--no-hessian] [--check] [--coulomb METHOD] NAME MODEL WORK=FILE...
 *
 * NAME labels the model; MODEL is a file or `default`. A file with one structure gives an evaluation
 * with forces, a product with one direction, and the dense Hessian; one with several gives the loss
 * of all of them (energies, forces, charges with weights 1, 0.2, 0.05; all targets zero) and its
 * gradient by every parameter. Everything is repeated for S seconds and at least three times, slow
 * things once. JSON Lines with times in seconds; `check` is the norm of the result. --check: `error`
 * is the largest difference from the CPU in double precision; of a gradient relative to its largest
 * number. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "aimnet.h"
#include "aimnet_deriv.h"
#include "aimnet_io.h"

enum { MAX_FRAMES = 1024, MAX_RUNS = 10000, LEAST_RUNS = 3 };
static const double SLOW = 5.0; /* s: one run is enough */

typedef struct workload {
    aimnet_calc *calc, *exact; /* exact: NULL or on the CPU in double */
    const char *model, *precision;
    char name[64];
    int n;
    int64_t atoms, n_gradient;
    aimnet_frame frame[MAX_FRAMES];
    aimnet_system system[MAX_FRAMES];
    aimnet_result result[MAX_FRAMES];
    aimnet_target target[MAX_FRAMES];
    double *forces, *zeros, *v, *out; /* [atoms][3] twice, [3 atoms], result of the work */
} workload;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_derivatives: %s: %s\n", what, aimnet_last_error());
    exit(1);
}

static double *doubles(int64_t n)
{
    double *x = calloc((size_t)(n > 0 ? n : 1), sizeof *x);
    if (!x)
        fail("memory");
    return x;
}

static void workload_read(workload *w, const char *path)
{
    aimnet_reader *reader = NULL;
    aimnet_status status = aimnet_reader_open(path, NULL, &reader);
    for (w->n = 0, w->atoms = 0; !status && w->n < MAX_FRAMES;) {
        memset(&w->frame[w->n], 0, sizeof w->frame[0]);
        status = aimnet_reader_next(reader, &w->frame[w->n]);
        if (status)
            break;
        w->system[w->n] = aimnet_frame_system(&w->frame[w->n]);
        w->atoms += w->system[w->n++].n_atoms;
    }
    if (w->n == 0 || (status && status != AIMNET_ERR_END))
        fail(path);
    aimnet_reader_close(reader);
    w->forces = doubles(3 * w->atoms);
    w->zeros = doubles(3 * w->atoms);
    w->v = doubles(3 * w->atoms);
    for (int64_t k = 0; k < 3 * w->atoms; k++)
        w->v[k] = cos((double)(k + 1));
    int64_t first = 0;
    for (int s = 0; s < w->n; first += w->system[s++].n_atoms) {
        w->result[s] = (aimnet_result){.forces = w->forces + 3 * first};
        w->target[s] = (aimnet_target){.forces = w->zeros, .charges = w->zeros};
    }
}

static void workload_clear(workload *w)
{
    for (int s = 0; s < w->n; s++)
        aimnet_frame_free(&w->frame[s]);
    free(w->forces);
    free(w->zeros);
    free(w->v);
}

static double norm(const double *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t k = 0; k < n; k++)
        sum += x[k] * x[k];
    return sqrt(sum);
}

/* The kinds of work; all but forces leave their result in `out`. */
static void run_forces(workload *w)
{
    if (aimnet_calc_eval(w->calc, w->system, w->n, w->result))
        fail(w->name);
}

static void run_product(workload *w)
{
    const aimnet_hvp job = {.n_directions = 1, .v = w->v, .hv = w->out};
    if (aimnet_calc_hvp(w->calc, w->system, &job))
        fail(w->name);
}

static void run_hessian(workload *w)
{
    aimnet_result r = {.hessian = w->out};
    if (aimnet_calc_eval(w->calc, w->system, 1, &r))
        fail(w->name);
}

static void run_gradient(workload *w)
{
    const aimnet_loss_weights weights = {.energy = 1.0, .forces = 0.2, .charges = 0.05};
    double loss;
    if (aimnet_calc_loss(w->calc, w->system, w->target, w->n, &weights, &loss, NULL, w->out))
        fail(w->name);
}

/* The same on the other calculator. */
static double error_of(workload *w, void (*run)(workload *), int64_t size)
{
    double *const out = w->out;
    aimnet_calc *const calc = w->calc;
    double worst = 0.0, largest = 0.0;
    w->calc = w->exact;
    w->out = doubles(size);
    run(w);
    for (int64_t k = 0; k < size; k++) {
        worst = fmax(worst, fabs(out[k] - w->out[k]));
        largest = fmax(largest, fabs(w->out[k]));
    }
    free(w->out);
    w->calc = calc;
    w->out = out;
    return run == run_gradient ? worst / largest : worst;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(workload *w, const char *what, void (*run)(workload *), int64_t size,
                    double seconds)
{
    static double time[MAX_RUNS];
    struct rusage usage;
    int runs = 0;
    w->out = doubles(size);
    double begin = now();
    run(w);
    const double first = now() - begin;
    if (first > SLOW)
        time[runs++] = first;
    for (begin = now();
         first <= SLOW && runs < MAX_RUNS && (runs < LEAST_RUNS || now() - begin < seconds);
         runs++) {
        const double t = now();
        run(w);
        time[runs] = now() - t;
    }
    const double check = size > 0 ? norm(w->out, size) : norm(w->forces, 3 * w->atoms);
    qsort(time, (size_t)runs, sizeof time[0], by_value);
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "{\"side\": \"ours\", \"model\": \"%s\", \"precision\": \"%s\", \"what\": \"%s\", "
        "\"name\": \"%s\", \"structures\": %d, \"atoms\": %lld, \"runs\": %d, \"minimum\": %.6g, "
        "\"median\": %.6g, \"check\": %.9g, \"peak_mb\": %.0f",
        w->model, w->precision, what, w->name, w->n, (long long)w->atoms, runs, time[0],
        time[runs / 2], check, (double)usage.ru_maxrss / 1024.0);
    if (w->exact && size > 0)
        printf(", \"error\": %.3g", error_of(w, run, size));
    puts("}");
    fflush(stdout);
    free(w->out);
}

static aimnet_coulomb method_of(const char *name)
{
    static const char *const NAMES[] = {"simple", "dsf", "ewald", "pme"};
    static const aimnet_coulomb METHODS[] = {AIMNET_COULOMB_SIMPLE, AIMNET_COULOMB_DSF,
                                             AIMNET_COULOMB_EWALD, AIMNET_COULOMB_PME};
    for (int k = 0; k < 4; k++)
        if (strcmp(name, NAMES[k]) == 0)
            return METHODS[k];
    fail(name);
    return METHODS[0];
}

int main(int argc, char **argv)
{
    static workload w;
    aimnet_options options = aimnet_options_default();
    double seconds = 2.0;
    int at = 1, hessian = 1, check = 0;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        const char *value = at + 1 < argc ? argv[at + 1] : "";
        if (strcmp(argv[at], "--no-hessian") == 0)
            hessian = 0, at--;
        else if (strcmp(argv[at], "--check") == 0)
            check = 1, at--;
        else if (strcmp(argv[at], "--device") == 0)
            options.device = value;
        else if (strcmp(argv[at], "--threads") == 0)
            options.threads = atoi(value);
        else if (strcmp(argv[at], "--seconds") == 0)
            seconds = strtod(value, NULL);
        else if (strcmp(argv[at], "--precision") == 0)
            options.precision = strcmp(value, "double") == 0 ? AIMNET_DOUBLE : AIMNET_SINGLE;
        else if (strcmp(argv[at], "--coulomb") == 0)
            options.coulomb = method_of(value);
        else
            at = argc;
    }
    if (argc - at < 3) {
        fprintf(stderr, "usage: bench_derivatives [--threads N] [--seconds S] [--precision "
                        "single|double] [--device DEVICE] [--no-hessian] [--check] "
                        "[--coulomb METHOD] NAME MODEL WORK=FILE...\n");
        return 2;
    }
    aimnet_model *model = NULL;
    const char *path = strcmp(argv[at + 1], "default") == 0 ? NULL : argv[at + 1];
    if (aimnet_model_load(path, NULL, &model) || aimnet_calc_create(&model, 1, &options, &w.calc) ||
        aimnet_calc_parameter_count(w.calc, NULL, &w.n_gradient))
        fail(argv[at + 1]);
    aimnet_options exact = options;
    exact.device = "cpu";
    exact.precision = AIMNET_DOUBLE;
    if (check && aimnet_calc_create(&model, 1, &exact, &w.exact))
        fail(argv[at + 1]);
    w.model = argv[at];
    w.precision = options.precision == AIMNET_DOUBLE ? "double" : "single";
    for (at += 2; at < argc; at++) {
        const char *file = strchr(argv[at], '=');
        if (!file || (size_t)(file - argv[at]) >= sizeof w.name)
            fail(argv[at]);
        snprintf(w.name, sizeof w.name, "%.*s", (int)(file - argv[at]), argv[at]);
        workload_read(&w, file + 1);
        measure(&w, "forces", run_forces, 0, seconds);
        if (w.n == 1)
            measure(&w, "product", run_product, 3 * w.atoms, seconds);
        if (w.n == 1 && hessian)
            measure(&w, "hessian", run_hessian, 9 * w.atoms * w.atoms, seconds);
        if (w.n > 1)
            measure(&w, "gradient", run_gradient, w.n_gradient, seconds);
        workload_clear(&w);
    }
    aimnet_calc_free(w.calc);
    aimnet_calc_free(w.exact);
    aimnet_model_free(model);
    return 0;
}
