/* SPDX-License-Identifier: MIT */
/* test_net_tangent.c - tangents of forward and backward against differences of forward and
 * backward, and gradients by parameters against differences by the weights, in double, for every
 * model of tests/golden/models.
 *
 * Along a direction positions become x + h (t + x W) and adjoints g + h tg. Derivatives are the
 * fourth-order central difference; steps and tolerance as in test_net.c, for the same reasons.
 * Weights are float in the model, so steps by weights are multiples of 2^-20 from a weight that
 * was rounded to one. */
#include "net_fixture.h"

#include <math.h>

static const double STEP = 2e-4, TOLERANCE = 2e-8;

static const char *const MODELS[] = {
    "aev",      "base",  "bfloat16", "d3ts",        "d3ts_nse",     "double",
    "flat",     "half",  "list",     "mlp_options", "multipoles",   "nse",
    "nse_flat", "pass2", "pass4",    "plain",       "shift_reduce", "srrep_exp",
};
enum { N_MODELS = (int)(sizeof MODELS / sizeof *MODELS), DIRECTIONS = 5 };

/* Everything that a direction gives, one after the other. */
typedef struct results {
    double q[N], spin[N], head[AIM_MAX_OUTPUTS][N * MAX_WIDTH];
    double grad[3 * N], strain[9 * SYSTEMS];
} results;
enum { VALUES = sizeof(results) / sizeof(double) };

typedef struct directions {
    int n;
    double tx[DIRECTIONS * 3 * N], w[DIRECTIONS * 9 * SYSTEMS];
    double tgq[DIRECTIONS * N], tgspin[DIRECTIONS * N];
    double tghead[AIM_MAX_OUTPUTS][DIRECTIONS * N * MAX_WIDTH];
    double tq[DIRECTIONS * N], tspin[DIRECTIONS * N];
    double thead[AIM_MAX_OUTPUTS][DIRECTIONS * N * MAX_WIDTH];
    double tgrad[DIRECTIONS * 3 * N], tstrain[DIRECTIONS * 9 * SYSTEMS];
    aim_arena arena;
    aim_net_tan tan;
} directions;

static void *zeroed(size_t bytes)
{
    void *block = calloc(1, bytes);
    assert_non_null(block);
    return block;
}

static int width_of(const fixture *f, int o)
{
    const aim_mlp *mlp = &f->model->output[o].mlp;
    return mlp->layer[mlp->n_layers - 1].n_out;
}

/* Direction 1 moves nothing but one atom, direction 2 has seeds only. */
static directions *open_directions(fixture *f, int n, int want_grad)
{
    directions *d = zeroed(sizeof *d);
    uint64_t seed = 5;
    d->n = n;
    for (int k = 0; k < DIRECTIONS; k++) {
        for (int e = 0; e < 3 * N; e++) {
            const double x = uniform(&seed);
            d->tx[3 * N * k + e] = (k == 1 && e / 3 != 7) || k == 2 ? 0.0 : x;
        }
        for (int e = 0; e < 9 * SYSTEMS; e++)
            d->w[9 * SYSTEMS * k + e] = k == 1 || k == 2 ? 0.0 : 0.3 * uniform(&seed);
        for (int i = 0; i < N; i++) {
            d->tgq[N * k + i] = uniform(&seed);
            d->tgspin[N * k + i] = f->call.spin ? uniform(&seed) : 0.0;
        }
        for (int o = 0; o < f->model->n_outputs; o++)
            for (int i = 0; f->call.head[o] && i < N * width_of(f, o); i++)
                d->tghead[o][N * width_of(f, o) * k + i] = uniform(&seed);
    }
    d->tan = (aim_net_tan){.n_dir = n,
                           .tx = d->tx,
                           .w = d->w,
                           .arena = &d->arena,
                           .tq = d->tq,
                           .tspin = d->tspin,
                           .tgq = d->tgq,
                           .tgspin = d->tgspin,
                           .tgrad = d->tgrad,
                           .tstrain = d->tstrain};
    for (int o = 0; o < f->model->n_outputs; o++)
        if (f->call.head[o]) {
            d->tan.thead[o] = d->thead[o];
            d->tan.tghead[o] = d->tghead[o];
        }
    const size_t need =
        f->ops->tangent_workspace(f->net, N, f->pairs.n_pairs, aim_pairs_max_row(&f->pairs),
                                  aim_team_size(f->team), want_grad, n);
    require(aim_arena_reserve(&d->arena, &f->memory.hooks, need, "tangents"));
    return d;
}

