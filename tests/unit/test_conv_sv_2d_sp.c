/* SPDX-License-Identifier: MIT */
/* test_conv_sv_2d_sp.c - the public sparse convolution against torch's autograd (tests/golden/conv,
 * made by tests/reference/make_conv.py).
 *
 * The numbers of the file are chosen such that every result is exact in both precisions:
 * comparisons are for equality. */
#include "fail_alloc.h"

#include <math.h>
#include <stdio.h>

#include "aimnet_ops.h"

enum { MAX_VALUES = 8192, ARRAYS = 12, IDX = 0 };
static const char *const KEYS[ARRAYS] = {"idx", "x",   "f",   "g_out", "v_x", "v_f",
                                         "out", "g_x", "g_f", "d_out", "d_x", "d_f"};
enum { X = 1, F, G_OUT, V_X, V_F, OUT, G_X, G_F, D_OUT, D_X, D_F };

typedef struct golden {
    char name[64];
    int n, m, a, g;
    int32_t idx[MAX_VALUES];
    size_t count[ARRAYS];
    double value[ARRAYS][MAX_VALUES];
} golden;

/* The operator in one precision, on arrays of that precision held as bytes. */
typedef struct precision {
    size_t size;
    aimnet_status (*forward)(aimnet_conv_sv_2d_sp *, int, int, const void *, const void *, void *);
    aimnet_status (*backward)(aimnet_conv_sv_2d_sp *, int, int, const void *, const void *,
                              const void *, void *, void *);
    aimnet_status (*double_backward)(aimnet_conv_sv_2d_sp *, int, int, const void *, const void *,
                                     const void *, const void *, const void *, void *, void *,
                                     void *);
} precision;

#define ENTRY_POINTS(suffix)                                                                       \
    static aimnet_status forward_##suffix(aimnet_conv_sv_2d_sp *op, int a, int g, const void *x,   \
                                          const void *f, void *out)                                \
    {                                                                                              \
        return aimnet_conv_sv_2d_sp_forward_##suffix(op, a, g, x, f, out);                         \
    }                                                                                              \
    static aimnet_status backward_##suffix(aimnet_conv_sv_2d_sp *op, int a, int g, const void *x,  \
                                           const void *f, const void *go, void *gx, void *gf)      \
    {                                                                                              \
        return aimnet_conv_sv_2d_sp_backward_##suffix(op, a, g, x, f, go, gx, gf);                 \
    }                                                                                              \
    static aimnet_status double_backward_##suffix(                                                 \
        aimnet_conv_sv_2d_sp *op, int a, int g, const void *x, const void *f, const void *go,      \
        const void *vx, const void *vf, void *dout, void *dx, void *df)                            \
    {                                                                                              \
        return aimnet_conv_sv_2d_sp_double_backward_##suffix(op, a, g, x, f, go, vx, vf, dout, dx, \
                                                             df);                                  \
    }
ENTRY_POINTS(f32)
ENTRY_POINTS(f64)

static const precision PRECISIONS[] = {
    {sizeof(float), forward_f32, backward_f32, double_backward_f32},
    {sizeof(double), forward_f64, backward_f64, double_backward_f64}};

static void set_value(const precision *p, void *array, size_t k, double value)
{
    if (p->size == sizeof(float))
        ((float *)array)[k] = (float)value;
    else
        ((double *)array)[k] = value;
}

static double get_value(const precision *p, const void *array, size_t k)
{
    return p->size == sizeof(float) ? (double)((const float *)array)[k]
                                    : ((const double *)array)[k];
}

/* A block of exactly the right size in this precision. */
static void *convert(const precision *p, const double *values, size_t count)
{
    void *array = malloc(count ? count * p->size : 1);
    assert_non_null(array);
    for (size_t k = 0; k < count; k++)
        set_value(p, array, k, values ? values[k] : 1e30);
    return array;
}

static size_t elements(const golden *c, int key)
{
    const size_t n = (size_t)c->n, m = (size_t)c->m, a = (size_t)c->a, g = (size_t)c->g;
    switch (key) {
    case IDX:
        return n * m;
    case X:
    case V_X:
    case G_X:
    case D_X:
        return (n + 1) * a * g;
    case F:
    case V_F:
    case G_F:
    case D_F:
        return n * m * g * 4;
    default:
        return n * a * g * 4;
    }
}

