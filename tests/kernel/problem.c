/* SPDX-License-Identifier: MIT */
/* problem.c - memory, random numbers and random geometries of the kernel tests (compiled once per
 * precision). */
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <malloc.h>

static void *aligned_block(size_t bytes)
{
    return _aligned_malloc(bytes, 64);
}

static void free_block(void *block)
{
    _aligned_free(block);
}
#else
static void *aligned_block(size_t bytes)
{
    void *block;
    return posix_memalign(&block, 64, bytes) == 0 ? block : NULL;
}

static void free_block(void *block)
{
    free(block);
}
#endif

void AIM_NAMED(kt_open)(kt_problem *p, const aim_kernels *k, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    p->k = k;
    p->random = seed;
    p->terms = 1;
}

void AIM_NAMED(kt_close)(kt_problem *p)
{
    for (int i = 0; i < p->n_blocks; i++)
        free_block(p->block[i]);
    p->n_blocks = 0;
}

void AIM_NAMED(kt_call)(const kt_problem *p, int kernel, int64_t first, int64_t last)
{
    switch (kernel) {
#define KERNEL(name, type)                                                                         \
    case KT_##name:                                                                                \
        p->k->name((const type *)(const void *)&p->args, first, last);                             \
        break;
#include "backend/kernels.def"
#undef KERNEL
    default:
        break;
    }
}

