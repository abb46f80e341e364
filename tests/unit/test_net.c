/* SPDX-License-Identifier: MIT */
/* test_net.c - the network on its own, for every model of tests/golden/models: derivatives against
 * finite differences in double, and what its results must not depend on.
 *
 * The function that is differentiated is E = sum gq q + gspin spin + ghead head with random
 * adjoints: a combination that every output enters. The batch has a molecule, a lone atom and a
 * crystal smaller than the cutoff. Pairs are kept while positions move. Derivatives are the
 * fourth-order central difference with h = 2e-4: truncation h^4 f'''''/30 and rounding 1e-16 f/h
 * stay below 1e-9 of the largest component for Gaussians as narrow as these models have. */
#include "fail_alloc.h"

#include <math.h>
#include <stdio.h>

#include "backend/isa.h"
#include "net/net.h"

static const double STEP = 2e-4, TOLERANCE = 1e-8;
/* Instruction sets round differently; the models' depth amplifies that to some 100 epsilon. */
static const double ISA_TOLERANCE_F64 = 1e-12, ISA_TOLERANCE_F32 = 3e-4;

static const char *const MODELS[] = {
    "aev",      "base",  "bfloat16", "d3ts",        "d3ts_nse",     "double",
    "flat",     "half",  "list",     "mlp_options", "multipoles",   "nse",
    "nse_flat", "pass2", "pass4",    "plain",       "shift_reduce", "srrep_exp",
};
enum { N_MODELS = (int)(sizeof MODELS / sizeof *MODELS) };

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

static void gradient(fixture *f)
{
    memset(f->grad, 0, sizeof f->grad);
    memset(f->strain, 0, sizeof f->strain);
    energy(f);
    f->ops->backward(f->net, &f->call);
}

static double derivative(fixture *f, double *x)
{
    const double old = *x, h[4] = {STEP, -STEP, 2 * STEP, -2 * STEP};
    double e[4];
    for (int k = 0; k < 4; k++) {
        *x = old + h[k];
        e[k] = energy(f);
    }
    *x = old;
    return (8.0 * (e[0] - e[1]) - (e[2] - e[3])) / (12.0 * STEP);
}

static void assert_derivatives(const char *model, fixture *f, double *x, const double *analytic,
                               int n)
{
    double size = 0.1;
    for (int k = 0; k < n; k++)
        size = fmax(size, fabs(analytic[k]));
    for (int k = 0; k < n; k++) {
        const double numeric = derivative(f, x + k);
        if (!(fabs(numeric - analytic[k]) <= TOLERANCE * size))
            fail_msg(
                "%s, component %d: %.12g by the backward pass, %.12g by differences (largest %.3g)",
                model, k, analytic[k], numeric, size);
    }
}

static void backward_gives_the_derivative_by_positions_and_strain(void **state)
{
    (void)state;
    for (int m = 0; m < N_MODELS; m++) {
        fixture *f = open_fixture(MODELS[m], &aim_net_ops_f64, aim_cpu_isa(), 1);
        double grad[3 * N], strain[9];
        gradient(f);
        memcpy(grad, f->grad, sizeof grad);
        for (int k = 0; k < 9; k++)
            strain[k] = f->strain[k] + f->strain[9 + k] + f->strain[18 + k];
        assert_derivatives(MODELS[m], f, f->coord, grad, 3 * N);
        assert_derivatives(MODELS[m], f, f->strain_in, strain, 9);
        close_fixture(f);
    }
}

static void charges_sum_to_the_total_charge(void **state)
{
    (void)state;
    for (int m = 0; m < N_MODELS; m++) {
        fixture *f = open_fixture(MODELS[m], &aim_net_ops_f64, aim_cpu_isa(), 1);
        energy(f);
        for (int s = 0; s < SYSTEMS; s++) {
            double q = 0, spin = 0;
            for (int i = OFFSET[s]; i < OFFSET[s + 1]; i++) {
                q += f->q[i];
                spin += f->spin[i];
            }
            /* up to the 1e-6 that the equilibration adds to the flexibilities */
            assert_true(fabs(q - CHARGE[s]) < 1e-2);
            if (f->call.spin)
                assert_true(fabs(spin - (MULT[s] - 1.0)) < 1e-2);
        }
        close_fixture(f);
    }
}

static void assert_close(const double *a, const double *b, int n, double tolerance)
{
    double size = 1.0;
    for (int k = 0; k < n; k++)
        size = fmax(size, fabs(a[k]));
    for (int k = 0; k < n; k++)
        if (!(fabs(a[k] - b[k]) <= tolerance * size))
            fail_msg("component %d: %.12g and %.12g", k, a[k], b[k]);
}