static void close_directions(fixture *f, directions *d)
{
    aim_arena_free(&d->arena, &f->memory.hooks);
    free(d);
}

static fixture *open_kept(const char *name, const aim_net_ops *ops, int isa, int threads, int keep)
{
    fixture *f = open_fixture(name, ops, isa, threads);
    f->need =
        ops->workspace(f->net, N, f->pairs.n_pairs, aim_pairs_max_row(&f->pairs), threads, keep);
    require(aim_arena_reserve(&f->arena, &f->memory.hooks, f->need, "workspace"));
    prepare_call(f, keep);
    return f;
}

static void sweep(fixture *f, directions *d)
{
    gradient(f);
    memset(d->tgrad, 0, sizeof d->tgrad);
    memset(d->tstrain, 0, sizeof d->tstrain);
    require(f->ops->tangent_forward(f->net, &f->call, &d->tan));
    f->ops->tangent_backward(f->net, &f->call, &d->tan);
}

static void tangents_of(const fixture *f, const directions *d, int k, results *r)
{
    *r = (results){0};
    memcpy(r->q, d->tq + N * k, sizeof r->q);
    memcpy(r->grad, d->tgrad + 3 * N * k, sizeof r->grad);
    memcpy(r->strain, d->tstrain + 9 * SYSTEMS * k, sizeof r->strain);
    if (f->call.spin)
        memcpy(r->spin, d->tspin + N * k, sizeof r->spin);
    for (int o = 0; o < f->model->n_outputs; o++)
        for (int i = 0; f->call.head[o] && i < N * width_of(f, o); i++)
            r->head[o][i] = d->thead[o][N * width_of(f, o) * k + i];
}

/* Results at a step along direction k; the fixture is left as it was. */
static void at_step(fixture *f, const directions *d, int k, double h, results *r)
{
    fixture *old = zeroed(sizeof *old);
    *old = *f;
    for (int i = 0; i < N; i++) {
        const double *w = d->w + 9 * (SYSTEMS * k + SYSTEM[i]), *x = old->coord + 3 * i;
        for (int b = 0; b < 3; b++)
            f->coord[3 * i + b] +=
                h * (d->tx[3 * (N * k + i) + b] + x[0] * w[b] + x[1] * w[3 + b] + x[2] * w[6 + b]);
        f->gq[i] += h * d->tgq[N * k + i];
        f->gspin[i] += h * d->tgspin[N * k + i];
    }
    for (int v = 0; v < 3 * SYSTEMS; v++) {
        const double *w = d->w + 9 * (SYSTEMS * k + v / 3), *x = old->cell + 3 * v;
        for (int b = 0; b < 3; b++)
            f->cell[3 * v + b] += h * (x[0] * w[b] + x[1] * w[3 + b] + x[2] * w[6 + b]);
    }
    for (int o = 0; o < f->model->n_outputs; o++)
        for (int i = 0; f->call.head[o] && i < N * width_of(f, o); i++)
            f->ghead[o][i] += h * d->tghead[o][N * width_of(f, o) * k + i];
    gradient(f);
    *r = (results){0};
    memcpy(r->q, f->q, sizeof r->q);
    memcpy(r->grad, f->grad, sizeof r->grad);
    memcpy(r->strain, f->strain, sizeof r->strain);
    if (f->call.spin)
        memcpy(r->spin, f->spin, sizeof r->spin);
    memcpy(r->head, f->head, sizeof r->head);
    memcpy(f->coord, old->coord, sizeof f->coord);
    memcpy(f->cell, old->cell, sizeof f->cell);
    memcpy(f->gq, old->gq, sizeof f->gq);
    memcpy(f->gspin, old->gspin, sizeof f->gspin);
    memcpy(f->ghead, old->ghead, sizeof f->ghead);
    free(old);
}

static void assert_near(const char *model, int k, const results *a, const results *b)
{
    const double *x = (const double *)a, *y = (const double *)b;
    double size = 0.1;
    for (int e = 0; e < VALUES; e++)
        size = fmax(size, fabs(y[e]));
    for (int e = 0; e < VALUES; e++)
        if (!(fabs(x[e] - y[e]) <= TOLERANCE * size))
            fail_msg("%s, direction %d, value %d: %.12g by tangents, %.12g by differences "
                     "(largest %.3g)",
                     model, k, e, x[e], y[e], size);
}

