/* SPDX-License-Identifier: MIT */
/* bench_nlist.c - time and memory of neighbour lists over system size, side by side with vesin if
 * its library is given.
 *
 *     bench_nlist [--vesin LIBVESIN.SO] [--cutoff A] [--threads N] [--least ATOMS] [--most ATOMS]
 *                 [--molecules]
 *
 * Systems: random atoms at the density of water (0.1 atoms/A^3) in a periodic cube, 100 to 10^6
 * atoms; with --molecules batches of non-periodic drops instead. Each figure is the fastest of
 * repeated builds; the two programs take turns, so that both see the same machine. Ours gives
 * sorted rows with shifts; vesin is timed as it comes (unsorted) and with its option `sorted`. Both
 * keep their memory between calls. Bytes: most memory held by our builder and its lists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "aimnet_nlist.h"

static const double DENSITY = 0.1;     /* atoms/A^3 */
static const double MIN_SECONDS = 1.0; /* per system and program */
enum { LEAST_RUNS = 3 };

/* ---------------------------------------------------------------- vesin 0.6 as C sees it */
typedef struct vesin_device {
    int kind, index;
} vesin_device;
typedef struct vesin_options {
    double cutoff;
    bool full, sorted;
    int algorithm;
    double skin;
    int32_t n_threads;
    bool return_shifts, return_distances, return_vectors;
} vesin_options;
typedef struct vesin_list {
    size_t length;
    vesin_device device;
    size_t (*pairs)[2];
    int32_t (*shifts)[3];
    double *distances;
    double (*vectors)[3];
    void *opaque;
} vesin_list;
typedef int (*vesin_neighbors_fn)(const double (*points)[3], size_t n, const double box[3][3],
                                  const bool periodic[3], vesin_device device,
                                  vesin_options options, vesin_list *list, const char **message);
typedef void (*vesin_free_fn)(vesin_list *list);

typedef struct settings {
    double cutoff;
    int threads, molecules;
    int64_t least, most;
    vesin_neighbors_fn vesin;
    vesin_free_fn vesin_free;
} settings;

typedef struct problem {
    aimnet_atoms atoms;
    double *coord, cell[9];
    int32_t *mol_idx;
} problem;

/* ---------------------------------------------------------------- memory held */
typedef struct ledger {
    size_t held, most;
} ledger;

static void *ledger_alloc(void *user, size_t size)
{
    ledger *l = user;
    size_t *block = malloc(size + 16);
    if (!block)
        return NULL;
    block[0] = size;
    l->held += size;
    l->most = l->held > l->most ? l->held : l->most;
    return block + 2;
}

static void ledger_free(void *user, void *block)
{
    ledger *l = user;
    if (!block)
        return;
    size_t *start = (size_t *)block - 2;
    l->held -= start[0];
    free(start);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_nlist: %s\n", what);
    exit(1);
}

