/* SPDX-License-Identifier: MIT */
/* threads.h - a team of workers and one parallel loop. Each calculator owns a team; there is no
 * global pool.
 *
 * Which worker runs which task is decided at run time, so a task's result must depend on its index
 * alone: that is how every result is the same for every number of threads. Workers spin for some
 * microseconds after a loop before they sleep (small molecules issue a loop every few
 * microseconds). */
#ifndef AIM_BASE_THREADS_H
#define AIM_BASE_THREADS_H

#include "base/alloc.h"

enum { AIM_MAX_THREADS = 1024 };

typedef struct aim_team aim_team;

/* worker is 0 .. aim_team_size - 1 and identifies scratch memory; task is 0 .. n_tasks - 1. */
typedef void (*aim_task_fn)(void *ctx, int64_t task, int worker);

/* threads <= 0: one per processor available to this process (affinity mask respected). The calling
 * thread is worker 0. */
AIM_NODISCARD aim_status aim_team_create(const aim_alloc *alloc, int threads, aim_team **team);
void aim_team_free(aim_team *team);
int aim_team_size(const aim_team *team); /* NULL counts as 1 */
/* Runs fn for every task; returns when all have finished. A NULL team or one task runs in the
 * caller. Not reentrant. */
void aim_parallel_for(aim_team *team, int64_t n_tasks, aim_task_fn fn, void *ctx);
/* Workers that sleep wake, and wait awake for the next loop as if one had just ended: for a caller that
 * knows of one coming, while it waits for something else. */
void aim_team_stir(aim_team *team);
int aim_processors(void);

#endif
