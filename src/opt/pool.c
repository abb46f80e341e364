/* SPDX-License-Identifier: MIT */
/* pool.c - one batch evaluation for all structures that run, then each moves by itself. Since a
 * structure's results do not depend on the batch, neither does its path. */
#include "opt/pool.h"

static aim_status reserve(aim_pool *p, size_t capacity)
{
    const size_t old = p->capacity;
    if (capacity <= old)
        return AIMNET_OK;
    AIM_TRY(aim_grow(&p->alloc, old, capacity, sizeof *p->systems, "a pool", &p->systems));
    AIM_TRY(aim_grow(&p->alloc, old, capacity, sizeof *p->results, "a pool", &p->results));
    AIM_TRY(aim_grow(&p->alloc, old, capacity, sizeof *p->running, "a pool", &p->running));
    AIM_TRY(aim_grow(&p->alloc, old, capacity, sizeof *p->job, "a pool", &p->job));
    for (size_t i = old; i < capacity; i++)
        p->job[i] = NULL;
    p->capacity = capacity;
    return AIMNET_OK;
}

aim_status aim_pool_add(aim_pool *p, const aimnet_system *system, const uint8_t *frozen, int *slot)
{
    size_t i = 0;
    while (i < p->capacity && p->job[i])
        i++;
    if (i == p->capacity)
        AIM_TRY(reserve(p, p->capacity ? 2 * p->capacity : 16));
    AIM_TRY(aim_job_create(&p->alloc, system, frozen, &p->options, p->calc->options.precision,
                           &p->job[i]));
    *slot = (int)i;
    return AIMNET_OK;
}

aim_status aim_pool_advance(aim_pool *p, int *n_running)
{
    int n = 0;
    for (size_t i = 0; i < p->capacity; i++) {
        aim_job *job = p->job[i];
        if (!job || job->verdict != AIMNET_OPT_RUNNING)
            continue;
        aim_job_ask(job, &p->systems[n], &p->results[n]);
        p->running[n++] = job;
    }
    const aim_status status = aim_calc_run(p->calc, p->systems, n, p->results);
    if (status != AIMNET_OK && status != AIMNET_ERR_SOME_FAILED)
        return status;
    *n_running = 0;
    for (int k = 0; k < n; k++) {
        aim_job_tell(p->running[k], &p->results[k]);
        *n_running += p->running[k]->verdict == AIMNET_OPT_RUNNING;
    }
    return AIMNET_OK;
}

void aim_pool_free(aim_pool *p)
{
    if (!p)
        return;
    const aim_alloc alloc = p->alloc;
    for (size_t i = 0; i < p->capacity; i++)
        aim_job_free(p->job[i]);
    aim_free(&alloc, p->job);
    aim_free(&alloc, p->systems);
    aim_free(&alloc, p->results);
    aim_free(&alloc, p->running);
    aim_free(&alloc, p);
}
