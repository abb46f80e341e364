/* SPDX-License-Identifier: MIT */
/* average.c - ensemble statistics of one batch: running mean and sum of squared deviations
 * (Welford, Technometrics 1962, 4, 419), so that a single model's numbers pass through unchanged
 * and many models need no second copy. */
#include <string.h>

#include "calc/average.h"

/* An only member's numbers of atoms stay where they are, and deviate from nothing. */
static void place(aim_average *a, aim_arena *arena, size_t n, size_t systems, int members)
{
    const struct {
        double **array;
        size_t count;
        int of_atoms;
    } list[] = {{&a->energy, systems, 0},
                {&a->energy_m2, systems, 0},
                {&a->network, systems, 0},
                {&a->coulomb, systems, 0},
                {&a->dispersion, systems, 0},
                {&a->dipole, 3 * systems, 0},
                {&a->quadrupole, 6 * systems, 0},
                {&a->grad, 3 * n, 1},
                {&a->grad_m2, 3 * n, 1},
                {&a->q, n, 1},
                {&a->q_m2, n, 1},
                {&a->spin, n, 1},
                {&a->strain, 9 * systems, 0}};
    for (size_t k = 0; k < sizeof list / sizeof *list; k++)
        *list[k].array = members == 1 && list[k].of_atoms
                             ? NULL
                             : aim_take(arena, "average", list[k].count, sizeof(double));
}

size_t aim_average_bytes(size_t n_atoms, size_t n_systems, int members)
{
    aim_average a;
    aim_arena measure = {0};
    place(&a, &measure, n_atoms, n_systems, members);
    return measure.used;
}

aim_status aim_average_start(aim_average *a, const aim_alloc *alloc, const aim_batch *b,
                             int members)
{
    const size_t n = (size_t)b->n_atoms, systems = (size_t)b->n_systems,
                 bytes = aim_average_bytes(n, systems, members);
    AIM_TRY(aim_arena_reserve(&a->arena, alloc, bytes, "results"));
    place(a, &a->arena, n, systems, members);
    return AIMNET_OK;
}

/* mean += (x - mean)/k; m2 += (x - old mean)(x - new mean) */
static inline void add_one(double *mean, double *m2, double x, int k)
{
    const double d = k == 1 ? 0.0 : x - *mean;
    *mean = k == 1 ? x : *mean + d / k;
    *m2 = k == 1 ? 0.0 : *m2 + d * (x - *mean);
}

/* The same for n numbers. x NULL: nobody wants it; m2 NULL: likewise. */
static void add(double *mean, double *m2, const double *x, size_t n, int k)
{
    if (!x)
        return;
    if (k == 1) {
        memcpy(mean, x, n * sizeof *mean);
        if (m2)
            memset(m2, 0, n * sizeof *m2);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const double d = x[i] - mean[i];
        mean[i] += d / k;
        if (m2)
            m2[i] += d * (x[i] - mean[i]);
    }
}

void aim_average_add(aim_average *a, const aim_batch *b, const aim_values *v, const double *network,
                     const double *dipole, const double *quadrupole, const double *strain, int k)
{
    const size_t n = (size_t)b->n_atoms, systems = (size_t)b->n_systems;
    for (size_t s = 0; s < systems; s++) {
        const double total = network[s] + v->coulomb[s] + v->dispersion[s];
        add_one(a->energy + s, a->energy_m2 + s, total, k);
    }
    add(a->network, NULL, network, systems, k);
    add(a->coulomb, NULL, v->coulomb, systems, k);
    add(a->dispersion, NULL, v->dispersion, systems, k);
    add(a->dipole, NULL, dipole, 3 * systems, k);
    add(a->quadrupole, NULL, quadrupole, 6 * systems, k);
    add(a->strain, NULL, strain, 9 * systems, k);
    if (!a->grad_m2) {
        a->grad = v->grad;
        a->q = v->q;
        a->spin = v->spin;
        return;
    }
    add(a->grad, a->grad_m2, v->grad, 3 * n, k);
    add(a->q, a->q_m2, v->q, n, k);
    add(a->spin, NULL, v->spin, n, k);
}
