/* SPDX-License-Identifier: MIT */
/* bench_derivatives.c - time of second derivatives through the public API.
 *
 *     bench_derivatives [--threads N] [--seconds S] [--precision single|double] [--device DEVICE] [--check] MODEL NAME=FILE...
 *
 * Of the first frame of each file the dense Hessian, with energy and forces, and a Hessian-vector
 * product; of all its frames the gradient of the loss by all parameters (energies, forces, charges;
 * targets 0). Repeated for S seconds and at least five times after two calls that do not count:
 *     hessian|product|gradient NAME structures atoms runs minimum median [error]      (seconds)
 * --check: largest difference of a Hessian from the CPU's in double precision, eV/A^2; of a gradient
 * relative to its largest number. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aimnet_deriv.h"
#include "aimnet_io.h"

enum { MAX_FRAMES = 1024, MAX_RUNS = 100000, WARM_UP = 2, LEAST_RUNS = 5 };

typedef struct workload {
    int n;
    size_t atoms;
    aimnet_frame frame[MAX_FRAMES];
    aimnet_system system[MAX_FRAMES];
    aimnet_target target[MAX_FRAMES];
    double *zero;
} workload;

typedef struct bench {
    aimnet_calc *calc, *check; /* check: NULL or on the CPU in double */
    double seconds;
} bench;

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

static double *numbers(size_t n)
{
    double *x = calloc(n, sizeof *x);
    if (!x)
        fail("memory");
    return x;
}

static void workload_read(workload *w, const char *path)
{
    aimnet_reader *reader = NULL;
    aimnet_status status = aimnet_reader_open(path, NULL, &reader);
    size_t most = 0;
    w->n = 0;
    w->atoms = 0;
    while (!status && w->n < MAX_FRAMES) {
        memset(&w->frame[w->n], 0, sizeof w->frame[0]);
        status = aimnet_reader_next(reader, &w->frame[w->n]);
        if (!status) {
            w->system[w->n] = aimnet_frame_system(&w->frame[w->n]);
            const size_t n = (size_t)w->system[w->n++].n_atoms;
            w->atoms += n;
            most = n > most ? n : most;
        }
    }
    if ((status && status != AIMNET_ERR_END) || w->n == 0)
        fail(path);
    aimnet_reader_close(reader);
    w->zero = numbers(3 * most);
    for (int k = 0; k < w->n; k++)
        w->target[k] = (aimnet_target){.forces = w->zero, .charges = w->zero};
}

static void workload_clear(workload *w)
{
    for (int k = 0; k < w->n; k++)
        aimnet_frame_free(&w->frame[k]);
    free(w->zero);
}

/* What is measured: writes `out`. */
typedef void work_fn(aimnet_calc *calc, const workload *w, double *out);

static void hessian(aimnet_calc *calc, const workload *w, double *out)
{
    aimnet_result r = {.hessian = out, .forces = w->zero};
    if (aimnet_calc_eval(calc, w->system, 1, &r))
        fail(r.message[0] ? r.message : "a Hessian");
    memset(w->zero, 0, 3 * (size_t)w->system[0].n_atoms * sizeof(double));
}

static void product(aimnet_calc *calc, const workload *w, double *out)
{
    const size_t n = 3 * (size_t)w->system[0].n_atoms;
    double *v = numbers(n);
    for (size_t k = 0; k < n; k++)
        v[k] = sin((double)(k + 1));
    const aimnet_hvp job = {.n_directions = 1, .v = v, .hv = out};
    if (aimnet_calc_hvp(calc, w->system, &job))
        fail("a product");
    free(v);
}

static void gradient(aimnet_calc *calc, const workload *w, double *out)
{
    const aimnet_loss_weights weights = {.energy = 1.0, .forces = 0.2, .charges = 0.05};
    double loss;
    if (aimnet_calc_loss(calc, w->system, w->target, w->n, &weights, &loss, NULL, out))
        fail("a gradient");
}