static double uniform(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static void make_problem(int32_t n_atoms, int32_t n_systems, int periodic, problem *p)
{
    uint64_t state = 1;
    const int32_t size = n_atoms / n_systems;
    const double length = cbrt(size / DENSITY);
    memset(p, 0, sizeof *p);
    p->coord = malloc(3 * (size_t)n_atoms * sizeof *p->coord);
    if (!p->coord)
        fail("out of memory");
    for (int64_t k = 0; k < 3 * (int64_t)n_atoms; k++)
        p->coord[k] = length * uniform(&state);
    p->cell[0] = p->cell[4] = p->cell[8] = length;
    p->atoms = (aimnet_atoms){.n_atoms = n_atoms,
                              .n_systems = n_systems,
                              .coord = p->coord,
                              .n_cells = periodic,
                              .cell = p->cell};
}

/* ---------------------------------------------------------------- one run of each */
static double run_ours(aimnet_nlist *nlist, const problem *p, double cutoff)
{
    const double start = now();
    if (aimnet_nlist_build(nlist, &p->atoms, &cutoff, 1) != AIMNET_OK)
        fail(aimnet_last_error());
    return now() - start;
}

static double run_vesin(const settings *s, const problem *p, bool sorted, vesin_list *list)
{
    const bool periodic[3] = {true, true, true};
    const vesin_options o = {.cutoff = s->cutoff,
                             .full = true,
                             .sorted = sorted,
                             .n_threads = s->threads,
                             .return_shifts = true};
    const char *message = NULL;
    double box[3][3];
    memcpy(box, p->cell, sizeof box);
    const double start = now();
    if (s->vesin((const double(*)[3])(const void *)p->coord, (size_t)p->atoms.n_atoms,
                 (const double(*)[3])box, periodic, (vesin_device){1, 0}, o, list, &message) != 0)
        fail(message);
    return now() - start;
}

static void compare(const settings *s, int32_t n_atoms, int32_t n_systems)
{
    problem p;
    ledger memory = {0, 0};
    const aimnet_allocator allocator = {ledger_alloc, ledger_free, &memory};
    aimnet_nlist_options o = aimnet_nlist_options_default();
    o.threads = s->threads;
    o.allocator = &allocator;
    aimnet_nlist *nlist;
    aimnet_pairs pairs;
    vesin_list lists[2];
    memset(lists, 0, sizeof lists);
    make_problem(n_atoms, n_systems, !s->molecules, &p);
    if (aimnet_nlist_create(&o, &nlist) != AIMNET_OK)
        fail(aimnet_last_error());
    double ours = HUGE_VAL, theirs[2] = {HUGE_VAL, HUGE_VAL}, spent = 0.0;
    const double first = run_ours(nlist, &p, s->cutoff);
    for (int k = 0; k < LEAST_RUNS || spent < MIN_SECONDS; k++) {
        const double t = run_ours(nlist, &p, s->cutoff);
        ours = fmin(ours, t);
        spent += t;
        for (int sorted = 0; s->vesin && sorted < 2; sorted++)
            theirs[sorted] = fmin(theirs[sorted], run_vesin(s, &p, sorted, &lists[sorted]));
    }
    if (aimnet_nlist_csr(nlist, 0, &pairs) != AIMNET_OK)
        fail(aimnet_last_error());
    if (s->vesin && (int64_t)lists[1].length != pairs.n_pairs)
        fail("vesin has another number of pairs");
    printf("%9d %6d %11lld %11.4f %11.4f %9.3f %8.2f %8.0f", n_atoms, n_systems,
           (long long)pairs.n_pairs, 1e3 * first, 1e3 * ours, 1e6 * ours / n_atoms,
           1e9 * ours / (double)(pairs.n_pairs ? pairs.n_pairs : 1), (double)memory.most / n_atoms);
    for (int sorted = 0; s->vesin && sorted < 2; sorted++) {
        printf(" %11.4f %6.1fx", 1e3 * theirs[sorted], theirs[sorted] / ours);
        s->vesin_free(&lists[sorted]);
    }
    printf("\n");
    fflush(stdout);
    aimnet_nlist_free(nlist);
    free(p.coord);
}

static void load_vesin(settings *s, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail(dlerror());
    void *neighbors = dlsym(library, "vesin_neighbors"), *release = dlsym(library, "vesin_free");
    if (!neighbors || !release)
        fail("not the vesin library");
    memcpy(&s->vesin, &neighbors, sizeof s->vesin);
    memcpy(&s->vesin_free, &release, sizeof s->vesin_free);
}

int main(int argc, char **argv)
{
    settings s = {.cutoff = 5.0, .threads = 1, .most = 1000000};
    for (int k = 1; k < argc; k++) {
        const char *value = k + 1 < argc ? argv[k + 1] : "";
        if (strcmp(argv[k], "--molecules") == 0)
            s.molecules = 1;
        else if (strcmp(argv[k], "--vesin") == 0 && ++k)
            load_vesin(&s, value);
        else if (strcmp(argv[k], "--cutoff") == 0 && ++k)
            s.cutoff = atof(value);
        else if (strcmp(argv[k], "--threads") == 0 && ++k)
            s.threads = atoi(value);
        else if (strcmp(argv[k], "--least") == 0 && ++k)
            s.least = atoll(value);
        else if (strcmp(argv[k], "--most") == 0 && ++k)
            s.most = atoll(value);
        else
            fail("usage: bench_nlist [--vesin LIBVESIN.SO] [--cutoff A] [--threads N] [--least "
                 "ATOMS] "
                 "[--most ATOMS] [--molecules]");
    }
    printf("%9s %6s %11s %11s %11s %9s %8s %8s%s\n", "atoms", "system", "pairs", "first ms", "ms",
           "us/atom", "ns/pair", "B/atom", s.vesin ? "    vesin ms  ratio   sorted ms  ratio" : "");
    if (s.molecules) {
        static const int32_t sizes[][2] = {{24, 1},   {113, 1},     {1002, 1},
                                           {240, 10}, {10240, 256}, {100000, 4000}};
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            if (sizes[k][0] <= s.most && (!s.vesin || sizes[k][1] == 1))
                compare(&s, sizes[k][0], sizes[k][1]);
        return 0;
    }
    for (int32_t n = 100; n <= s.most && n <= 10000000; n *= 10) {
        if (n >= s.least)
            compare(&s, n, 1);
        if (3 * n >= s.least && 3 * n <= s.most)
            compare(&s, 3 * n, 1);
    }
    return 0;
}
