/* SPDX-License-Identifier: MIT */
/* crystals.h - what the tests of Ewald and PME sums share: small batches of crystals with fixed
 * charges, evaluation into fresh buffers, random cells of every shape. */
#ifndef CRYSTALS_H
#define CRYSTALS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/vec3.h"
#include "point/units.h"
#include "term/term.h"

enum { MAX_ATOMS = 640, MAX_SYSTEMS = 8 };

typedef struct crystals {
    int isa; /* 0: the best of this processor, else 1 + instruction set */
    int n_systems, n;
    int32_t offset[MAX_SYSTEMS + 1], system[MAX_ATOMS], numbers[MAX_ATOMS], pbc[3 * MAX_SYSTEMS];
    double coord[3 * MAX_ATOMS], q[MAX_ATOMS], cell[9 * MAX_SYSTEMS], charge[MAX_SYSTEMS],
        mult[MAX_SYSTEMS];
    double energy[MAX_SYSTEMS], grad[3 * MAX_ATOMS], gq[MAX_ATOMS], strain[9 * MAX_SYSTEMS];
} crystals;

static inline void add_system(crystals *c, int n, const double *coord, const double *q,
                              const double *cell)
{
    const int s = c->n_systems++;
    memcpy(c->coord + 3 * c->n, coord, 3 * (size_t)n * sizeof *coord);
    memcpy(c->q + c->n, q, (size_t)n * sizeof *q);
    memcpy(c->cell + 9 * s, cell, 9 * sizeof *cell);
    for (int i = 0; i < n; i++) {
        c->system[c->n + i] = s;
        c->numbers[c->n + i] = 11;
    }
    for (int d = 0; d < 3; d++)
        c->pbc[3 * s + d] = 1;
    c->n += n;
    c->offset[s + 1] = c->n;
}

typedef enum method { EWALD, PME } method;

static inline double real_cutoff(const crystals *c, int s, method m, double accuracy)
{
    const double *cell = c->cell + 9 * s;
    const int32_t n = c->offset[s + 1] - c->offset[s];
    return m == EWALD ? aim_ewald_choose(cell, n, accuracy).real_cutoff
                      : aim_pme_choose(cell, n, accuracy).real_cutoff;
}

static inline void evaluate(crystals *c, method m, double accuracy, int threads)
{
    const aim_alloc alloc = aim_alloc_default();
    const aim_batch b = {.n_atoms = c->n,
                         .n_systems = c->n_systems,
                         .offset = c->offset,
                         .system = c->system,
                         .numbers = c->numbers,
                         .coord = c->coord,
                         .cell = c->cell,
                         .pbc = c->pbc,
                         .charge = c->charge,
                         .mult = c->mult};
    double cutoff = 0;
    for (int s = 0; s < c->n_systems; s++)
        cutoff = fmax(cutoff, real_cutoff(c, s, m, accuracy));
    aim_nlist *nlist;
    aim_team *team;
    aim_pairs pairs = {0};
    aim_arena scratch = {0};
    assert_int_equal(aim_nlist_create(&alloc, &nlist), AIMNET_OK);
    assert_int_equal(aim_team_create(&alloc, threads, &team), AIMNET_OK);
    assert_int_equal(aim_nlist_build(nlist, &b, cutoff, 120, 0, team, &pairs), AIMNET_OK);
    memset(c->energy, 0, sizeof c->energy);
    memset(c->grad, 0, sizeof c->grad);
    memset(c->gq, 0, sizeof c->gq);
    memset(c->strain, 0, sizeof c->strain);
    aim_term_io io = {.batch = &b,
                      .pairs = &pairs,
                      .team = team,
                      .alloc = &alloc,
                      .scratch = &scratch,
                      .q = c->q,
                      .energy = c->energy,
                      .grad = c->grad,
                      .gq = c->gq,
                      .strain = c->strain};
    io.kernels = c->isa ? aim_term_kernels_select(c->isa - 1) : NULL;
    assert_int_equal(m == EWALD ? aim_term_coulomb_ewald(&io, accuracy)
                                : aim_term_coulomb_pme(&io, accuracy),
                     AIMNET_OK);
    aim_pairs_free(&pairs, &alloc);
    aim_arena_free(&scratch, &alloc);
    aim_nlist_free(nlist);
    aim_team_free(team);
}

