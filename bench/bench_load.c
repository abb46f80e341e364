/* SPDX-License-Identifier: MIT */
/* bench_load.c - time and memory of loading a model file: bench_load MODEL [REPEATS].
 *
 * Prints the fastest and the median time of aimnet_model_load, and the peak of what it allocates
 * relative to the size of the file. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "aimnet_model.h"

enum { MAX_REPEATS = 1000, HEAD = 16 };

static size_t live, peak;

static void *count_alloc(void *user, size_t size)
{
    (void)user;
    unsigned char *block = malloc(size + HEAD);
    if (!block)
        return NULL;
    *(size_t *)(void *)block = size;
    live += size;
    peak = live > peak ? live : peak;
    return block + HEAD;
}

static void count_free(void *user, void *block)
{
    (void)user;
    if (!block)
        return;
    unsigned char *start = (unsigned char *)block - HEAD;
    live -= *(size_t *)(void *)start;
    free(start);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double times[MAX_REPEATS];
    const aimnet_allocator hooks = {count_alloc, count_free, NULL};
    const int n =
        argc > 2 && atoi(argv[2]) > 0 && atoi(argv[2]) <= MAX_REPEATS ? atoi(argv[2]) : 50;
    aimnet_model *m = NULL;
    if (argc < 2 || aimnet_model_load(argv[1], &hooks, &m) != AIMNET_OK) {
        fprintf(stderr, "usage: bench_load MODEL [REPEATS]: %s\n", aimnet_last_error());
        return 1;
    }
    const double size = (double)aimnet_model_file_size(m);
    aimnet_model_free(m);
    for (int i = 0; i < n; i++) {
        const double start = now();
        if (aimnet_model_load(argv[1], NULL, &m) != AIMNET_OK)
            return 1;
        times[i] = now() - start;
        aimnet_model_free(m);
    }
    qsort(times, (size_t)n, sizeof *times, by_value);
    printf("%s: %.1f MB, fastest %.2f ms, median %.2f ms, peak memory %.2f x the file\n", argv[1],
           size * 1e-6, 1e3 * times[0], 1e3 * times[n / 2], (double)peak / size);
    return 0;
}
