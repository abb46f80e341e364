/* SPDX-License-Identifier: MIT */
/* net_fixture.h - a network of tests/golden/models with a batch of a molecule, a lone atom and a
 * crystal smaller than the cutoff, random adjoints, and a workspace of exactly the announced size
 * (test_net.c, test_net_tangent.c). The function E = sum gq q + gspin spin + ghead head is a
 * combination that every output enters. Pairs are kept while positions move. */
#ifndef AIM_TESTS_NET_FIXTURE_H
#define AIM_TESTS_NET_FIXTURE_H

#include "fail_alloc.h"

#include <stdio.h>

#include "backend/isa.h"
#include "net/net.h"

enum { N = 10, SYSTEMS = 3, MAX_WIDTH = 4 };

static const int32_t NUMBERS[N] = {8, 1, 6, 1, 7, 9, 6, 8, 1, 6},
                     OFFSET[SYSTEMS + 1] = {0, 5, 6, 10};
static const int32_t SYSTEM[N] = {0, 0, 0, 0, 0, 1, 2, 2, 2, 2},
                     ORIGIN[N] = {0, 1, 2, 3, 4, 0, 0, 1, 2, 3};
static const int32_t PBC[3 * SYSTEMS] = {0, 0, 0, 0, 0, 0, 1, 1, 1};
static const double CHARGE[SYSTEMS] = {0, -1, 1}, MULT[SYSTEMS] = {1, 1, 2};
static const double COORD[3 * N] = {0.1,  0.0, 0.2,  0.9,  0.3, -0.2, -0.8, 1.0, 0.4, 1.6,
                                    -1.3, 0.9, -1.2, -0.9, 1.1, 0.0,  0.0,  0.0, 0.2, 0.1,
                                    0.3,  1.4, 0.3,  0.1,  2.1, 2.2,  0.4,  0.6, 1.9, 2.4};
static const double CELL[9 * SYSTEMS] = {[18] = 3.9, 0.1, -0.2, 0.6, 4.2, 0.3, -0.4, 0.5, 4.4};

typedef struct fixture {
    aimnet_model *model;
    const aim_net_ops *ops;
    void *net;
    double coord[3 * N], cell[9 * SYSTEMS],
        strain_in[9]; /* strain_in: applied to coord and cell before every evaluation */
    double strained[3 * N], strained_cell[9 * SYSTEMS];
    aim_batch batch;
    aim_pairs pairs;
    aim_team *team;
    aim_arena arena;
    size_t need;
    aim_net_call call;
    double q[N], spin[N], head[AIM_MAX_OUTPUTS][N * MAX_WIDTH];
    double gq[N], gspin[N], ghead[AIM_MAX_OUTPUTS][N * MAX_WIDTH];
    double grad[3 * N], strain[9 * SYSTEMS];
    fail_alloc memory; /* of net and workspace */
} fixture;

static double uniform(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-52 - 1.0;
}

