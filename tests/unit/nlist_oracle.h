/* SPDX-License-Identifier: MIT */
/* nlist_oracle.h - what the neighbour list tests share: random systems of every kind, batches of
 * them, and a brute force list.
 *
 * The brute force takes every pair of atoms and enumerates explicitly all images whose fractional
 * distance along each periodic direction allows a distance below the cutoff, for the positions as
 * given, in long double. It shares no code with the library. */
#ifndef NLIST_ORACLE_H
#define NLIST_ORACLE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "nlist/lists.h"

/* ---------------------------------------------------------------- random numbers: splitmix64 */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}
static inline double uniform(uint64_t *state, double low, double high)
{
    return low + (high - low) * (double)(next_random(state) >> 11) * 0x1p-53;
}
static inline int32_t pick(uint64_t *state, int32_t n)
{
    return (int32_t)(next_random(state) % (uint64_t)n);
}

/* ---------------------------------------------------------------- batches that tests can grow */
typedef struct test_batch {
    aim_batch b;
    int32_t *offset, *system, *numbers, *pbc, *origin;
    double *coord, *cell, *charge, *mult;
} test_batch;

static inline void *regrow(void *old, size_t n, size_t size)
{
    void *p = realloc(old, n * size + 1);
    if (!p)
        abort();
    return p;
}

static inline void test_batch_link(test_batch *t)
{
    t->b.offset = t->offset;
    t->b.system = t->system;
    t->b.numbers = t->numbers;
    t->b.coord = t->coord;
    t->b.cell = t->cell;
    t->b.pbc = t->pbc;
    t->b.charge = t->charge;
    t->b.mult = t->mult;
    t->b.origin = t->origin;
}

/* Appends a system of n atoms; cell NULL: none. */
static inline void test_batch_add(test_batch *t, int32_t n, const double *coord, const double *cell,
                                  const int32_t *pbc)
{
    const int32_t s = t->b.n_systems++, a = t->b.n_atoms;
    const size_t atoms = (size_t)(a + n), systems = (size_t)s + 1;
    t->b.n_atoms += n;
    t->offset = regrow(t->offset, systems + 1, sizeof *t->offset);
    t->system = regrow(t->system, atoms, sizeof *t->system);
    t->numbers = regrow(t->numbers, atoms, sizeof *t->numbers);
    t->origin = regrow(t->origin, atoms, sizeof *t->origin);
    t->coord = regrow(t->coord, 3 * atoms, sizeof *t->coord);
    t->pbc = regrow(t->pbc, 3 * systems, sizeof *t->pbc);
    t->cell = regrow(t->cell, 9 * systems, sizeof *t->cell);
    t->charge = regrow(t->charge, systems, sizeof *t->charge);
    t->mult = regrow(t->mult, systems, sizeof *t->mult);
    t->offset[s] = a;
    t->offset[s + 1] = a + n;
    for (int32_t k = 0; k < n; k++) {
        t->system[a + k] = s;
        t->numbers[a + k] = 1;
        t->origin[a + k] = k;
    }
    if (n)
        memcpy(t->coord + 3 * (size_t)a, coord, 3 * (size_t)n * sizeof *coord);
    for (int k = 0; k < 9; k++)
        t->cell[9 * (size_t)s + (size_t)k] = cell ? cell[k] : 0.0;
    for (int d = 0; d < 3; d++)
        t->pbc[3 * (size_t)s + (size_t)d] = cell && pbc ? pbc[d] : 0;
    t->charge[s] = 0.0;
    t->mult[s] = 1.0;
    test_batch_link(t);
}

static inline void test_batch_free(test_batch *t)
{
    void *blocks[] = {t->offset, t->system, t->numbers, t->origin, t->coord,
                      t->pbc,    t->cell,   t->charge,  t->mult};
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++)
        free(blocks[k]);
    memset(t, 0, sizeof *t);
}

