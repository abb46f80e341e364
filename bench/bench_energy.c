/* SPDX-License-Identifier: MIT */
/* bench_energy.c - time of energy + forces through the public API, in the format of
 * bench/peer.py.
 *
 *     bench_energy [--threads N] [--seconds S] [--precision single|double] [--device DEVICE]
 *                  [--fast 0|1] MODEL NAME=FILE...
 *
 * Every workload is one call over all frames of the file, repeated for S seconds and at least
 * five times after two calls that do not count. Lines:
 *     ours NAME structures atoms runs minimum median energy      (seconds, eV)
 *     work NAME flop neighbours pairs_15A                        (the counts per atom)
 * Operation counts of the architecture aimnet2_dftd3_wb97m, FLOP = 2 x multiply-add: 8.465 M per
 * atom for the layers forward and backward, 17,152 per directed neighbour within 5 A for the
 * convolutions, 350 for its radial functions, 0.386 M per atom for projections and activations,
 * 350 per undirected pair within 15 A for D3 and Coulomb. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aimnet.h"
#include "aimnet_io.h"
#include "aimnet_nlist.h"

enum { MAX_FRAMES = 4096, MAX_RUNS = 100000, WARM_UP = 2, LEAST_RUNS = 5 };

typedef struct workload {
    int n;
    int64_t atoms;
    aimnet_frame frame[MAX_FRAMES];
    aimnet_system system[MAX_FRAMES];
    aimnet_result result[MAX_FRAMES];
} workload;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_energy: %s: %s\n", what, aimnet_last_error());
    exit(1);
}

static void workload_read(workload *w, const char *path)
{
    aimnet_reader *reader = NULL;
    aimnet_status status = aimnet_reader_open(path, NULL, &reader);
    w->n = 0;
    w->atoms = 0;
    while (!status && w->n < MAX_FRAMES) {
        memset(&w->frame[w->n], 0, sizeof w->frame[0]);
        status = aimnet_reader_next(reader, &w->frame[w->n]);
        if (!status) {
            aimnet_system *s = &w->system[w->n];
            *s = aimnet_frame_system(&w->frame[w->n]);
            s->charge = 0.0;
            w->result[w->n] =
                (aimnet_result){.forces = calloc((size_t)s->n_atoms * 3, sizeof(double))};
            w->atoms += s->n_atoms;
            w->n++;
        }
    }
    if (status != AIMNET_ERR_END || w->n == 0)
        fail(path);
    aimnet_reader_close(reader);
}

static void workload_clear(workload *w)
{
    for (int i = 0; i < w->n; i++) {
        aimnet_frame_free(&w->frame[i]);
        free(w->result[i].forces);
    }
}

/* Directed neighbours within 5 A and undirected pairs within 15 A, of all frames without their cells. */
static void count_pairs(const workload *w, double *neighbours, double *pairs)
{
    static const double cutoffs[2] = {5.0, 15.0};
    aimnet_nlist *list = NULL;
    *neighbours = *pairs = 0.0;
    if (aimnet_nlist_create(NULL, &list))
        fail("lists");
    for (int f = 0; f < w->n; f++) {
        const aimnet_atoms atoms = {
            .n_atoms = w->system[f].n_atoms, .n_systems = 1, .coord = w->system[f].coord};
        aimnet_pairs near, far;
        if (aimnet_nlist_build(list, &atoms, cutoffs, 2) || aimnet_nlist_csr(list, 0, &near) ||
            aimnet_nlist_csr(list, 1, &far))
            fail("lists");
        *neighbours += (double)near.row[atoms.n_atoms];
        *pairs += 0.5 * (double)far.row[atoms.n_atoms];
    }
    aimnet_nlist_free(list);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(aimnet_calc *calc, workload *w, const char *name, double seconds)
{
    static double time[MAX_RUNS];
    int runs = 0;
    double energy = 0.0, neighbours, pairs, atoms = (double)w->atoms;
    for (int i = 0; i < WARM_UP; i++)
        if (aimnet_calc_eval(calc, w->system, w->n, w->result))
            fail(name);
    for (double start = now(); runs < MAX_RUNS && (runs < LEAST_RUNS || now() - start < seconds);
         runs++) {
        double t = now();
        if (aimnet_calc_eval(calc, w->system, w->n, w->result))
            fail(name);
        time[runs] = now() - t;
    }
    for (int i = 0; i < w->n; i++)
        energy += w->result[i].energy;
    qsort(time, (size_t)runs, sizeof time[0], by_value);
    printf("ours %s %d %lld %d %.6g %.6g %.15g\n", name, w->n, (long long)w->atoms, runs, time[0],
           time[runs / 2], energy);
    count_pairs(w, &neighbours, &pairs);
    printf("work %s %.6g %.4g %.4g\n", name,
           atoms * (8.465e6 + 0.386e6) + neighbours * (17152.0 + 350.0) + pairs * 350.0,
           neighbours / atoms, pairs / atoms);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static workload w;
    aimnet_options options = aimnet_options_default();
    double seconds = 2.0;
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--threads") == 0)
            options.threads = atoi(argv[at + 1]);
        else if (strcmp(argv[at], "--seconds") == 0)
            seconds = strtod(argv[at + 1], NULL);
        else if (strcmp(argv[at], "--precision") == 0)
            options.precision = strcmp(argv[at + 1], "double") == 0 ? AIMNET_DOUBLE : AIMNET_SINGLE;
        else if (strcmp(argv[at], "--device") == 0)
            options.device = argv[at + 1];
        else if (strcmp(argv[at], "--fast") == 0)
            options.fast = atoi(argv[at + 1]);
        else
            break;
    }
    if (argc - at < 2) {
        fprintf(stderr, "usage: bench_energy [--threads N] [--seconds S] [--precision "
                        "single|double] [--device DEVICE] [--fast 0|1] MODEL NAME=FILE...\n");
        return 2;
    }
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    if (aimnet_model_load(argv[at], NULL, &model) || aimnet_calc_create(&model, 1, &options, &calc))
        fail(argv[at]);
    for (at++; at < argc; at++) {
        char name[64] = "";
        const char *path = strchr(argv[at], '=');
        if (!path || (size_t)(path - argv[at]) >= sizeof name)
            fail(argv[at]);
        memcpy(name, argv[at], (size_t)(path - argv[at]));
        workload_read(&w, path + 1);
        measure(calc, &w, name, seconds);
        workload_clear(&w);
    }
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return 0;
}
