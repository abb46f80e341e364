/* SPDX-License-Identifier: MIT */
/* bench_crystal.c - time and memory of energy, forces and stress of a periodic box and of its
 * repetitions, for each Coulomb method, through the public API.
 *
 *     bench_crystal [--threads N] [--seconds S] [--coulomb dsf|ewald|pme] [--accuracy X]
 *                   [--repeat N | --repeat NxNxN] [--dispersion 0|1] [--stress 0|1]
 *                   [--precision single|double] [--device DEVICE] [--fast 0|1] [--memory GB]
 *                   MODEL FILE
 *
 * The box is the file's first frame, repeated N times along every axis. At least three timed calls
 * after one that does not count. Line:
 *     ours METHOD atoms runs minimum median energy peak      (seconds, eV, MB of the process)
 * --memory (0: what is free): most of the first GPU's; says what was estimated and what was taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "aimnet.h"
#include "aimnet_cuda.h"
#include "aimnet_io.h"

enum { MAX_RUNS = 10000, LEAST_RUNS = 3 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_crystal: %s: %s\n", what, aimnet_last_error());
    exit(1);
}

static void *must(void *p)
{
    if (!p)
        fail("memory");
    return p;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The box repeated along every axis, image by image. */
static aimnet_system repeated(const aimnet_system *s, const int times[3])
{
    const int images = times[0] * times[1] * times[2];
    aimnet_system out = *s;
    if (times[0] < 1 || times[1] < 1 || times[2] < 1 ||
        (double)s->n_atoms * times[0] * times[1] * times[2] > INT32_MAX) {
        fprintf(stderr, "bench_crystal: --repeat: expected N or NxNxN, fewer than 2^31 atoms\n");
        exit(2);
    }
    out.n_atoms = s->n_atoms * images;
    int32_t *numbers = must(malloc((size_t)out.n_atoms * sizeof *numbers));
    double *coord = must(malloc(3 * (size_t)out.n_atoms * sizeof *coord)),
           *cell = must(malloc(9 * sizeof *cell));
    for (int k = 0; k < images; k++) {
        const int shift[3] = {k % times[0], k / times[0] % times[1], k / times[0] / times[1]};
        for (int32_t i = 0; i < s->n_atoms; i++) {
            const size_t at = (size_t)k * (size_t)s->n_atoms + (size_t)i;
            numbers[at] = s->numbers[i];
            for (int d = 0; d < 3; d++)
                coord[3 * at + (size_t)d] = s->coord[3 * i + d] + shift[0] * s->cell[d] +
                                            shift[1] * s->cell[3 + d] + shift[2] * s->cell[6 + d];
        }
    }
    for (int k = 0; k < 9; k++)
        cell[k] = s->cell[k] * times[k / 3];
    out.numbers = numbers;
    out.coord = coord;
    out.cell = cell;
    return out;
}

/* N or NxNxN */
static void read_times(const char *text, int times[3])
{
    if (sscanf(text, "%dx%dx%d", &times[0], &times[1], &times[2]) != 3)
        times[0] = times[1] = times[2] = atoi(text);
}

static double peak_megabytes(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024.0;
}

static double free_on_card(void)
{
    aimnet_cuda_card card;
    if (aimnet_cuda_get_card(0, &card))
        fail("--memory");
    return (double)card.available;
}

static void compare_memory(aimnet_calc *calc, const aimnet_system *s)
{
    size_t estimate = 0;
    aimnet_result result = {.forces = must(malloc(3 * (size_t)s->n_atoms * sizeof(double)))};
    const double before = free_on_card();
    if (aimnet_calc_memory_estimate(calc, s, 1, 1, &estimate))
        fail("estimate");
    if (aimnet_calc_eval(calc, s, 1, &result))
        fail(result.message);
    printf("memory %d atoms: estimated %.3f GB, taken %.3f GB\n", (int)s->n_atoms,
           (double)estimate * 1e-9, (before - free_on_card()) * 1e-9);
    free(result.forces);
}

static void measure(aimnet_calc *calc, const aimnet_system *s, int stress, const char *method,
                    double seconds)
{
    static double time[MAX_RUNS], tensor[9];
    int runs = 0;
    aimnet_result result = {.forces = must(malloc(3 * (size_t)s->n_atoms * sizeof(double))),
                            .stress = stress ? tensor : NULL};
    if (aimnet_calc_eval(calc, s, 1, &result))
        fail(result.message);
    for (double start = now(); runs < MAX_RUNS && (runs < LEAST_RUNS || now() - start < seconds);
         runs++) {
        const double t = now();
        if (aimnet_calc_eval(calc, s, 1, &result))
            fail(result.message);
        time[runs] = now() - t;
    }
    qsort(time, (size_t)runs, sizeof time[0], by_value);
    printf("ours %s %d %d %.6g %.6g %.15g %.1f\n", method, (int)s->n_atoms, runs, time[0],
           time[runs / 2], result.energy, peak_megabytes());
    free(result.forces);
}

int main(int argc, char **argv)
{
    static const char *const methods[] = {"simple", "dsf", "ewald", "pme"};
    aimnet_options o = aimnet_options_default();
    double seconds = 2.0;
    int at = 1, times[3] = {1, 1, 1}, stress = 1, memory = 0;
    o.coulomb = AIMNET_COULOMB_DSF;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        const char *key = argv[at] + 2, *value = argv[at + 1];
        if (strcmp(key, "threads") == 0)
            o.threads = atoi(value);
        else if (strcmp(key, "seconds") == 0)
            seconds = strtod(value, NULL);
        else if (strcmp(key, "accuracy") == 0)
            o.ewald_accuracy = strtod(value, NULL);
        else if (strcmp(key, "repeat") == 0)
            read_times(value, times);
        else if (strcmp(key, "precision") == 0)
            o.precision = strcmp(value, "double") == 0 ? AIMNET_DOUBLE : AIMNET_SINGLE;
        else if (strcmp(key, "dispersion") == 0)
            o.needs_dispersion = atoi(value);
        else if (strcmp(key, "stress") == 0)
            stress = atoi(value);
        else if (strcmp(key, "fast") == 0)
            o.fast = atoi(value);
        else if (strcmp(key, "device") == 0)
            o.device = value;
        else if (strcmp(key, "memory") == 0) {
            o.device_memory = (size_t)(1e9 * strtod(value, NULL));
            memory = 1;
        }
        for (int m = 0; strcmp(key, "coulomb") == 0 && m < 4; m++)
            if (strcmp(value, methods[m]) == 0)
                o.coulomb = (aimnet_coulomb)m;
    }
    if (argc - at != 2) {
        fprintf(stderr, "usage: bench_crystal [OPTIONS] MODEL FILE (see the file's head)\n");
        return 2;
    }
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    aimnet_reader *reader = NULL;
    aimnet_frame frame = {0};
    if (aimnet_model_load(argv[at], NULL, &model) || aimnet_calc_create(&model, 1, &o, &calc))
        fail(argv[at]);
    if (aimnet_reader_open(argv[at + 1], NULL, &reader) || aimnet_reader_next(reader, &frame))
        fail(argv[at + 1]);
    const aimnet_system one = aimnet_frame_system(&frame);
    if (!one.cell)
        fail("the file has no cell");
    const aimnet_system box = repeated(&one, times);
    if (memory)
        compare_memory(calc, &box);
    measure(calc, &box, stress, methods[o.coulomb], seconds);
    free((void *)box.numbers);
    free((void *)box.coord);
    free((void *)box.cell);
    aimnet_frame_free(&frame);
    aimnet_reader_close(reader);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return 0;
}