/* ---------------------------------------------------------------- kinds of systems */
enum {
    KIND_MOLECULE,
    KIND_CUBIC,
    KIND_TRICLINIC,
    KIND_SKEWED,
    KIND_LEFT,
    KIND_TINY,
    KIND_MIXED,
    KIND_SLAB_NO_CELL_VECTOR,
    KIND_OUTSIDE,
    KIND_HUGE_BOX,
    KIND_OVERLAP,
    KIND_LATTICE,
    KIND_CHAIN,
    N_KINDS
};

static const char *const kind_names[N_KINDS] = {
    "molecule",          "cubic",
    "triclinic",         "very skewed",
    "left-handed",       "smaller than the cutoff",
    "mixed periodicity", "zero vector along an open axis",
    "atoms far outside", "one molecule in 265 A",
    "overlapping atoms", "lattice points",
    "long chain"};

typedef struct sample {
    int32_t n, pbc[3];
    double cell[9], coord[3 * 400], cutoff;
    int has_cell;
} sample;

static inline void random_cell(uint64_t *r, double low, double high, double skew, double *cell)
{
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < 3; d++)
            cell[3 * i + d] = i == d ? uniform(r, low, high) : skew * uniform(r, -high, high);
}

static inline double cell_volume(const double *h)
{
    return h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) +
           h[2] * (h[3] * h[7] - h[4] * h[6]);
}

static inline void place_in_cell(uint64_t *r, sample *s, double low, double high)
{
    for (int32_t a = 0; a < s->n; a++) {
        double f[3];
        for (int d = 0; d < 3; d++)
            f[d] = uniform(r, low, high);
        for (int d = 0; d < 3; d++)
            s->coord[3 * a + d] = f[0] * s->cell[d] + f[1] * s->cell[3 + d] + f[2] * s->cell[6 + d];
    }
}

static inline void place_in_box(uint64_t *r, sample *s, double length)
{
    for (int32_t a = 0; a < 3 * s->n; a++)
        s->coord[a] = uniform(r, -0.5 * length, 0.5 * length);
}

