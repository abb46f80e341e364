/* SPDX-License-Identifier: MIT */
/* bench_opt.c - time of geometry optimisations through the public API, without the start of a
 * process.
 *
 *     bench_opt [--device DEVICE] [--precision single|double] [--level loose|normal|tight]
 *               [--on-host 0|1] [--threads N] [--batch-atoms N] [--no-graph 0|1] [--seconds S]
 *               MODEL NAME=FILE...
 *
 * MODEL "default" is the one that is linked in. All structures of a file go through one pool, which
 * is refilled up to a batch's atoms; the whole is repeated for S seconds and at least three times
 * after one run that does not count. Lines:
 *     opt NAME structures converged gradients runs minimum median      (seconds) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aimnet_io.h"
#include "aimnet_opt.h"

enum { MAX_FRAMES = 16384, MAX_RUNS = 10000, LEAST_RUNS = 3 };

typedef struct bench {
    aimnet_calc *calc;
    aimnet_opt_options options;
    int64_t batch_atoms;
    double seconds;
    int n;
    aimnet_frame frame[MAX_FRAMES];
    int64_t gradients;
    int converged;
} bench;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_opt: %s: %s\n", what, aimnet_last_error());
    exit(1);
}

static void read_frames(bench *b, const char *path)
{
    aimnet_reader *reader = NULL;
    aimnet_status status = aimnet_reader_open(path, NULL, &reader);
    for (b->n = 0; !status && b->n < MAX_FRAMES; b->n += !status) {
        memset(&b->frame[b->n], 0, sizeof b->frame[0]);
        status = aimnet_reader_next(reader, &b->frame[b->n]);
    }
    if ((status && status != AIMNET_ERR_END) || b->n == 0)
        fail(path);
    aimnet_reader_close(reader);
}

static void optimise(bench *b)
{
    static int slot[MAX_FRAMES];
    static unsigned char in[MAX_FRAMES];
    aimnet_opt *opt = NULL;
    int64_t atoms = 0;
    b->gradients = b->converged = 0;
    memset(in, 0, sizeof in);
    if (aimnet_opt_create(b->calc, &b->options, &opt))
        fail("a pool");
    for (int next = 0, first = 0; first < b->n;) {
        for (; next < b->n && atoms < b->batch_atoms; next++) {
            const aimnet_system s = aimnet_frame_system(&b->frame[next]);
            if (aimnet_opt_add(opt, &s, NULL, &slot[next]))
                fail("a structure");
            in[next] = 1;
            atoms += s.n_atoms;
        }
        if (aimnet_opt_advance(opt, NULL))
            fail("a step");
        for (int k = first; k < next; k++) {
            aimnet_opt_state s;
            if (!in[k] || aimnet_opt_peek(opt, slot[k], &s) || s.verdict == AIMNET_OPT_RUNNING)
                continue;
            if (aimnet_opt_get(opt, slot[k], &s))
                fail("a result");
            b->gradients += s.n_evaluations;
            b->converged += s.verdict == AIMNET_OPT_CONVERGED;
            atoms -= s.n_atoms;
            in[k] = 0;
            aimnet_opt_remove(opt, slot[k]);
        }
        while (first < next && !in[first])
            first++;
    }
    aimnet_opt_free(opt);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(bench *b, const char *name)
{
    static double time[MAX_RUNS];
    int runs = 0;
    optimise(b);
    for (double start = now(); runs < MAX_RUNS && (runs < LEAST_RUNS || now() - start < b->seconds);
         runs++) {
        const double t = now();
        optimise(b);
        time[runs] = now() - t;
    }
    qsort(time, (size_t)runs, sizeof time[0], by_value);
    printf("opt %s %d %d %lld %d %.6g %.6g\n", name, b->n, b->converged, (long long)b->gradients,
           runs, time[0], time[runs / 2]);
    fflush(stdout);
}

static int set(bench *b, aimnet_options *o, const char *key, const char *value)
{
    static const char *const levels[] = {"loose", "normal", "tight"};
    if (strcmp(key, "--device") == 0)
        o->device = value;
    else if (strcmp(key, "--precision") == 0)
        o->precision = strcmp(value, "double") == 0 ? AIMNET_DOUBLE : AIMNET_SINGLE;
    else if (strcmp(key, "--threads") == 0)
        o->threads = atoi(value);
    else if (strcmp(key, "--no-graph") == 0)
        o->no_graph = atoi(value);
    else if (strcmp(key, "--on-host") == 0)
        b->options.on_host = atoi(value);
    else if (strcmp(key, "--batch-atoms") == 0)
        b->batch_atoms = atoll(value);
    else if (strcmp(key, "--seconds") == 0)
        b->seconds = strtod(value, NULL);
    else if (strcmp(key, "--level") == 0)
        for (int k = 0; k < 3; k++)
            if (strcmp(value, levels[k]) == 0)
                return aimnet_opt_set_level(&b->options, (aimnet_opt_level)k) == AIMNET_OK;
    return strcmp(key, "--level") != 0;
}

int main(int argc, char **argv)
{
    static bench b;
    aimnet_options options = aimnet_options_default();
    aimnet_model *model = NULL;
    int at = 1;
    b.options = aimnet_opt_options_default();
    b.batch_atoms = 20000;
    b.seconds = 2.0;
    while (at + 1 < argc && strncmp(argv[at], "--", 2) == 0 &&
           set(&b, &options, argv[at], argv[at + 1]))
        at += 2;
    if (argc - at < 2) {
        fprintf(stderr, "usage: bench_opt [--device DEVICE] [--precision single|double] [--level "
                        "loose|normal|tight] [--on-host 0|1] [--threads N] [--batch-atoms N] "
                        "[--no-graph 0|1] [--seconds S] MODEL NAME=FILE...\n");
        return 2;
    }
    const char *path = strcmp(argv[at], "default") == 0 ? NULL : argv[at];
    if (aimnet_model_load(path, NULL, &model) || aimnet_calc_create(&model, 1, &options, &b.calc))
        fail(argv[at]);
    for (at++; at < argc; at++) {
        char name[64];
        const char *file = strchr(argv[at], '=');
        if (!file || (size_t)(file - argv[at]) >= sizeof name)
            fail(argv[at]);
        snprintf(name, sizeof name, "%.*s", (int)(file - argv[at]), argv[at]);
        read_frames(&b, file + 1);
        measure(&b, name);
        for (int k = 0; k < b.n; k++)
            aimnet_frame_free(&b.frame[k]);
    }
    aimnet_calc_free(b.calc);
    aimnet_model_free(model);
    return 0;
}