static void require(aimnet_status status)
{
    if (status != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
}

static void build_pairs(fixture *f)
{
    const aim_alloc alloc = aim_alloc_default();
    aim_nlist *nlist;
    require(aim_nlist_create(&alloc, &nlist));
    require(aim_nlist_build(nlist, &f->batch, f->model->cutoff, 120, 1, NULL, &f->pairs));
    aim_nlist_free(nlist);
}

static void prepare_call(fixture *f, int want_grad)
{
    uint64_t seed = 11;
    f->call = (aim_net_call){.batch = &f->batch,
                             .pairs = &f->pairs,
                             .team = f->team,
                             .arena = &f->arena,
                             .want_grad = want_grad,
                             .q = f->q,
                             .spin = f->model->n_charge == 2 ? f->spin : NULL,
                             .gq = f->gq,
                             .gspin = f->gspin,
                             .grad = f->grad,
                             .strain = f->strain};
    for (int i = 0; i < N; i++) {
        f->gq[i] = uniform(&seed);
        f->gspin[i] = f->call.spin ? uniform(&seed) : 0.0;
    }
    for (int o = 0; o < f->model->n_outputs; o++)
        if (f->model->output[o].kind == AIM_OUT_MLP) {
            const aim_mlp *mlp = &f->model->output[o].mlp;
            assert_true(mlp->layer[mlp->n_layers - 1].n_out <= MAX_WIDTH);
            f->call.head[o] = f->head[o];
            f->call.ghead[o] = f->ghead[o];
            for (int k = 0; k < N * MAX_WIDTH; k++)
                f->ghead[o][k] = uniform(&seed);
        }
}

/* A net, the batch and a workspace of exactly the announced size. */
static fixture *open_fixture(const char *name, const aim_net_ops *ops, int isa, int threads)
{
    char path[512];
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(path, sizeof path, "%s/tests/golden/models/%s.pt", AIM_SOURCE_DIR, name);
    require(aimnet_model_load(path, NULL, &f->model));
    f->ops = ops;
    fail_alloc_init(&f->memory, 0, 0);
    memcpy(f->coord, COORD, sizeof COORD);
    memcpy(f->cell, CELL, sizeof CELL);
    memcpy(f->strained, COORD, sizeof COORD);
    memcpy(f->strained_cell, CELL, sizeof CELL);
    f->batch = (aim_batch){.n_atoms = N,
                           .n_systems = SYSTEMS,
                           .offset = OFFSET,
                           .system = SYSTEM,
                           .numbers = NUMBERS,
                           .coord = f->strained,
                           .cell = f->strained_cell,
                           .pbc = PBC,
                           .charge = CHARGE,
                           .mult = MULT,
                           .origin = ORIGIN};
    build_pairs(f);
    require(aim_team_create(&f->memory.hooks, threads, &f->team));
    require(ops->create(f->model, &f->memory.hooks, isa, &f->net));
    f->need = ops->workspace(f->net, N, f->pairs.n_pairs, aim_pairs_max_row(&f->pairs), threads, 1);
    require(aim_arena_reserve(&f->arena, &f->memory.hooks, f->need, "workspace"));
    prepare_call(f, 1);
    return f;
}

static void close_fixture(fixture *f)
{
    const aim_alloc alloc = aim_alloc_default();
    f->ops->free(f->net);
    aim_arena_free(&f->arena, &f->memory.hooks);
    aim_team_free(f->team);
    fail_alloc_assert_clean(&f->memory);
    aim_pairs_free(&f->pairs, &alloc);
    aimnet_model_free(f->model);
    free(f);
}

static void apply_strain(const double e[9], const double *from, double *to, int rows)
{
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < 3; b++)
            to[3 * r + b] = from[3 * r + b] + from[3 * r] * e[b] + from[3 * r + 1] * e[3 + b] +
                            from[3 * r + 2] * e[6 + b];
}

static double energy(fixture *f)
{
    apply_strain(f->strain_in, f->coord, f->strained, N);
    apply_strain(f->strain_in, f->cell, f->strained_cell, 3 * SYSTEMS);
    require(f->ops->forward(f->net, &f->call));
    double e = 0;
    for (int i = 0; i < N; i++)
        e += f->gq[i] * f->q[i] + (f->call.spin ? f->gspin[i] * f->spin[i] : 0.0);
    for (int o = 0; o < f->model->n_outputs; o++)
        if (f->call.head[o]) {
            const aim_mlp *mlp = &f->model->output[o].mlp;
            for (int k = 0; k < N * mlp->layer[mlp->n_layers - 1].n_out; k++)
                e += f->ghead[o][k] * f->head[o][k];
        }
    return e;
}

/* E and its derivatives, without clearing anything that is not written. */
static void gradient(fixture *f)
{
    memset(f->grad, 0, sizeof f->grad);
    memset(f->strain, 0, sizeof f->strain);
    energy(f);
    f->ops->backward(f->net, &f->call);
}

#endif