static inline void make_sample(uint64_t *r, int kind, sample *s)
{
    memset(s, 0, sizeof *s);
    s->n = 1 + pick(r, 60);
    s->cutoff = uniform(r, 2.0, 6.0);
    s->has_cell = 1;
    s->pbc[0] = s->pbc[1] = s->pbc[2] = 1;
    do
        random_cell(r, 4.0, 12.0, 0.3, s->cell);
    while (fabs(cell_volume(s->cell)) < 60.0);
    switch (kind) {
    case KIND_MOLECULE:
    case KIND_CHAIN:
        s->has_cell = s->pbc[0] = s->pbc[1] = s->pbc[2] = 0;
        memset(s->cell, 0, sizeof s->cell);
        s->n = 1 + pick(r, 400);
        place_in_box(r, s, 4.0 + 2.2 * cbrt((double)s->n));
        for (int32_t a = 0; kind == KIND_CHAIN && a < s->n; a++)
            s->coord[3 * a] += 1.5 * a * (pick(r, 9) == 0 ? 1e3 : 1.0);
        return;
    case KIND_CUBIC:
        s->n = 1 + pick(r, 300);
        random_cell(r, 5.0, 16.0, 0.0, s->cell);
        break;
    case KIND_SKEWED:
        for (int d = 0; d < 3; d++) {
            s->cell[3 + d] += floor(uniform(r, -12.0, 12.0)) * s->cell[d];
            s->cell[6 + d] += floor(uniform(r, -9.0, 9.0)) * s->cell[d] +
                              floor(uniform(r, -9.0, 9.0)) * s->cell[3 + d];
        }
        break;
    case KIND_LEFT:
        for (int d = 0; d < 3; d++) {
            const double v = s->cell[d];
            s->cell[d] = s->cell[3 + d];
            s->cell[3 + d] = v;
        }
        break;
    case KIND_TINY:
        s->n = 1 + pick(r, 4);
        do
            random_cell(r, 1.2, 4.0, 0.4, s->cell);
        while (fabs(cell_volume(s->cell)) < 4.0);
        s->cutoff = uniform(r, 4.0, 9.0);
        break;
    case KIND_MIXED:
        for (int d = 0; d < 3; d++)
            s->pbc[d] = pick(r, 2);
        break;
    case KIND_SLAB_NO_CELL_VECTOR: {
        const int open = pick(r, 3);
        s->n = 1 + pick(r, 200);
        place_in_cell(r, s, -0.5, 1.5);
        s->pbc[open] = 0;
        memset(s->cell + 3 * open, 0, 3 * sizeof *s->cell);
        return;
    }
    case KIND_OUTSIDE:
        place_in_cell(r, s, 0.0, 1.0);
        for (int32_t a = 0; a < s->n; a++)
            for (int k = 0; k < 3; k++) {
                const double whole = floor(uniform(r, -1000.0, 1000.0));
                for (int d = 0; d < 3; d++)
                    s->coord[3 * a + d] += whole * s->cell[3 * k + d];
            }
        return;
    case KIND_HUGE_BOX:
        random_cell(r, 265.0, 265.0, 0.0, s->cell);
        place_in_box(r, s, 10.0);
        return;
    case KIND_OVERLAP:
        place_in_cell(r, s, 0.0, 1.0);
        for (int32_t a = 1; a < s->n; a++)
            if (pick(r, 2))
                memcpy(s->coord + 3 * a, s->coord, 3 * sizeof *s->coord);
        return;
    case KIND_LATTICE: /* many pairs exactly at the same distances, atoms exactly on the faces of
                          the cell */
        random_cell(r, 6.0, 6.0, 0.0, s->cell);
        s->n = 27;
        for (int32_t a = 0; a < 27; a++) {
            s->coord[3 * a] = 2.0 * (a % 3);
            s->coord[3 * a + 1] = 2.0 * (a / 3 % 3) - 6.0;
            s->coord[3 * a + 2] = 2.0 * (a / 9) + 12.0;
        }
        s->cutoff = 4.0; /* exact: pairs at 4 are out, by the definition d < cutoff */
        return;
    default:
        break;
    }
    place_in_cell(r, s, -0.3, 1.3);
}

/* ---------------------------------------------------------------- brute force */
typedef struct brute_pair {
    int32_t i, j, s[3];
} brute_pair;

typedef struct brute_list {
    brute_pair *pair;
    int64_t n, capacity;
    int ambiguous; /* a pair lies within 1e-9 A of the cutoff, but not exactly on it */
} brute_list;

static inline int compare_brute(const void *a, const void *b)
{
    const int32_t *u = (const int32_t *)a, *v = (const int32_t *)b;
    for (int k = 0; k < 5; k++)
        if (u[k] != v[k])
            return u[k] < v[k] ? -1 : 1;
    return 0;
}

/* Inverse of the p x p Gram matrix of the periodic vectors, by Gauss-Jordan elimination. */
static inline void inverse_gram(int p, double v[3][3], double inverse[3][3])
{
    double m[3][6] = {{0}};
    for (int i = 0; i < p; i++) {
        for (int j = 0; j < p; j++)
            m[i][j] = v[i][0] * v[j][0] + v[i][1] * v[j][1] + v[i][2] * v[j][2];
        m[i][p + i] = 1.0;
    }
    for (int k = 0; k < p; k++)
        for (int i = 0; i < p; i++) {
            const double f = i == k ? 0.0 : m[i][k] / m[k][k];
            for (int j = 0; i != k && j < 2 * p; j++)
                m[i][j] -= f * m[k][j];
        }
    for (int i = 0; i < p; i++)
        for (int j = 0; j < p; j++)
            inverse[i][j] = m[i][p + j] / m[i][i];
}