static int read_case(FILE *file, golden *c)
{
    char key[64];
    if (fscanf(file, " case %63s %d %d %d %d", c->name, &c->n, &c->m, &c->a, &c->g) != 5)
        return 0;
    for (int k = 0; k < ARRAYS; k++) {
        assert_int_equal(fscanf(file, "%63s", key), 1);
        assert_string_equal(key, KEYS[k]);
        c->count[k] = elements(c, k);
        assert_true(c->count[k] <= MAX_VALUES);
        for (size_t e = 0; e < c->count[k]; e++) {
            assert_int_equal(fscanf(file, "%lf", &c->value[k][e]), 1);
            c->value[k][e] /= k == IDX ? 1.0 : k < OUT ? 16.0 : 256.0;
            if (k == IDX)
                c->idx[e] = (int32_t)c->value[k][e];
        }
    }
    return 1;
}

static void assert_values(const precision *p, const golden *c, int key, void *array)
{
    for (size_t e = 0; e < c->count[key]; e++)
        if (get_value(p, array, e) != c->value[key][e])
            fail_msg("%s, %zu bytes: %s[%zu] is %.17g, torch says %.17g", c->name, p->size,
                     KEYS[key], e, get_value(p, array, e), c->value[key][e]);
    free(array);
}

static void check_case(const golden *c, const precision *p, int threads)
{
    aimnet_conv_sv_2d_sp *op;
    assert_int_equal(aimnet_conv_sv_2d_sp_create(c->idx, c->n, c->m, threads, NULL, &op),
                     AIMNET_OK);
    void *in[ARRAYS], *out[ARRAYS];
    for (int k = X; k < OUT; k++)
        in[k] = convert(p, c->value[k], c->count[k]);
    for (int k = OUT; k < ARRAYS; k++)
        out[k] = convert(p, NULL, c->count[k]);
    assert_int_equal(p->forward(op, c->a, c->g, in[X], in[F], out[OUT]), AIMNET_OK);
    assert_int_equal(p->backward(op, c->a, c->g, in[X], in[F], in[G_OUT], out[G_X], out[G_F]),
                     AIMNET_OK);
    assert_int_equal(p->double_backward(op, c->a, c->g, in[X], in[F], in[G_OUT], in[V_X], in[V_F],
                                        out[D_OUT], out[D_X], out[D_F]),
                     AIMNET_OK);
    for (int k = OUT; k < ARRAYS; k++)
        assert_values(p, c, k, out[k]);
    for (int k = X; k < OUT; k++)
        free(in[k]);
    aimnet_conv_sv_2d_sp_free(op);
}

static golden *open_golden(FILE **file)
{
    golden *c = calloc(1, sizeof *c);
    assert_non_null(c);
    *file = fopen(AIM_SOURCE_DIR "/tests/golden/conv/conv_sv_2d_sp.txt", "r");
    assert_non_null(*file);
    assert_int_equal(fscanf(*file, "#%*[^\n]"), 0);
    return c;
}

static void forward_and_both_derivatives_equal_torch_in_every_bit(void **state)
{
    (void)state;
    FILE *file;
    golden *c = open_golden(&file);
    int cases = 0;
    for (; read_case(file, c); cases++)
        for (size_t p = 0; p < 2; p++)
            for (int threads = 1; threads <= 3; threads++)
                check_case(c, &PRECISIONS[p], threads);
    assert_int_equal(cases, 11);
    fclose(file);
    free(c);
}

/* ---------------------------------------------------------------- random numbers: rounding differs
 * if the order of a sum does */

enum { N = 83, M = 21, A = 5, G = 7 };

typedef struct random_case {
    int32_t idx[N * M];
    float x[(N + 1) * A * G], f[N * M * G * 4], g_out[N * A * G * 4];
    float out[N * A * G * 4], g_x[(N + 1) * A * G], g_f[N * M * G * 4];
} random_case;

static float random_float(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / 8388608.0f - 1.0f;
}

