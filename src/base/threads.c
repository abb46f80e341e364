/* SPDX-License-Identifier: MIT */
/* threads.c - a team of POSIX threads and one parallel loop with dynamic assignment of tasks.
 *
 * All coordination goes through one 64-bit word, `state` = epoch | closed | active. The caller
 * opens a loop by storing a new epoch with closed = 0 and active = 0. A worker joins by adding 1 to
 * `active` while the loop is open, takes tasks from the counter `next` and leaves by subtracting 1.
 * When the tasks run out the caller closes the loop, after which nobody can join, and waits for
 * active = 0. So the caller waits only for workers that are in the middle of a task, never for one
 * that sleeps or was descheduled before it joined: on a loaded machine a loop degrades to the
 * caller doing the work alone.
 *
 * Waiting has three stages: pause instructions for SPIN_NS, then sched_yield() until YIELD_NS, then
 * a condition variable. A team with more threads than processors skips the spinning. The handshake
 * with sleepers is Dekker's: one side writes `state` and reads `sleepers`, the other writes
 * `sleepers` and reads `state`, all sequentially consistent. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/platform.h"

enum { LINE = 64 };
enum { SPIN_NS = 40000, YIELD_NS = 100000, PAUSES_PER_LOOK = 32 };

#define ACTIVE_MASK UINT64_C(0xffff)
#define CLOSED      UINT64_C(0x10000)
#define EPOCH_STEP  UINT64_C(0x20000)
#define EPOCH_MASK  (~(EPOCH_STEP - 1))

typedef struct member {
    aim_team *team;
    pthread_t thread;
    int worker;
} member;

/* What a worker touches to take part stands in one cache line: joining costs one transfer of it
 * from core to core. */
struct aim_team {
    _Alignas(LINE) _Atomic uint64_t state;
    _Atomic int64_t next; /* task to be taken next */
    aim_task_fn
        fn; /* of the open loop, like the next two; read by workers only after they joined */
    void *ctx;
    int64_t n_tasks;
    _Alignas(LINE) _Atomic int sleepers; /* workers in or about to enter pthread_cond_wait */
    _Atomic int caller_sleeps;
    _Atomic int stop;
    int64_t spin_ns, yield_ns;
    pthread_mutex_t mutex;
    pthread_cond_t wake, finished;
    aim_alloc alloc;
    void *block;
    member *members; /* [size]; member 0 is the caller and has no thread */
    int size, started;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int is_idle(uint64_t state) /* the workers have left */
{
    return (state & ACTIVE_MASK) == 0;
}

/* Spins, then yields, until another epoch is open (or, with `seen` NULL, until the workers have
 * left the closed loop). Returns 0 when the time is up. */
static int wait_awake(aim_team *team, const uint64_t *seen)
{
    int64_t start = 0;
    for (;;) {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            const uint64_t state = atomic_load_explicit(&team->state, memory_order_acquire);
            if (seen ? (state & EPOCH_MASK) != *seen : is_idle(state))
                return 1;
            relax();
        }
        const int64_t now = now_ns();
        if (start == 0)
            start = now;
        if (now - start >= team->yield_ns)
            return 0;
        if (now - start >= team->spin_ns)
            sched_yield();
    }
}

static void sleep_until_open(aim_team *team, uint64_t seen)
{
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->sleepers, 1);
    while ((atomic_load(&team->state) & EPOCH_MASK) == seen)
        pthread_cond_wait(&team->wake, &team->mutex);
    atomic_fetch_sub(&team->sleepers, 1);
    pthread_mutex_unlock(&team->mutex);
}

static void sleep_until_idle(aim_team *team)
{
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->caller_sleeps, 1);
    while (!is_idle(atomic_load(&team->state)))
        pthread_cond_wait(&team->finished, &team->mutex);
    atomic_store(&team->caller_sleeps, 0);
    pthread_mutex_unlock(&team->mutex);
}

/* Passing through the mutex makes sure that whoever announced sleep has reached pthread_cond_wait.
 */
static void pass_mutex(aim_team *team)
{
    pthread_mutex_lock(&team->mutex);
    pthread_mutex_unlock(&team->mutex);
}

static void wake_sleepers(aim_team *team, int64_t wanted)
{
    const int sleepers = atomic_load(&team->sleepers);
    if (sleepers == 0)
        return;
    pass_mutex(team);
    if (wanted >= sleepers)
        pthread_cond_broadcast(&team->wake);
    else
        for (int64_t i = 0; i < wanted; i++)
            pthread_cond_signal(&team->wake);
}

static void run_tasks(aim_team *team, int worker)
{
    const aim_task_fn fn = team->fn;
    void *const ctx = team->ctx;
    const int64_t n_tasks = team->n_tasks;
    int64_t task;
    while ((task = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed)) < n_tasks)
        fn(ctx, task, worker);
}

/* Takes part in the loop that is open, if it still is. Returns the epoch that was looked at. */
static uint64_t join_loop(aim_team *team, int worker)
{
    uint64_t state = atomic_load_explicit(&team->state, memory_order_acquire);
    do {
        if (state & CLOSED)
            return state & EPOCH_MASK;
    } while (!atomic_compare_exchange_weak(&team->state, &state, state + 1));
    run_tasks(team, worker);
    const uint64_t before = atomic_fetch_sub(&team->state, 1);
    if (is_idle(before - 1) && atomic_load(&team->caller_sleeps)) {
        pass_mutex(team);
        pthread_cond_signal(&team->finished);
    }
    return state & EPOCH_MASK;
}