/* splitmix64 */
static uint64_t next(kt_problem *p)
{
    uint64_t z = p->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

double AIM_NAMED(kt_uniform)(kt_problem *p)
{
    return (double)(next(p) >> 11) * 0x1p-52 - 1.0;
}

int AIM_NAMED(kt_below)(kt_problem *p, int n)
{
    return (int)(next(p) % (uint64_t)n);
}

void *AIM_NAMED(kt_block)(kt_problem *p, size_t count, size_t size)
{
    const size_t bytes = count * size;
    void *block = p->n_blocks < KT_BLOCKS ? aligned_block(bytes ? bytes : 1) : NULL;
    if (!block) {
        fprintf(stderr, "test_kernels: no memory for %zu bytes\n", bytes);
        exit(2);
    }
    memset(block, 0, bytes);
    p->block[p->n_blocks++] = block;
    return block;
}

real *AIM_NAMED(kt_reals)(kt_problem *p, size_t count)
{
    real *x = AIM_NAMED(kt_block)(p, count, sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = (real)AIM_NAMED(kt_uniform)(p);
    return x;
}

double *AIM_NAMED(kt_doubles)(kt_problem *p, size_t count)
{
    double *x = AIM_NAMED(kt_block)(p, count, sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = AIM_NAMED(kt_uniform)(p);
    return x;
}

void AIM_NAMED(kt_add_output)(kt_problem *p, const char *name, void *data, size_t element,
                              const int64_t *span, size_t width, double scale)
{
    int64_t *own = AIM_NAMED(kt_block)(p, (size_t)p->n + 1, sizeof *own);
    for (int64_t i = 0; i <= p->n; i++)
        own[i] = (span ? span[i] : i) * (int64_t)width;
    const size_t bytes = (size_t)own[p->n] * element;
    void *initial = AIM_NAMED(kt_block)(p, bytes, 1);
    memcpy(initial, data, bytes);
    p->out[p->n_out++] = (kt_output){name, data, initial, element, own, width, {width}, scale};
}

static const double TRICLINIC[9] = {6.1, 0.0, 0.0, 1.3, 5.7, 0.0, -0.9, 0.8, 6.6};

/* Atom i of a system on a grid of 1.9 Angstrom, moved by up to 0.3: no two atoms come closer
 * than 1.3 (images may: they are at least 1 away). */
static void place_atom(kt_problem *p, int i, double r[3])
{
    const int cell[3] = {i % 3, i / 3 % 3, i / 9};
    for (int d = 0; d < 3; d++)
        r[d] = 1.9 * cell[d] + 0.3 * AIM_NAMED(kt_uniform)(p);
}

static void pair_vector(const kt_geometry *g, int i, int j, const int32_t shift[3], double r[3])
{
    const double *cell = g->cell + 9 * (size_t)g->system[i];
    for (int d = 0; d < 3; d++)
        r[d] = g->coord[3 * j + d] - g->coord[3 * i + d] + shift[0] * cell[d] +
               shift[1] * cell[3 + d] + shift[2] * cell[6 + d];
}

/* Calls for every pair in list order; the first time (j NULL) only counts. */
static int64_t list_pairs(kt_geometry *g, double rc, int reach, int store)
{
    int64_t p = 0;
    for (int i = 0; i < g->n_atoms; i++) {
        g->row[i] = p;
        for (int j = g->offset[g->system[i]]; j < g->offset[g->system[i] + 1]; j++)
            for (int32_t code = 0, side = 2 * reach + 1; code < side * side * side; code++) {
                const int32_t s[3] = {code / (side * side) - reach, code / side % side - reach,
                                      code % side - reach};
                double r[3];
                pair_vector(g, i, j, s, r);
                const double d2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
                if (d2 >= rc * rc || (i == j && !s[0] && !s[1] && !s[2]))
                    continue;
                if (store) {
                    g->j[p] = j;
                    memcpy(g->shift[p], s, sizeof s);
                }
                p++;
            }
    }
    g->row[g->n_atoms] = p;
    return p;
}

static void find_reverse(kt_geometry *g)
{
    for (int i = 0; i < g->n_atoms; i++)
        for (int64_t p = g->row[i]; p < g->row[i + 1]; p++)
            for (int64_t q = g->row[g->j[p]]; q < g->row[g->j[p] + 1]; q++)
                if (g->j[q] == i && g->shift[q][0] == -g->shift[p][0] &&
                    g->shift[q][1] == -g->shift[p][1] && g->shift[q][2] == -g->shift[p][2])
                    g->reverse[p] = q;
}

kt_geometry AIM_NAMED(kt_geometry_make)(kt_problem *p, int n_atoms, double rc, int periodic)
{
    kt_geometry g = {.n_atoms = n_atoms, .n_systems = 3};
    const size_t n = (size_t)n_atoms;
    const int cut =
        n_atoms * 2 / 3; /* system 0: two thirds, system 1: nothing, system 2: the rest */
    const int32_t offset[4] = {0, cut, cut, n_atoms};
    g.coord = AIM_NAMED(kt_block)(p, 3 * n, sizeof *g.coord);
    g.cell = AIM_NAMED(kt_block)(p, 27, sizeof *g.cell);
    g.system = AIM_NAMED(kt_block)(p, n, sizeof *g.system);
    g.offset = AIM_NAMED(kt_block)(p, 4, sizeof *g.offset);
    g.system_row = AIM_NAMED(kt_block)(p, 4, sizeof *g.system_row);
    g.row = AIM_NAMED(kt_block)(p, n + 1, sizeof *g.row);
    memcpy(g.offset, offset, sizeof offset);
    for (int s = 0; s < 4; s++)
        g.system_row[s] = offset[s];
    for (int i = 0; i < n_atoms; i++) {
        g.system[i] = i < cut ? 0 : 2;
        place_atom(p, i - offset[g.system[i]], g.coord + 3 * i);
    }
    for (int k = 0; k < 27 && periodic; k++)
        g.cell[k] = TRICLINIC[k % 9] * (k < 18 ? 1.0 : 1.2);
    const int64_t n_pairs = list_pairs(&g, rc, periodic ? 2 : 0, 0);
    g.j = AIM_NAMED(kt_block)(p, (size_t)n_pairs, sizeof *g.j);
    g.shift = AIM_NAMED(kt_block)(p, (size_t)n_pairs, sizeof *g.shift);
    g.reverse = AIM_NAMED(kt_block)(p, (size_t)n_pairs, sizeof *g.reverse);
    list_pairs(&g, rc, periodic ? 2 : 0, 1);
    find_reverse(&g);
    return g;
}