static random_case *make_random(void)
{
    random_case *c = calloc(1, sizeof *c);
    assert_non_null(c);
    uint32_t seed = 3;
    for (int k = 0; k < N * M; k++)
        c->idx[k] = (int32_t)((random_float(&seed) + 1.0f) * 0.5f * (N + 20));
    for (int k = 0; k < (N + 1) * A * G; k++)
        c->x[k] = random_float(&seed);
    for (int k = 0; k < N * M * G * 4; k++)
        c->f[k] = random_float(&seed);
    for (int k = 0; k < N * A * G * 4; k++)
        c->g_out[k] = random_float(&seed);
    return c;
}

static void run_random(random_case *c, int threads)
{
    aimnet_conv_sv_2d_sp *op;
    assert_int_equal(aimnet_conv_sv_2d_sp_create(c->idx, N, M, threads, NULL, &op), AIMNET_OK);
    for (int repeat = 0; repeat < 3; repeat++) {
        assert_int_equal(aimnet_conv_sv_2d_sp_forward_f32(op, A, G, c->x, c->f, c->out), AIMNET_OK);
        assert_int_equal(
            aimnet_conv_sv_2d_sp_backward_f32(op, A, G, c->x, c->f, c->g_out, c->g_x, c->g_f),
            AIMNET_OK);
    }
    aimnet_conv_sv_2d_sp_free(op);
}

static void results_are_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    random_case *one = make_random();
    run_random(one, 1);
    for (int threads = 2; threads <= 7; threads++) {
        random_case *many = make_random();
        run_random(many, threads);
        assert_memory_equal(one->out, many->out, sizeof one->out);
        assert_memory_equal(one->g_x, many->g_x, sizeof one->g_x);
        assert_memory_equal(one->g_f, many->g_f, sizeof one->g_f);
        free(many);
    }
    free(one);
}

static void garbage_in_the_padding_is_never_read(void **state)
{
    (void)state;
    random_case *clean = make_random(), *dirty = make_random();
    for (int k = 0; k < A * G; k++)
        dirty->x[N * A * G + k] = NAN;
    for (int k = 0; k < N * M; k++)
        if (dirty->idx[k] >= N)
            for (int e = 0; e < G * 4; e++)
                dirty->f[k * G * 4 + e] = NAN;
    run_random(clean, 2);
    run_random(dirty, 2);
    assert_memory_equal(clean->out, dirty->out, sizeof clean->out);
    assert_memory_equal(clean->g_x, dirty->g_x, sizeof clean->g_x);
    assert_memory_equal(clean->g_f, dirty->g_f, sizeof clean->g_f);
    for (int k = 0; k < A * G; k++)
        assert_true(dirty->g_x[N * A * G + k] == 0.0f);
    free(clean);
    free(dirty);
}

/* ---------------------------------------------------------------- arguments */

static const int32_t PAIR[2] = {1, 0};