static void *worker_main(void *arg)
{
    const member *self = arg;
    aim_team *team = self->team;
    uint64_t seen = 0;
    /* asked behind the loop: the epoch that it has seen may be the one that `stop` has announced */
    while (!atomic_load(&team->stop)) {
        if (!wait_awake(team, &seen))
            sleep_until_open(team, seen);
        seen = join_loop(team, self->worker);
    }
    return NULL;
}

void aim_parallel_for(aim_team *team, int64_t n_tasks, aim_task_fn fn, void *ctx)
{
    if (!team || team->size == 1 || n_tasks <= 1) {
        for (int64_t task = 0; task < n_tasks; task++)
            fn(ctx, task, 0);
        return;
    }
    team->fn = fn;
    team->ctx = ctx;
    team->n_tasks = n_tasks;
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
    const uint64_t epoch = atomic_load_explicit(&team->state, memory_order_relaxed) & EPOCH_MASK;
    atomic_store(&team->state, epoch + EPOCH_STEP);
    wake_sleepers(team, n_tasks - 1);
    run_tasks(team, 0);
    const uint64_t before = atomic_fetch_or(&team->state, CLOSED);
    if (!is_idle(before) && !wait_awake(team, NULL))
        sleep_until_idle(team);
}

void aim_team_stir(aim_team *team)
{
    if (!team || team->size == 1 || team->yield_ns == 0)
        return;
    atomic_fetch_add(&team->state, EPOCH_STEP); /* a closed loop: everybody looks, nobody joins */
    /* Without the mutex, at which those stand who just wake. Who falls asleep meanwhile sleeps on until the
     * next loop. */
    if (atomic_load(&team->sleepers))
        pthread_cond_broadcast(&team->wake);
}

int aim_processors(void)
{
#if defined(__linux__)
    /* Larger and larger masks: the kernel refuses one that is smaller than its own. */
    for (int bits = 1024; bits <= 1 << 20; bits *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)bits);
        if (!set)
            break;
        const size_t size = CPU_ALLOC_SIZE((size_t)bits);
        CPU_ZERO_S(size, set);
        const int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
#endif
    return aim_os_processors();
}

/* Workers leave all signals to the threads of the program. */
static int start_thread(member *m)
{
#if defined(_WIN32)
    return pthread_create(&m->thread, NULL, worker_main, m);
#else
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int error = pthread_create(&m->thread, NULL, worker_main, m);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
#endif
}

static void init_team(aim_team *team, const aim_alloc *alloc, void *block, int threads)
{
    memset(team, 0, sizeof *team);
    team->alloc = *alloc;
    team->block = block;
    team->size = threads;
    team->members = (member *)(team + 1);
    atomic_init(&team->state, CLOSED);
    const int crowded = threads > aim_processors();
    team->spin_ns = crowded ? 0 : SPIN_NS;
    team->yield_ns = crowded ? 0 : YIELD_NS;
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->finished, NULL);
}

aim_status aim_team_create(const aim_alloc *alloc, int threads, aim_team **team)
{
    *team = NULL;
    if (threads > AIM_MAX_THREADS)
        return AIM_FAIL(AIMNET_ERR_ARG, "%d threads are too many: the largest number is %d",
                        threads, AIM_MAX_THREADS);
    if (threads <= 0)
        threads = aim_processors() < AIM_MAX_THREADS ? aim_processors() : AIM_MAX_THREADS;
    void *block;
    AIM_TRY(aim_new(alloc, 1, sizeof(aim_team) + (size_t)threads * sizeof(member) + LINE,
                    "a team of threads", &block));
    const size_t skew = (size_t)((uintptr_t)block % LINE);
    aim_team *t = (aim_team *)(void *)((unsigned char *)block + (skew ? LINE - skew : 0));
    init_team(t, alloc, block, threads);
    for (t->started = 1; t->started < threads; t->started++) {
        member *m = &t->members[t->started];
        *m = (member){.team = t, .worker = t->started};
        const int error = start_thread(m);
        if (error) {
            const int reached = t->started;
            aim_team_free(t);
            return AIM_FAIL(
                AIMNET_ERR_MEMORY,
                "thread %d of %d could not be started (error %d): ask for fewer threads",
                reached + 1, threads, error);
        }
    }
    *team = t;
    return AIMNET_OK;
}

void aim_team_free(aim_team *team)
{
    if (!team)
        return;
    atomic_store(&team->stop, 1);
    atomic_fetch_add(&team->state, EPOCH_STEP); /* a closed loop: everybody looks, nobody joins */
    wake_sleepers(team, AIM_MAX_THREADS);
    for (int i = 1; i < team->started; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_cond_destroy(&team->finished);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->mutex);
    const aim_alloc alloc = team->alloc;
    aim_free(&alloc, team->block);
}

int aim_team_size(const aim_team *team)
{
    return team ? team->size : 1;
}