static inline void brute_try(brute_list *l, const sample *s, int32_t i, int32_t j, const int32_t *m)
{
    long double d2 = 0.0L;
    if (i == j && !(m[0] | m[1] | m[2]))
        return;
    for (int d = 0; d < 3; d++) {
        const long double image = (long double)m[0] * s->cell[d] +
                                  (long double)m[1] * s->cell[3 + d] +
                                  (long double)m[2] * s->cell[6 + d];
        const long double x = (long double)s->coord[3 * j + d] - s->coord[3 * i + d] + image;
        d2 += x * x;
    }
    const long double d = sqrtl(d2);
    l->ambiguous |= d != (long double)s->cutoff && fabsl(d - (long double)s->cutoff) < 1e-9L;
    if (d >= (long double)s->cutoff)
        return;
    if (l->n == l->capacity) {
        l->capacity = 2 * l->capacity + 64;
        l->pair = regrow(l->pair, (size_t)l->capacity, sizeof *l->pair);
    }
    l->pair[l->n++] = (brute_pair){i, j, {m[0], m[1], m[2]}};
}

/* All images of j whose fractional distance along every periodic direction allows a distance below
 * the cutoff. */
static inline void brute_images(brute_list *l, const sample *s, int32_t i, int32_t j, int p,
                                const int *axis, double v[3][3], double inverse[3][3])
{
    int32_t low[3] = {0, 0, 0}, high[3] = {0, 0, 0}, m[3];
    for (int a = 0; a < p; a++) {
        double f = 0.0;
        for (int c = 0; c < p; c++)
            for (int d = 0; d < 3; d++)
                f += (s->coord[3 * j + d] - s->coord[3 * i + d]) * v[c][d] * inverse[c][a];
        const double reach = s->cutoff * sqrt(inverse[a][a]) + 1e-6;
        low[axis[a]] = (int32_t)ceil(-f - reach);
        high[axis[a]] = (int32_t)floor(-f + reach);
    }
    for (m[0] = low[0]; m[0] <= high[0]; m[0]++)
        for (m[1] = low[1]; m[1] <= high[1]; m[1]++)
            for (m[2] = low[2]; m[2] <= high[2]; m[2]++)
                brute_try(l, s, i, j, m);
}

static inline void brute_force(const sample *s, brute_list *l)
{
    int p = 0, axis[3] = {0, 0, 0};
    double v[3][3] = {{0}}, inverse[3][3] = {{0}};
    l->n = 0;
    l->ambiguous = 0;
    for (int d = 0; s->has_cell && d < 3; d++)
        if (s->pbc[d]) {
            memcpy(v[p], s->cell + 3 * d, sizeof v[p]);
            axis[p++] = d;
        }
    inverse_gram(p, v, inverse);
    for (int32_t i = 0; i < s->n; i++)
        for (int32_t j = 0; j < s->n; j++)
            brute_images(l, s, i, j, p, axis, v, inverse);
    if (l->n)
        qsort(l->pair, (size_t)l->n, sizeof *l->pair, compare_brute);
}

/* Whether the rows of system `sys` of the list are exactly the pairs of the brute force. */
static inline int same_as_brute(const aim_pairs *l, const aim_batch *b, int32_t sys,
                                const brute_list *brute)
{
    const int32_t first = b->offset[sys], end = b->offset[sys + 1];
    int64_t k = 0;
    if (l->row[end] - l->row[first] != brute->n)
        return 0;
    for (int32_t i = first; i < end; i++)
        for (int64_t p = l->row[i]; p < l->row[i + 1]; p++, k++) {
            const brute_pair *q = brute->pair + k;
            if (q->i != i - first || q->j != l->j[p] - first)
                return 0;
            for (int d = 0; d < 3; d++)
                if (q->s[d] != (l->shift ? l->shift[p][d] : 0))
                    return 0;
        }
    return 1;
}

#endif