static void wrong_arguments_are_refused_with_the_place(void **state)
{
    (void)state;
    const int32_t bad[6] = {0, 2, 3, 1, -2, 2};
    aimnet_conv_sv_2d_sp *op = NULL;
    assert_int_equal(aimnet_conv_sv_2d_sp_create(bad, 3, 2, 1, NULL, &op), AIMNET_ERR_ARG);
    assert_null(op);
    assert_string_equal(aimnet_last_error(),
                        "idx[2][0] is -2: neighbours are 0 to 2, padding is 3 or more");
    assert_int_equal(aimnet_conv_sv_2d_sp_create(bad, -1, 2, 1, NULL, &op), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_create(NULL, 3, 2, 1, NULL, &op), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_create(PAIR, 2, 1, -1, NULL, &op), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_create(PAIR, 2, 1, 1, NULL, NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_create(PAIR, 2, 1, 1, NULL, &op), AIMNET_OK);
    double x[3] = {1, 2, 3}, f[8] = {0}, out[8] = {0};
    assert_int_equal(aimnet_conv_sv_2d_sp_forward_f64(op, 1, 1, x, f, NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_forward_f64(op, 1, 1, NULL, f, out), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_forward_f64(op, -1, 1, x, f, out), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_forward_f64(op, INT32_MAX, INT32_MAX, x, f, out),
                     AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_forward_f64(NULL, 1, 1, x, f, out), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_conv_sv_2d_sp_backward_f64(op, 1, 1, x, f, NULL, x, NULL),
                     AIMNET_ERR_ARG);
    aimnet_conv_sv_2d_sp_free(op);
    aimnet_conv_sv_2d_sp_free(NULL);
}

static void unwanted_outputs_and_zero_directions_may_be_null(void **state)
{
    (void)state;
    aimnet_conv_sv_2d_sp *op;
    assert_int_equal(aimnet_conv_sv_2d_sp_create(PAIR, 2, 1, 1, NULL, &op), AIMNET_OK);
    const double x[3] = {2, 3, NAN}, f[8] = {1, 2, 3, 4, 5, 6, 7, 8},
                 g_out[8] = {1, 0, 0, 0, 0, 1, 0, 0}, v_x[3] = {10, 20, NAN};
    double g_x[3], g_f[8], d_out[8], d_x[3];
    assert_int_equal(aimnet_conv_sv_2d_sp_backward_f64(op, 1, 1, NULL, f, g_out, g_x, NULL),
                     AIMNET_OK);
    assert_true(g_x[0] == 6.0 && g_x[1] == 1.0 && g_x[2] == 0.0);
    assert_int_equal(aimnet_conv_sv_2d_sp_backward_f64(op, 1, 1, x, NULL, g_out, NULL, g_f),
                     AIMNET_OK);
    assert_true(g_f[0] == 3.0 && g_f[1] == 0.0 && g_f[5] == 2.0);
    assert_int_equal(aimnet_conv_sv_2d_sp_double_backward_f64(op, 1, 1, NULL, f, NULL, v_x, NULL,
                                                              d_out, d_x, NULL),
                     AIMNET_OK);
    assert_true(d_out[0] == 20.0 && d_out[7] == 80.0 && d_x[0] == 0.0 && d_x[2] == 0.0);
    assert_int_equal(aimnet_conv_sv_2d_sp_double_backward_f64(op, 1, 1, x, f, g_out, NULL, NULL,
                                                              d_out, NULL, g_f),
                     AIMNET_OK);
    for (int k = 0; k < 8; k++)
        assert_true(d_out[k] == 0.0 && g_f[k] == 0.0);
    aimnet_conv_sv_2d_sp_free(op);
}

static void no_atoms_is_a_valid_problem(void **state)
{
    (void)state;
    aimnet_conv_sv_2d_sp *op;
    assert_int_equal(aimnet_conv_sv_2d_sp_create(NULL, 0, 16, 0, NULL, &op), AIMNET_OK);
    float padding[6] = {1, 1, 1, 1, 1, 1};
    assert_int_equal(aimnet_conv_sv_2d_sp_forward_f32(op, 2, 3, NULL, NULL, NULL), AIMNET_OK);
    assert_int_equal(aimnet_conv_sv_2d_sp_backward_f32(op, 2, 3, NULL, NULL, NULL, padding, NULL),
                     AIMNET_OK);
    for (int k = 0; k < 6; k++)
        assert_true(padding[k] == 0.0f);
    aimnet_conv_sv_2d_sp_free(op);
}

static aimnet_status create_and_run(const aimnet_allocator *hooks, void *ctx)
{
    (void)ctx;
    aimnet_conv_sv_2d_sp *op;
    const aimnet_status status = aimnet_conv_sv_2d_sp_create(PAIR, 2, 1, 2, hooks, &op);
    if (status != AIMNET_OK) {
        assert_null(op);
        return status;
    }
    const float x[3] = {2, 3, 0}, f[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float out[8];
    const fail_alloc *counter = hooks->user;
    const long calls = counter->calls;
    assert_int_equal(aimnet_conv_sv_2d_sp_forward_f32(op, 1, 1, x, f, out), AIMNET_OK);
    assert_int_equal(counter->calls, calls); /* only create allocates */
    aimnet_conv_sv_2d_sp_free(op);
    return AIMNET_OK;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fail_alloc_sweep(create_and_run, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_and_both_derivatives_equal_torch_in_every_bit),
        cmocka_unit_test(results_are_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(garbage_in_the_padding_is_never_read),
        cmocka_unit_test(wrong_arguments_are_refused_with_the_place),
        cmocka_unit_test(unwanted_outputs_and_zero_directions_may_be_null),
        cmocka_unit_test(no_atoms_is_a_valid_problem),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
