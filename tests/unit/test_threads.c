/* SPDX-License-Identifier: MIT */
/* test_threads.c - the team of workers and the parallel loop (src/base/threads.c). Run under the
 * thread sanitizer by `make tsan`. */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "fail_alloc.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/threads.h"

enum { MAX_TASKS = 1000 };

typedef struct record {
    int count[MAX_TASKS]; /* plain memory: the sanitizer checks that the team orders the accesses */
    int worker[MAX_TASKS];
    double spin;
} record;

static double busy(double seed)
{
    double x = seed;
    for (int i = 0; i < 200; i++)
        x = x * 0.999 + 0.5;
    return x;
}

static void note(void *ctx, int64_t task, int worker)
{
    record *r = ctx;
    r->count[task]++;
    r->worker[task] = worker;
    if (r->spin > 0 && busy(r->spin) < 0)
        r->count[task] = 0;
}

static aim_team *new_team(int threads)
{
    const aim_alloc a = aim_alloc_default();
    aim_team *team = NULL;
    assert_int_equal(aim_team_create(&a, threads, &team), AIMNET_OK);
    assert_non_null(team);
    return team;
}

static void every_task_runs_exactly_once(void **state)
{
    (void)state;
    static const int sizes[] = {1, 2, 3, 8};
    static const int64_t tasks[] = {0, 1, 2, 3, 7, 64, MAX_TASKS};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        aim_team *team = new_team(sizes[s]);
        assert_int_equal(aim_team_size(team), sizes[s]);
        for (size_t t = 0; t < sizeof tasks / sizeof tasks[0]; t++) {
            record r = {.spin = 1.0};
            aim_parallel_for(team, tasks[t], note, &r);
            for (int64_t i = 0; i < MAX_TASKS; i++) {
                assert_int_equal(r.count[i], i < tasks[t]);
                assert_in_range(r.worker[i], 0, sizes[s] - 1);
            }
        }
        aim_team_free(team);
    }
}

static void thousands_of_short_loops_lose_no_task(void **state)
{
    (void)state;
    aim_team *team = new_team(3);
    record r = {.spin = 0.0};
    enum { LOOPS = 20000 };
    for (int i = 0; i < LOOPS; i++)
        aim_parallel_for(team, 2 + i % 5, note, &r);
    assert_int_equal(r.count[0], LOOPS);
    assert_int_equal(r.count[1], LOOPS);
    assert_int_equal(r.count[5], LOOPS / 5);
    aim_team_free(team);
}

static void a_loop_after_the_workers_fell_asleep_is_complete(void **state)
{
    (void)state;
    aim_team *team = new_team(4);
    record r = {.spin = 1.0};
    for (int i = 0; i < 20; i++) {
        const struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
        aim_parallel_for(team, 50, note, &r);
    }
    for (int i = 0; i < 50; i++)
        assert_int_equal(r.count[i], 20);
    aim_team_free(team);
}

static void do_nothing(void *ctx, int64_t task, int worker)
{
    (void)ctx;
    (void)task;
    (void)worker;
}

/* A worker that was late for the loop must not take the end for its next one and wait for another. */
static void teams_that_end_right_behind_a_loop_do_end(void **state)
{
    (void)state;
    for (int i = 0; i < 10000; i++) {
        const struct timespec moment = {0, 0}; /* so that the workers start together */
        nanosleep(&moment, NULL);
        aim_team *team = new_team(4);
        aim_parallel_for(team, 4, do_nothing, NULL);
        aim_team_free(team);
    }
}

static void wait_a_little(void *ctx, int64_t task, int worker)
{
    const struct timespec pause = {0, task == 0 ? 3000000 : 0};
    nanosleep(&pause, NULL);
    note(ctx, task, worker);
}

static void the_caller_waits_for_a_slow_task_of_somebody_else(void **state)
{
    (void)state;
    aim_team *team = new_team(2);
    record r = {.spin = 0.0};
    for (int i = 0; i < 20; i++)
        aim_parallel_for(team, 3, wait_a_little, &r);
    for (int i = 0; i < 3; i++)
        assert_int_equal(r.count[i], 20);
    aim_team_free(team);
}

static void scratch_per_worker_is_never_shared(void **state)
{
    (void)state;
    enum { THREADS = 5 };
    aim_team *team = new_team(THREADS);
    record r = {.spin = 1.0};
    for (int i = 0; i < 50; i++)
        aim_parallel_for(team, MAX_TASKS, note, &r);
    for (int i = 0; i < MAX_TASKS; i++)
        assert_in_range(r.worker[i], 0, THREADS - 1);
    aim_team_free(team);
}

static void no_team_means_the_caller_alone(void **state)
{
    (void)state;
    record r = {.spin = 0.0};
    assert_int_equal(aim_team_size(NULL), 1);
    aim_parallel_for(NULL, 10, note, &r);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(r.count[i], 1);
        assert_int_equal(r.worker[i], 0);
    }
    aim_parallel_for(NULL, -3, note, &r);
    aim_team_free(NULL);
}

static void the_default_size_is_the_number_of_processors(void **state)
{
    (void)state;
    assert_true(aim_processors() >= 1);
    aim_team *team = new_team(0);
    assert_int_equal(aim_team_size(team), aim_processors() < 1024 ? aim_processors() : 1024);
    aim_team_free(team);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    aim_team *team;
    assert_int_equal(aim_team_create(&a, 100000, &team), AIMNET_ERR_ARG);
    assert_null(team);
    assert_non_null(strstr(aimnet_last_error(), "100000 threads"));
}

static aimnet_status create_and_free(const aimnet_allocator *hooks, void *ctx)
{
    (void)ctx;
    aim_team *team;
    const aim_status status = aim_team_create(hooks, 2, &team);
    aim_team_free(team);
    return status;
}

static void a_failing_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_true(fail_alloc_sweep(create_and_free, NULL) >= 1);
}

static void *own_team(void *arg)
{
    record *r = arg;
    aim_team *team = new_team(2);
    for (int i = 0; i < 500; i++)
        aim_parallel_for(team, 20, note, r);
    aim_team_free(team);
    return NULL;
}

static void teams_of_different_threads_are_independent(void **state)
{
    (void)state;
    static record r[3];
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, own_team, &r[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (int i = 0; i < 3; i++)
        for (int t = 0; t < 20; t++)
            assert_int_equal(r[i].count[t], 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_exactly_once),
        cmocka_unit_test(thousands_of_short_loops_lose_no_task),
        cmocka_unit_test(a_loop_after_the_workers_fell_asleep_is_complete),
        cmocka_unit_test(teams_that_end_right_behind_a_loop_do_end),
        cmocka_unit_test(the_caller_waits_for_a_slow_task_of_somebody_else),
        cmocka_unit_test(scratch_per_worker_is_never_shared),
        cmocka_unit_test(no_team_means_the_caller_alone),
        cmocka_unit_test(the_default_size_is_the_number_of_processors),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(a_failing_allocation_leaves_nothing_behind),
        cmocka_unit_test(teams_of_different_threads_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