static void every_instruction_set_agrees_with_the_reference_kernels(void **state)
{
    (void)state;
    const aim_net_ops *const ops[] = {&aim_net_ops_f32, &aim_net_ops_f64};
    for (int m = 0; m < N_MODELS; m++)
        for (int p = 0; p < 2; p++) {
            const double tolerance = p ? ISA_TOLERANCE_F64 : ISA_TOLERANCE_F32;
            fixture *ref = open_fixture(MODELS[m], &aim_net_ops_f64, AIM_ISA_REF, 1);
            gradient(ref);
            for (int isa = p ? AIM_ISA_BASE : AIM_ISA_REF; isa <= aim_cpu_isa(); isa++) {
                fixture *f = open_fixture(MODELS[m], ops[p], isa, 1);
                gradient(f);
                assert_close(ref->q, f->q, N, tolerance);
                assert_close(ref->spin, f->spin, N, tolerance);
                for (int o = 0; o < f->model->n_outputs; o++)
                    assert_close(ref->head[o], f->head[o], N * MAX_WIDTH, tolerance);
                assert_close(ref->grad, f->grad, 3 * N, tolerance);
                assert_close(ref->strain, f->strain, 9 * SYSTEMS, tolerance);
                close_fixture(f);
            }
            close_fixture(ref);
        }
}

static void assert_same_bits(const fixture *a, const fixture *b)
{
    assert_memory_equal(a->q, b->q, sizeof a->q);
    assert_memory_equal(a->spin, b->spin, sizeof a->spin);
    assert_memory_equal(a->head, b->head, sizeof a->head);
    assert_memory_equal(a->grad, b->grad, sizeof a->grad);
    assert_memory_equal(a->strain, b->strain, sizeof a->strain);
}

static void results_are_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    const aim_net_ops *const ops[] = {&aim_net_ops_f32, &aim_net_ops_f64};
    for (int m = 0; m < N_MODELS; m += 5)
        for (int p = 0; p < 2; p++) {
            fixture *one = open_fixture(MODELS[m], ops[p], aim_cpu_isa(), 1);
            gradient(one);
            for (int threads = 2; threads <= 4; threads++) {
                fixture *many = open_fixture(MODELS[m], ops[p], aim_cpu_isa(), threads);
                gradient(many);
                assert_same_bits(one, many);
                close_fixture(many);
            }
            close_fixture(one);
        }
}

static void a_forward_pass_without_gradient_gives_the_same_bits_in_less_memory(void **state)
{
    (void)state;
    for (int m = 0; m < N_MODELS; m += 3) {
        fixture *with = open_fixture(MODELS[m], &aim_net_ops_f32, aim_cpu_isa(), 2),
                *without = open_fixture(MODELS[m], &aim_net_ops_f32, aim_cpu_isa(), 2);
        energy(with);
        const size_t need = without->ops->workspace(without->net, N, without->pairs.n_pairs,
                                                    aim_pairs_max_row(&without->pairs), 2, 0);
        assert_true(need < without->need);
        aim_arena_free(&without->arena, &without->memory.hooks);
        require(aim_arena_reserve(&without->arena, &without->memory.hooks, need, "workspace"));
        prepare_call(without, 0);
        energy(without);
        assert_same_bits(with, without);
        close_fixture(with);
        close_fixture(without);
    }
}

static void
repeated_calls_give_the_same_bits_within_the_workspace_and_without_allocating(void **state)
{
    (void)state;
    fixture *once = open_fixture("nse", &aim_net_ops_f32, aim_cpu_isa(), 2),
            *again = open_fixture("nse", &aim_net_ops_f32, aim_cpu_isa(), 2);
    gradient(once);
    const long calls = again->memory.calls;
    for (int k = 0; k < 5; k++) {
        aim_arena_reset(&again->arena); /* nothing is expected of the workspace's contents */
        void *slot = aim_take(&again->arena, "all but red zones", again->need - 128, 1);
        memset(slot, 0xA5 + k, again->need - 128);
        gradient(again);
        assert_true(again->arena.used == again->need);
    }
    assert_int_equal(again->memory.calls, calls);
    assert_same_bits(once, again);
    close_fixture(once);
    close_fixture(again);
}

static void a_workspace_that_is_too_small_is_an_error(void **state)
{
    (void)state;
    fixture *f = open_fixture("base", &aim_net_ops_f32, aim_cpu_isa(), 1);
    aim_arena_free(&f->arena, &f->memory.hooks);
    require(aim_arena_reserve(&f->arena, &f->memory.hooks, f->need / 2, "workspace"));
    assert_int_equal(f->ops->forward(f->net, &f->call), AIMNET_ERR_INTERNAL);
    close_fixture(f);
}

static aimnet_status create_net(const aimnet_allocator *hooks, void *ctx)
{
    void *net;
    const aimnet_status status = aim_net_ops_f64.create(ctx, hooks, aim_cpu_isa(), &net);
    assert_true((net != NULL) == (status == AIMNET_OK));
    aim_net_ops_f64.free(net);
    return status;
}

static void every_allocation_of_create_may_fail(void **state)
{
    (void)state;
    aimnet_model *model;
    require(aimnet_model_load(AIM_SOURCE_DIR "/tests/golden/models/nse.pt", NULL, &model));
    assert_true(fail_alloc_sweep(create_net, model) > 2);
    aimnet_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backward_gives_the_derivative_by_positions_and_strain),
        cmocka_unit_test(charges_sum_to_the_total_charge),
        cmocka_unit_test(every_instruction_set_agrees_with_the_reference_kernels),
        cmocka_unit_test(results_are_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(a_forward_pass_without_gradient_gives_the_same_bits_in_less_memory),
        cmocka_unit_test(
            repeated_calls_give_the_same_bits_within_the_workspace_and_without_allocating),
        cmocka_unit_test(a_workspace_that_is_too_small_is_an_error),
        cmocka_unit_test(every_allocation_of_create_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
