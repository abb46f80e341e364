/* SPDX-License-Identifier: MIT */
/* cases_pair.c - problems for the kernels that see positions: features of pairs, and pair gradients
 * to atoms and strain. Compiled once per precision. Sizes: 0 to 28 atoms in up to two systems, with
 * and without cell shifts. */
#include <math.h>
#include <stdio.h>

#include "problem.h"

static const int ATOMS[] = {0, 1, 2, 3, 7, 13, 28};
static const int SHIFTS[] = {16, 1, 7, 20, 15, 33, 17};
enum { SIZES = 2 * 7 };

static const double RC = 5.0, FIRST_SHIFT = 0.8;

typedef struct pair_size {
    int atoms, nshifts, periodic;
} pair_size;

static pair_size size_of(int size)
{
    if (size == KT_PERF)
        return (pair_size){300, 16, 0};
    return (pair_size){ATOMS[size / 2], SHIFTS[size / 2], size % 2};
}

static void build_features(kt_problem *p, int size)
{
    const pair_size s = size_of(size);
    const kt_geometry g = AIM_NAMED(kt_geometry_make)(p, s.atoms, RC, s.periodic);
    const int gp = (s.nshifts + AIM_LANES - 1) / AIM_LANES * AIM_LANES;
    const double spacing = (RC - FIRST_SHIFT) / s.nshifts, eta = 1.0 / (spacing * spacing);
    const size_t n_pairs = (size_t)g.row[s.atoms];
    real *shifts = AIM_NAMED(kt_reals)(p, (size_t)gp);
    for (int k = 0; k < s.nshifts; k++)
        shifts[k] = (real)(FIRST_SHIFT + spacing * k);
    p->args.features =
        (aim_pair_features_args){.coord = g.coord,
                                 .cell = g.cell,
                                 .system = g.system,
                                 .row = g.row,
                                 .j = g.j,
                                 .shift = s.periodic ? (const int32_t(*)[3])g.shift : NULL,
                                 .nshifts = s.nshifts,
                                 .gp = gp,
                                 .rc = RC,
                                 .eta = eta,
                                 .shifts = shifts};
    p->args.features.u = AIM_NAMED(kt_reals)(p, n_pairs * 4);
    p->args.features.gs = AIM_NAMED(kt_reals)(p, n_pairs * (size_t)gp);
    p->n = s.atoms;
    /* The rounding of d to the working precision, up to RC * epsilon, is amplified by the steepest
     * slopes of a Gaussian of width 1/sqrt(eta). */
    const double steep = sqrt(2.0 * eta), amplified = 1.0 + RC * steep;
    AIM_NAMED(kt_add_output)(p, "u", p->args.features.u, sizeof(real), g.row, 4, 1.0);
    AIM_NAMED(kt_add_output)
    (p, "gs", p->args.features.gs, sizeof(real), g.row, (size_t)gp, amplified);
    if (s.nshifts != 7) {
        p->args.features.dgs = AIM_NAMED(kt_reals)(p, n_pairs * (size_t)gp);
        AIM_NAMED(kt_add_output)
        (p, "dgs", p->args.features.dgs, sizeof(real), g.row, (size_t)gp, steep * amplified);
    }
    if (s.nshifts != 7 && s.nshifts != 15) {
        p->args.features.ddgs = AIM_NAMED(kt_reals)(p, n_pairs * (size_t)gp);
        AIM_NAMED(kt_add_output)
        (p, "ddgs", p->args.features.ddgs, sizeof(real), g.row, (size_t)gp,
         steep * steep * amplified);
    }
    p->pairs = (double)n_pairs;
    p->flops = p->pairs * 30.0 * gp;
    snprintf(p->label, sizeof p->label, "n %d G %d%s", s.atoms, s.nshifts,
             s.periodic ? " periodic" : "");
}

static kt_geometry build_gather_args(kt_problem *p, int size)
{
    const pair_size s = size_of(size);
    const kt_geometry g = AIM_NAMED(kt_geometry_make)(p, s.atoms, RC, s.periodic);
    p->args.gather = (aim_gather_args){.coord = g.coord,
                                       .cell = g.cell,
                                       .system = g.system,
                                       .offset = g.offset,
                                       .row = g.row,
                                       .reverse = g.reverse,
                                       .j = g.j,
                                       .shift = s.periodic ? (const int32_t(*)[3])g.shift : NULL};
    p->args.gather.gr = AIM_NAMED(kt_reals)(p, (size_t)g.row[s.atoms] * 3);
    p->pairs = (double)g.row[s.atoms];
    snprintf(p->label, sizeof p->label, "n %d%s", s.atoms, s.periodic ? " periodic" : "");
    return g;
}

static void build_gather(kt_problem *p, int size)
{
    const kt_geometry g = build_gather_args(p, size);
    p->n = g.n_atoms;
    p->args.gather.grad = AIM_NAMED(kt_doubles)(p, (size_t)g.n_atoms * 3);
    AIM_NAMED(kt_add_output)(p, "grad", p->args.gather.grad, sizeof(double), NULL, 3, 0);
    p->terms = 100;
    p->flops = 6.0 * p->pairs;
}

static void build_strain(kt_problem *p, int size)
{
    const kt_geometry g = build_gather_args(p, size);
    p->n = g.n_systems;
    p->args.gather.strain = AIM_NAMED(kt_doubles)(p, (size_t)g.n_systems * 9);
    AIM_NAMED(kt_add_output)
    (p, "strain", p->args.gather.strain, sizeof(double), NULL, 9, RC * sqrt(p->pairs + 1.0));
    p->terms = p->pairs;
    p->flops = 18.0 * p->pairs;
}

const kt_case AIM_NAMED(kt_pair_cases)[] = {
    {"pair_features", SIZES, build_features},
    {"pair_gather", SIZES, build_gather},
    {"pair_strain", SIZES, build_strain},
    {NULL, 0, NULL},
};
