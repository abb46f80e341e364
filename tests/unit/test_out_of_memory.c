/* SPDX-License-Identifier: MIT */
/* test_out_of_memory.c - every allocation fails in turn, from loading the model to energies, forces
 * and charges.
 *
 * Once through the user's hooks (which also see leaks and bad frees), once through malloc itself,
 * so that failures inside libyaml and zlib are met as well. And the promise that a
 * calculator allocates nothing after its first call at a size. */
#include "fail_alloc.h"
#include "fail_malloc.h"

#include <stdio.h>

#include "aimnet_io.h"

static const int32_t numbers[] = {8, 1, 1, 6, 1, 1, 1, 8, 1};
static const double coord[] = {0.0,     0.0,     0.1173,  0.0,    0.7572, -0.4692, 0.0,
                               -0.7572, -0.4692, -0.0469, 0.6656, 0.0,    -1.09,   0.9800,
                               0.0,     0.4380,  1.0700,  0.8895, 0.4380, 1.0700,  -0.8895,
                               -0.0469, -0.7586, 0.0,     0.87,   -1.05,  0.0};

enum { N_SYSTEMS = 2 };

typedef struct outcome {
    double energy[N_SYSTEMS];
    double forces[N_SYSTEMS][18];
    double charges[N_SYSTEMS][6];
} outcome;

static aimnet_status evaluate(aimnet_calc *calc, outcome *out)
{
    const aimnet_system systems[N_SYSTEMS] = {
        {.n_atoms = 3, .numbers = numbers, .coord = coord},
        {.n_atoms = 6, .numbers = numbers + 3, .coord = coord + 9}};
    aimnet_result results[N_SYSTEMS] = {{0}};
    for (int s = 0; s < N_SYSTEMS; s++) {
        results[s].forces = out->forces[s];
        results[s].charges = out->charges[s];
    }
    aimnet_status status = aimnet_calc_eval(calc, systems, N_SYSTEMS, results);
    for (int s = 0; s < N_SYSTEMS; s++) {
        out->energy[s] = results[s].energy;
        if (status == AIMNET_ERR_SOME_FAILED)
            status = results[s].status != AIMNET_OK ? results[s].status : status;
    }
    return status;
}

static aimnet_status load_and_evaluate(const aimnet_allocator *hooks, outcome *out)
{
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    aimnet_options options = aimnet_options_default();
    options.threads = 2;
    aimnet_status status = aimnet_model_load(NULL, hooks, &model);
    if (status == AIMNET_OK)
        status = aimnet_calc_create(&model, 1, &options, &calc);
    if (status == AIMNET_OK)
        status = evaluate(calc, out);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    return status;
}

/* What undisturbed memory gives. */
static const outcome *expected(void)
{
    static outcome
        fresh; /* all zero beyond the atoms of each system, like those compared with it */
    static int done;
    if (!done)
        assert_int_equal(load_and_evaluate(NULL, &fresh), AIMNET_OK);
    done = 1;
    return &fresh;
}

/* A refusal is reported, or the library got along without (a batch that does not fit is evaluated
 * in parts): then the results must be the same bits. */
static void check_outcome(long n, aimnet_status status, const outcome *out)
{
    if (status == AIMNET_OK) {
        assert_memory_equal(out, expected(), sizeof *out);
    } else if (status != AIMNET_ERR_MEMORY) {
        fail_msg("refusal %ld gives the status %s: %s", n, aimnet_status_name(status),
                 aimnet_last_error());
    } else {
        assert_true(aimnet_last_error()[0] != '\0');
    }
}

static void every_allocation_through_the_hooks_may_fail(void **state)
{
    (void)state;
    expected();
    for (int sticky = 0; sticky < 2; sticky++) {
        fail_alloc f;
        long n = 0;
        do {
            outcome out;
            memset(&out, 0, sizeof out);
            fail_alloc_init(&f, ++n, sticky);
            check_outcome(n, load_and_evaluate(&f.hooks, &out), &out);
            fail_alloc_assert_clean(&f);
        } while (f.failed > 0);
        print_message("%ld allocations\n", n - 1);
    }
}

static void every_malloc_may_fail_also_inside_libraries(void **state)
{
    (void)state;
    expected();
    for (int sticky = 0; sticky < 2; sticky++) {
        long n = 0, refused;
        do {
            outcome out;
            memset(&out, 0, sizeof out);
            fail_malloc_arm(++n, sticky);
            const aimnet_status status = load_and_evaluate(NULL, &out);
            refused = fail_malloc_disarm();
            check_outcome(n, status, &out);
        } while (refused > 0);
        print_message("%ld calls of malloc\n", n - 1);
    }
}

static aimnet_status read_frames(int *n_frames)
{
    static const char text[] =
        "3\ncharge=1 Properties=species:S:1:pos:R:3\nO 0 0 0\nH 0 0 1\nH 0 1 0\n"
        "1\nhelium\nHe 0 0 0\n";
    *n_frames = 0;
    aimnet_reader *reader = NULL;
    aimnet_frame frame = {0};
    aimnet_status status = aimnet_reader_open_memory(text, sizeof text - 1, "text", NULL, &reader);
    while (status == AIMNET_OK) {
        status = aimnet_reader_next(reader, &frame);
        *n_frames += status == AIMNET_OK;
    }
    aimnet_frame_free(&frame);
    aimnet_reader_close(reader);
    return status == AIMNET_ERR_END ? AIMNET_OK : status;
}

static void every_malloc_of_a_reader_may_fail(void **state)
{
    (void)state;
    int n_frames = 0;
    long n = 0, refused;
    do {
        fail_malloc_arm(++n, 0);
        const aimnet_status status = read_frames(&n_frames);
        refused = fail_malloc_disarm();
        assert_int_equal(status, refused ? AIMNET_ERR_MEMORY : AIMNET_OK);
    } while (refused > 0);
    assert_int_equal(n_frames, 2);
}

static void a_second_call_of_the_same_size_allocates_nothing(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 0, 0);
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    outcome first, second;
    assert_int_equal(aimnet_model_load(NULL, &f.hooks, &model), AIMNET_OK);
    assert_int_equal(aimnet_calc_create(&model, 1, NULL, &calc), AIMNET_OK);
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    assert_int_equal(evaluate(calc, &first), AIMNET_OK);
    const long calls = f.calls;
    fail_malloc_arm(0, 0);
    assert_int_equal(evaluate(calc, &second), AIMNET_OK);
    fail_malloc_disarm();
    assert_int_equal(f.calls, calls);
    assert_int_equal(fail_malloc_calls(), 0);
    assert_memory_equal(&first, &second, sizeof first);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
    fail_alloc_assert_clean(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_through_the_hooks_may_fail),
        cmocka_unit_test(every_malloc_may_fail_also_inside_libraries),
        cmocka_unit_test(every_malloc_of_a_reader_may_fail),
        cmocka_unit_test(a_second_call_of_the_same_size_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