static void tangents_are_the_derivatives_of_forward_and_backward(void **state)
{
    (void)state;
    static results r[4], difference, tangent;
    for (int m = 0; m < N_MODELS; m++) {
        fixture *f = open_kept(MODELS[m], &aim_net_ops_f64, aim_cpu_isa(), 1, AIM_NET_KEEP);
        directions *d = open_directions(f, DIRECTIONS, AIM_NET_KEEP);
        sweep(f, d);
        for (int k = 0; k < DIRECTIONS; k++) {
            const double h[4] = {STEP, -STEP, 2 * STEP, -2 * STEP};
            for (int s = 0; s < 4; s++)
                at_step(f, d, k, h[s], &r[s]);
            for (int e = 0; e < VALUES; e++)
                ((double *)&difference)[e] = (8.0 * (((double *)&r[0])[e] - ((double *)&r[1])[e]) -
                                              (((double *)&r[2])[e] - ((double *)&r[3])[e])) /
                                             (12.0 * STEP);
            tangents_of(f, d, k, &tangent);
            assert_near(MODELS[m], k, &tangent, &difference);
        }
        close_directions(f, d);
        close_fixture(f);
    }
}

static void keeping_what_tangents_need_leaves_the_results_the_same_bits(void **state)
{
    (void)state;
    const aim_net_ops *const ops[] = {&aim_net_ops_f32, &aim_net_ops_f64};
    for (int m = 0; m < N_MODELS; m += 4)
        for (int p = 0; p < 2; p++)
            for (int keep = AIM_NET_KEEP; keep <= AIM_NET_TRAIN; keep++) {
                fixture *plain = open_fixture(MODELS[m], ops[p], aim_cpu_isa(), 1),
                        *kept = open_kept(MODELS[m], ops[p], aim_cpu_isa(), 1, keep);
                gradient(plain);
                gradient(kept);
                assert_memory_equal(plain->grad, kept->grad, sizeof plain->grad);
                assert_memory_equal(plain->head, kept->head, sizeof plain->head);
                close_fixture(plain);
                close_fixture(kept);
            }
}

/* Bit for bit: other directions beside it, threads. */
static void a_direction_gives_the_same_bits_in_any_company_and_for_any_threads(void **state)
{
    (void)state;
    const aim_net_ops *const ops[] = {&aim_net_ops_f32, &aim_net_ops_f64};
    static results alone, beside;
    for (int m = 0; m < N_MODELS; m += 3)
        for (int p = 0; p < 2; p++) {
            fixture *one = open_kept(MODELS[m], ops[p], aim_cpu_isa(), 1, AIM_NET_KEEP),
                    *many = open_kept(MODELS[m], ops[p], aim_cpu_isa(), 3, AIM_NET_KEEP);
            directions *d = open_directions(one, 1, AIM_NET_KEEP),
                       *e = open_directions(many, DIRECTIONS, AIM_NET_KEEP);
            sweep(many, e);
            for (int k = 0; k < DIRECTIONS; k++) {
                d->tan.tx = e->tx + 3 * N * k;
                d->tan.w = e->w + 9 * SYSTEMS * k;
                d->tan.tgq = e->tgq + N * k;
                d->tan.tgspin = e->tgspin + N * k;
                for (int o = 0; o < one->model->n_outputs; o++)
                    if (one->call.head[o])
                        d->tan.tghead[o] = e->tghead[o] + N * width_of(one, o) * k;
                sweep(one, d);
                tangents_of(one, d, 0, &alone);
                tangents_of(many, e, k, &beside);
                assert_memory_equal(&alone, &beside, sizeof alone);
            }
            close_directions(one, d);
            close_directions(many, e);
            close_fixture(one);
            close_fixture(many);
        }
}

static void every_instruction_set_agrees_with_the_reference_kernels(void **state)
{
    (void)state;
    static results a, b;
    for (int m = 0; m < N_MODELS; m++) {
        fixture *ref = open_kept(MODELS[m], &aim_net_ops_f64, AIM_ISA_REF, 1, AIM_NET_KEEP);
        directions *d = open_directions(ref, DIRECTIONS, AIM_NET_KEEP);
        sweep(ref, d);
        for (int isa = AIM_ISA_BASE; isa <= aim_cpu_isa(); isa++) {
            fixture *f = open_kept(MODELS[m], &aim_net_ops_f64, isa, 1, AIM_NET_KEEP);
            directions *e = open_directions(f, DIRECTIONS, AIM_NET_KEEP);
            sweep(f, e);
            for (int k = 0; k < DIRECTIONS; k++) {
                tangents_of(ref, d, k, &a);
                tangents_of(f, e, k, &b);
                assert_near(MODELS[m], k, &b, &a);
            }
            close_directions(f, e);
            close_fixture(f);
        }
        close_directions(ref, d);
        close_fixture(ref);
    }
}

/* ---------------------------------------------------------------- parameters */