static double difference(const double *a, const double *b, size_t n, int relative)
{
    double most = 0, largest = relative ? 0 : 1;
    for (size_t k = 0; k < n; k++) {
        most = fmax(most, fabs(a[k] - b[k]));
        largest = relative ? fmax(largest, fabs(b[k])) : largest;
    }
    return most / largest;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const bench *b, const workload *w, const char *word, const char *name,
                    work_fn *work, size_t size, int structures, size_t atoms)
{
    static double time[MAX_RUNS];
    double *out = numbers(size), *expected = numbers(size);
    int runs = 0;
    for (int k = 0; k < WARM_UP; k++)
        work(b->calc, w, out);
    for (double start = now(); runs < MAX_RUNS && (runs < LEAST_RUNS || now() - start < b->seconds);
         runs++) {
        const double t = now();
        work(b->calc, w, out);
        time[runs] = now() - t;
    }
    qsort(time, (size_t)runs, sizeof time[0], by_value);
    printf("%s %s %d %zu %d %.6g %.6g", word, name, structures, atoms, runs, time[0],
           time[runs / 2]);
    if (b->check) {
        work(b->check, w, expected);
        printf(" %.3g", difference(out, expected, size, work == gradient));
    }
    printf("\n");
    fflush(stdout);
    free(out);
    free(expected);
}

static void measure_all(const bench *b, const workload *w, const char *name)
{
    const size_t n = 3 * (size_t)w->system[0].n_atoms;
    int tensors;
    int64_t parameters;
    measure(b, w, "hessian", name, hessian, n * n, 1, n / 3);
    measure(b, w, "product", name, product, n, 1, n / 3);
    if (aimnet_calc_parameter_count(b->calc, &tensors, &parameters))
        fail("parameters");
    measure(b, w, "gradient", name, gradient, (size_t)parameters, w->n, w->atoms);
}

int main(int argc, char **argv)
{
    static workload w;
    aimnet_options options = aimnet_options_default();
    bench b = {.seconds = 2.0};
    int at = 1, check = 0;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        const char *word = argv[at], *value = at + 1 < argc ? argv[at + 1] : "";
        at += strcmp(word, "--check") != 0;
        if (strcmp(word, "--check") == 0)
            check = 1;
        else if (strcmp(word, "--threads") == 0)
            options.threads = atoi(value);
        else if (strcmp(word, "--seconds") == 0)
            b.seconds = strtod(value, NULL);
        else if (strcmp(word, "--precision") == 0)
            options.precision = strcmp(value, "double") == 0 ? AIMNET_DOUBLE : AIMNET_SINGLE;
        else if (strcmp(word, "--device") == 0)
            options.device = value;
    }
    if (argc - at < 2) {
        fprintf(stderr, "usage: bench_derivatives [--threads N] [--seconds S] [--precision "
                        "single|double] [--device DEVICE] [--check] MODEL NAME=FILE...\n");
        return 2;
    }
    aimnet_model *model = NULL;
    if (aimnet_model_load(argv[at], NULL, &model) ||
        aimnet_calc_create(&model, 1, &options, &b.calc))
        fail(argv[at]);
    options.device = "cpu";
    options.precision = AIMNET_DOUBLE;
    if (check && aimnet_calc_create(&model, 1, &options, &b.check))
        fail(argv[at]);
    for (at++; at < argc; at++) {
        char name[64] = "";
        const char *path = strchr(argv[at], '=');
        if (!path || (size_t)(path - argv[at]) >= sizeof name)
            fail(argv[at]);
        memcpy(name, argv[at], (size_t)(path - argv[at]));
        workload_read(&w, path + 1);
        measure_all(&b, &w, name);
        workload_clear(&w);
    }
    aimnet_calc_free(b.calc);
    aimnet_calc_free(b.check);
    aimnet_model_free(model);
    return 0;
}
