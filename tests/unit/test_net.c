/* SPDX-License-Identifier: MIT */
/* test_net.c - the network on its own, for every model of tests/golden/models: derivatives against
 * finite differences in double, and what its results must not depend on.
 *
 * The function that is differentiated is E = sum gq q + gspin spin + ghead head with random
 * adjoints: a combination that every output enters. The batch has a molecule, a lone atom and a
 * crystal smaller than the cutoff. Pairs are kept while positions move. Derivatives are the
 * fourth-order central difference with h = 2e-4: truncation h^4 f'''''/30 and rounding 1e-16 f/h
 * stay below 1e-9 of the largest component for Gaussians as narrow as these models have. */
#include "net_fixture.h"

#include <math.h>

static const double STEP = 2e-4, TOLERANCE = 1e-8;
/* Instruction sets round differently; the models' depth amplifies that to some 100 epsilon. */
static const double ISA_TOLERANCE_F64 = 1e-12, ISA_TOLERANCE_F32 = 3e-4;

static const char *const MODELS[] = {
    "aev",      "base",  "bfloat16", "d3ts",        "d3ts_nse",     "double",
    "flat",     "half",  "list",     "mlp_options", "multipoles",   "nse",
    "nse_flat", "pass2", "pass4",    "plain",       "shift_reduce", "srrep_exp",
};
enum { N_MODELS = (int)(sizeof MODELS / sizeof *MODELS) };

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