/* Sum of all seeds as a function of the weights: the derivative of E along the direction. */
static double seeded(fixture *f, const directions *d)
{
    double sum = 0;
    gradient(f);
    for (int e = 0; e < 3 * N; e++)
        sum += d->tx[e] * f->grad[e];
    for (int e = 0; e < 9 * SYSTEMS; e++)
        sum += d->w[e] * f->strain[e];
    for (int i = 0; i < N; i++)
        sum += d->tgq[i] * f->q[i] + (f->call.spin ? d->tgspin[i] * f->spin[i] : 0.0);
    for (int o = 0; o < f->model->n_outputs; o++)
        for (int i = 0; f->call.head[o] && i < N * width_of(f, o); i++)
            sum += d->tghead[o][i] * f->head[o][i];
    return sum;
}

static double with_weight(fixture *f, const directions *d, float *weight, double value)
{
    const float old = *weight;
    *weight = (float)value;
    f->ops->free(f->net);
    require(f->ops->create(f->model, &f->memory.hooks, aim_cpu_isa(), &f->net));
    const double s = seeded(f, d);
    *weight = old;
    return s;
}

static double by_weight(fixture *f, const directions *d, float *weight)
{
    const double h = 256.0 * 0x1p-20, w = (double)*weight;
    const double near = with_weight(f, d, weight, w + h) - with_weight(f, d, weight, w - h),
                 far = with_weight(f, d, weight, w + 2 * h) - with_weight(f, d, weight, w - 2 * h);
    return (8.0 * near - far) / (12.0 * h);
}

static void round_weights(const aim_parameters *list)
{
    for (int k = 0; k < list->n; k++)
        for (int64_t e = 0; strstr(list->item[k].name, "shifts") == NULL && e < list->item[k].count;
             e++) {
            float *w = (float *)(uintptr_t)list->item[k].values + e;
            *w = (float)(nearbyint((double)*w * 0x1p20) * 0x1p-20);
        }
}

/* Elements of every tensor: the ones with the largest gradient and some others. */
static void check_tensor(const char *model, fixture *f, const directions *d, const aim_parameter *p,
                         const double *gradient, double size)
{
    int64_t largest = 0;
    for (int64_t e = 0; e < p->count; e++)
        if (fabs(gradient[e]) > fabs(gradient[largest]))
            largest = e;
    const int64_t elements[] = {largest, p->count / 2, p->count - 1};
    for (int k = 0; k < 3; k++) {
        const int64_t e = elements[k];
        const double numeric = by_weight(f, d, (float *)(uintptr_t)p->values + e);
        if (!(fabs(numeric - gradient[e]) <= TOLERANCE * size))
            fail_msg("%s, %s[%lld]: %.12g, %.12g by differences (largest %.3g)", model, p->name,
                     (long long)e, gradient[e], numeric, size);
    }
}

static void parameter_gradients_are_derivatives_by_the_weights(void **state)
{
    (void)state;
    for (int m = 0; m < N_MODELS; m++) {
        fixture *f = open_kept(MODELS[m], &aim_net_ops_f64, aim_cpu_isa(), 1, AIM_NET_TRAIN);
        directions *d = open_directions(f, 1, AIM_NET_TRAIN);
        const aim_alloc alloc = aim_alloc_default();
        aim_parameters list;
        require(aim_parameters_create(f->model, &alloc, &list));
        round_weights(&list);
        double *gradient = zeroed((size_t)list.count * sizeof *gradient), size = 0;
        f->ops->free(f->net);
        require(f->ops->create(f->model, &f->memory.hooks, aim_cpu_isa(), &f->net));
        sweep(f, d);
        f->ops->parameters(f->net, &f->call, &d->tan, &list, gradient);
        for (int64_t e = 0; e < list.count; e++)
            size = fmax(size, fabs(gradient[e]));
        for (int k = 0; k < list.n; k++)
            if (!strstr(list.item[k].name, "shifts"))
                check_tensor(MODELS[m], f, d, &list.item[k], gradient + list.item[k].offset, size);
        free(gradient);
        aim_parameters_free(&list, &alloc);
        close_directions(f, d);
        close_fixture(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tangents_are_the_derivatives_of_forward_and_backward),
        cmocka_unit_test(keeping_what_tangents_need_leaves_the_results_the_same_bits),
        cmocka_unit_test(a_direction_gives_the_same_bits_in_any_company_and_for_any_threads),
        cmocka_unit_test(every_instruction_set_agrees_with_the_reference_kernels),
        cmocka_unit_test(parameter_gradients_are_derivatives_by_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
