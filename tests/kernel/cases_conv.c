/* SPDX-License-Identifier: MIT */
/* cases_conv.c - problems for the convolution kernels: random neighbours and random numbers instead
 * of geometries (compiled once per precision).
 *
 * Rows are 0 to 11 long with one of 70; a neighbour may repeat and may be the atom itself. Shifts
 * beyond nshifts are zero as in real lists. Leading dimensions are odd, so that nothing relies on
 * the alignment of rows. */
#include <stdio.h>
#include <string.h>

#include "problem.h"

enum { SPECIES = 5 };

typedef struct conv_size {
    int n, nf, nshifts, ncomb;
} conv_size;

static const int ATOMS[] = {0, 1, 2, 7, 13, 23};
static const int SHIFTS[] = {16, 1, 7, 20, 15, 33, 17};
static const int COMBINATIONS[] = {12, 1, 5, 16, 17, 24, 3, 40};
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* sizes 0 .. 16: F = 1 .. 17; 17 .. 22: the published network's shape with every number of atoms */
enum { FEATURES = 17, SIZES = KT_CONV_SIZES };

static conv_size size_of(int size, int plain)
{
    if (size == KT_PERF)
        return (conv_size){1000, plain ? 1 : 16, 16, 12};
    if (size < FEATURES)
        return (conv_size){ATOMS[(size + 3) % COUNT(ATOMS)], size + 1, SHIFTS[size % COUNT(SHIFTS)],
                           COMBINATIONS[size % COUNT(COMBINATIONS)]};
    return (conv_size){ATOMS[size - FEATURES], plain ? 1 + size % 2 : 16, 16, 12};
}