static inline double unit(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53;
}

/* Ten charges that do not add up to zero, some of them outside of a triclinic cell. */
static const double TRICLINIC[9] = {6, 0.3, -0.2, 1.1, 7, 0.4, -2, 0.5, 8};
static inline void random_system(crystals *c, uint64_t seed)
{
    double x[30], q[10];
    for (int i = 0; i < 30; i++)
        x[i] = 4.0 * (i / 3 % 3) + 12.0 * unit(&seed) - 6.0;
    for (int i = 0; i < 10; i++)
        q[i] = unit(&seed) - 0.4;
    add_system(c, 10, x, q, TRICLINIC);
}

static inline void rock_salt(crystals *c, int repeat)
{
    const double a = 5.64;
    double x[3 * 64], q[64];
    int n = 0;
    for (int i = 0; i < 2 * repeat; i++)
        for (int j = 0; j < 2; j++)
            for (int k = 0; k < 2; k++, n++) {
                x[3 * n] = 0.5 * a * i;
                x[3 * n + 1] = 0.5 * a * j;
                x[3 * n + 2] = 0.5 * a * k;
                q[n] = (i + j + k) % 2 ? -1 : 1;
            }
    const double cell[9] = {a * repeat, 0, 0, 0, a, 0, 0, 0, a};
    add_system(c, n, x, q, cell);
}

/* n random atoms with at least 1 A between them, images included; Q = 0 or whatever comes. */
static inline void add_random(crystals *c, uint64_t seed, const double *cell, int n, int neutral)
{
    double x[3 * MAX_ATOMS], q[MAX_ATOMS], sum = 0;
    for (int i = 0; i < n; i++) {
        double f[3], closest;
        do {
            closest = 9.0;
            for (int d = 0; d < 3; d++)
                f[d] = unit(&seed);
            aim_vecmat3(f, cell, x + 3 * i);
            for (int k = 0; k < 27 * i; k++) {
                const double s[3] = {k % 3 - 1, k / 3 % 3 - 1, k / 9 % 3 - 1};
                double r[3];
                aim_vecmat3(s, cell, r);
                for (int d = 0; d < 3; d++)
                    r[d] += x[3 * i + d] - x[3 * (k / 27) + d];
                closest = fmin(closest, aim_dot3(r, r));
            }
        } while (closest < 1.0);
        q[i] = unit(&seed) - 0.5;
        sum += q[i];
    }
    for (int i = 0; neutral && i < n; i++)
        q[i] -= sum / n;
    add_system(c, n, x, q, cell);
}

static inline void strained(const crystals *from, int component, double e, crystals *to)
{
    *to = *from;
    const int a = component / 3, b = component % 3;
    for (int i = 0; i < from->n; i++)
        to->coord[3 * i + b] += e * from->coord[3 * i + a];
    for (int v = 0; v < 3 * from->n_systems; v++)
        to->cell[3 * v + b] += e * from->cell[3 * v + a];
}

/* Times nx ny nz. */
static inline void add_supercell(crystals *c, const crystals *of, const int times[3])
{
    double x[3 * MAX_ATOMS], q[MAX_ATOMS], cell[9];
    int n = 0;
    for (int k = 0; k < times[0] * times[1] * times[2]; k++)
        for (int i = 0; i < of->n; i++, n++) {
            const double s[3] = {k % times[0], k / times[0] % times[1], k / times[0] / times[1]};
            aim_vecmat3(s, of->cell, x + 3 * n);
            for (int d = 0; d < 3; d++)
                x[3 * n + d] += of->coord[3 * i + d];
            q[n] = of->q[i];
        }
    for (int k = 0; k < 9; k++)
        cell[k] = of->cell[k] * times[k / 3];
    add_system(c, n, x, q, cell);
}

static inline double farthest(const double *x, const double *y, int n)
{
    double most = 0;
    for (int k = 0; k < n; k++)
        most = fmax(most, fabs(x[k] - y[k]));
    return most;
}

static inline void assert_below(double x, double limit, const char *what, int k)
{
    if (!(x <= limit))
        fail_msg("%s, case %d: %.3g is not below %.3g", what, k, x, limit);
}

#endif