static int round_up(int n, int multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

static void clear_padding(real *x, size_t rows, int used, int width)
{
    for (size_t r = 0; r < rows; r++)
        memset(x + r * (size_t)width + used, 0, (size_t)(width - used) * sizeof *x);
}

/* Rows of a random list; returns the number of pairs. */
static int64_t random_rows(kt_problem *p, aim_conv_args *a, conv_size s, int perf)
{
    int64_t *row = AIM_NAMED(kt_block)(p, (size_t)s.n + 1, sizeof *row);
    for (int i = 0; i < s.n; i++) {
        const int length = perf     ? 45 + AIM_NAMED(kt_below)(p, 31)
                           : i == 5 ? 70
                                    : AIM_NAMED(kt_below)(p, 12);
        row[i + 1] = row[i] + length;
    }
    const int64_t n_pairs = row[s.n];
    int32_t *j = AIM_NAMED(kt_block)(p, (size_t)n_pairs, sizeof *j);
    for (int64_t k = 0; k < n_pairs; k++)
        j[k] = AIM_NAMED(kt_below)(p, s.n);
    a->row = row;
    a->j = j;
    return n_pairs;
}

static void random_projection(kt_problem *p, aim_conv_args *a, conv_size s)
{
    const size_t nf = (size_t)s.nf, gp = (size_t)a->gp, hp = (size_t)a->hp;
    real *agh = AIM_NAMED(kt_block)(p, nf * gp * hp, sizeof *agh),
         *agh_t = AIM_NAMED(kt_block)(p, nf * gp * hp, sizeof *agh);
    for (size_t f = 0; f < nf; f++)
        for (size_t g = 0; g < (size_t)s.nshifts; g++)
            for (size_t h = 0; h < (size_t)s.ncomb; h++) {
                agh[(f * gp + g) * hp + h] = (real)AIM_NAMED(kt_uniform)(p);
                agh_t[(f * hp + h) * gp + g] = agh[(f * gp + g) * hp + h];
            }
    a->agh = agh;
    a->agh_t = agh_t;
}

/* Everything that any convolution kernel reads. */
void AIM_NAMED(kt_conv_inputs)(kt_problem *p, aim_conv_args *a, int size, int plain)
{
    const conv_size s = size_of(size, plain);
    *a = (aim_conv_args){.nf = s.nf,
                         .gp = round_up(s.nshifts, AIM_LANES),
                         .ncomb = s.ncomb,
                         .hp = round_up(s.ncomb, AIM_LANES)};
    const int64_t n_pairs = random_rows(p, a, s, size == KT_PERF);
    const size_t n = (size_t)s.n, np = (size_t)n_pairs, gp = (size_t)a->gp, nf = (size_t)s.nf,
                 feature = nf * gp;
    real *gs = AIM_NAMED(kt_reals)(p, np * gp), *dgs = AIM_NAMED(kt_reals)(p, np * gp);
    clear_padding(gs, np, s.nshifts, a->gp);
    clear_padding(dgs, np, s.nshifts, a->gp);
    a->u = AIM_NAMED(kt_reals)(p, np * 4);
    a->gs = gs;
    a->dgs = dgs;
    random_projection(p, a, s);
    a->lda = (plain ? nf : feature) + 3;
    a->a = AIM_NAMED(kt_reals)(p, n * a->lda);
    a->emb = AIM_NAMED(kt_reals)(p, SPECIES * feature);
    int32_t *species = AIM_NAMED(kt_block)(p, n, sizeof *species);
    for (size_t i = 0; i < n; i++)
        species[i] = AIM_NAMED(kt_below)(p, SPECIES);
    a->species = species;
    a->n_species = SPECIES;
    a->scratch = AIM_NAMED(kt_block)(p, aim_conv_scratch(a->gp, s.nf, SPECIES, 75), sizeof(real));
    p->n = s.n;
    p->pairs = (double)n_pairs;
    p->terms = (double)s.nf * a->gp;
    snprintf(p->label, sizeof p->label, "n %d F %d G %d H %d", s.n, s.nf, s.nshifts, s.ncomb);
}

static conv_size build_inputs(kt_problem *p, int size, int plain)
{
    AIM_NAMED(kt_conv_inputs)(p, &p->args.conv, size, plain);
    return size_of(size, plain);
}

static void build_forward(kt_problem *p, int size, int plain)
{
    const conv_size s = build_inputs(p, size, plain);
    aim_conv_args *a = &p->args.conv;
    const size_t n = (size_t)s.n, width = (size_t)(s.nf * a->gp + s.nf * s.ncomb) + 5;
    real *x = AIM_NAMED(kt_reals)(p, n * width);
    const size_t v_width = (size_t)(3 * s.nf * a->hp);
    a->ldx = width;
    a->xs = x;
    a->xv = x + s.nf * a->gp;
    a->v = AIM_NAMED(kt_reals)(p, n * v_width);
    AIM_NAMED(kt_add_output)(p, "xs xv", x, sizeof *x, NULL, width, 0);
    const size_t parts[KT_PARTS] = {(size_t)(s.nf * a->gp), width - 5, width};
    memcpy(p->out[0].part, parts, sizeof parts);
    AIM_NAMED(kt_add_output)(p, "v", a->v, sizeof *x, NULL, v_width, 0);
    if (size % 3 == 1) { /* S is kept */
        const size_t s_width = (size_t)(4 * s.nf * a->gp);
        a->s = AIM_NAMED(kt_reals)(p, n * s_width);
        AIM_NAMED(kt_add_output)(p, "S", a->s, sizeof *x, NULL, s_width, 0);
    }
    p->flops = 8.0 * p->pairs * s.nf * a->gp + 6.0 * s.n * s.nf * a->gp * s.ncomb;
}

static void build_fwd(kt_problem *p, int size)
{
    build_forward(p, size, 0);
}
static void build_plain_fwd(kt_problem *p, int size)
{
    build_forward(p, size, 1);
}
static void build_embed_fwd(kt_problem *p, int size)
{
    build_forward(p, size, 0);
    const aim_conv_args *a = &p->args.conv;
    p->flops =
        8.0 * p->pairs * a->gp + (8.0 * SPECIES + 6.0 * a->ncomb) * (double)p->n * a->nf * a->gp;
}

static void build_project_bwd(kt_problem *p, int size)
{
    const conv_size s = build_inputs(p, size, 0);
    aim_conv_args *a = &p->args.conv;
    const size_t n = (size_t)s.n, scalars = (size_t)(s.nf * a->gp),
                 width = scalars + (size_t)(s.nf * s.ncomb) + 5;
    const real *gx = AIM_NAMED(kt_reals)(p, n * width);
    a->ldgx = width;
    a->gxs = gx;
    a->gxv = gx + scalars;
    a->v = AIM_NAMED(kt_reals)(p, n * (size_t)(3 * s.nf * a->hp));
    a->gs_adj = AIM_NAMED(kt_reals)(p, n * 4 * scalars);
    AIM_NAMED(kt_add_output)(p, "gS", a->gs_adj, sizeof *gx, NULL, 4 * scalars, 0);
    p->flops = 6.0 * s.n * s.nf * a->gp * s.ncomb;
}

static void build_bwd_pair(kt_problem *p, int size, int plain)
{
    const conv_size s = build_inputs(p, size, plain);
    aim_conv_args *a = &p->args.conv;
    a->gs_adj = AIM_NAMED(kt_reals)(p, (size_t)s.n * 4 * (size_t)(s.nf * a->gp));
    a->gr = AIM_NAMED(kt_reals)(p, (size_t)p->pairs * 3);
    AIM_NAMED(kt_add_output)(p, "gr", a->gr, sizeof *a->gr, a->row, 3, 0);
    if (size % 3 == 1) { /* sums are stored for tangents */
        a->ddgs = AIM_NAMED(kt_reals)(p, (size_t)p->pairs * (size_t)a->gp);
        a->sums = AIM_NAMED(kt_reals)(p, (size_t)p->pairs * AIM_PAIR_SUMS);
        AIM_NAMED(kt_add_output)(p, "sums", a->sums, sizeof *a->sums, a->row, AIM_PAIR_SUMS, 0);
    }
    p->flops = p->pairs * (8.0 * s.nf * a->gp + 14.0 * a->gp);
}

static void build_full_bwd_pair(kt_problem *p, int size)
{
    build_bwd_pair(p, size, 0);
}
static void build_plain_bwd_pair(kt_problem *p, int size)
{
    build_bwd_pair(p, size, 1);
}
static void build_embed_bwd_pair(kt_problem *p, int size)
{
    build_bwd_pair(p, size, 0);
    const aim_conv_args *a = &p->args.conv;
    p->flops = p->pairs * 14.0 * a->gp + 8.0 * SPECIES * (double)p->n * a->nf * a->gp;
}

static void build_bwd_feature(kt_problem *p, int size, int plain)
{
    const conv_size s = build_inputs(p, size, plain);
    aim_conv_args *a = &p->args.conv;
    a->gs_adj = AIM_NAMED(kt_reals)(p, (size_t)s.n * 4 * (size_t)(s.nf * a->gp));
    a->ldga = (size_t)(plain ? s.nf : s.nf * a->gp) + 3;
    a->ga = AIM_NAMED(kt_reals)(p, (size_t)s.n * a->ldga);
    AIM_NAMED(kt_add_output)(p, "ga", a->ga, sizeof *a->ga, NULL, a->ldga, 0);
    p->terms = 4.0 * 70 * (plain ? a->gp : 1);
    p->flops = p->pairs * 8.0 * s.nf * a->gp;
}

static void build_full_bwd_feature(kt_problem *p, int size)
{
    build_bwd_feature(p, size, 0);
}
static void build_plain_bwd_feature(kt_problem *p, int size)
{
    build_bwd_feature(p, size, 1);
}

const kt_case AIM_NAMED(kt_conv_cases)[] = {
    {"conv_embed_fwd", SIZES, build_embed_fwd},
    {"conv_fwd", SIZES, build_fwd},
    {"conv_plain_fwd", SIZES, build_plain_fwd},
    {"conv_project_bwd", SIZES, build_project_bwd},
    {"conv_embed_bwd_pair", SIZES, build_embed_bwd_pair},
    {"conv_bwd_pair", SIZES, build_full_bwd_pair},
    {"conv_plain_bwd_pair", SIZES, build_plain_bwd_pair},
    {"conv_bwd_feature", SIZES, build_full_bwd_feature},
    {"conv_plain_bwd_feature", SIZES, build_plain_bwd_feature},
    {NULL, 0, NULL},
};
