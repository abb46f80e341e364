/* SPDX-License-Identifier: MIT */
/* pool.c - one batch evaluation for all structures that run, then each moves by itself, on the
 * calculator's card where it can. Since a structure's results do not depend on the batch, neither
 * does its path. */
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
    const int on_card = p->card != NULL;
    AIM_TRY(aim_job_create(&p->alloc, system, frozen, &p->options, p->calc->options.precision,
                           on_card, &p->job[i]));
    const aim_status status = on_card ? aim_card_add(p->card, p->job[i]) : AIMNET_OK;
    if (status != AIMNET_OK) {
        aim_job_free(p->job[i]);
        p->job[i] = NULL;
        return status;
    }
    *slot = (int)i;
    return AIMNET_OK;
}

void aim_pool_remove(aim_pool *p, int slot)
{
    aim_job *job = p->job[slot];
    if (job->card_block)
        aim_card_remove(p->card, job);
    aim_job_free(job);
    p->job[slot] = NULL;
}

static int is_running(const aim_job *job)
{
    return job && job->path.now.verdict == AIMNET_OPT_RUNNING;
}

/* Those that run on the card, or those that do on the host. */
static int gather(aim_pool *p, int on_card)
{
    int n = 0;
    for (size_t i = 0; i < p->capacity; i++)
        if (is_running(p->job[i]) && (p->job[i]->card_block != NULL) == on_card)
            p->running[n++] = p->job[i];
    return n;
}

static aim_status advance_on_host(aim_pool *p, int n)
{
    for (int k = 0; k < n; k++)
        aim_job_ask(p->running[k], &p->systems[k], &p->results[k]);
    const aim_status status = aim_calc_run(p->calc, p->systems, n, p->results);
    if (status != AIMNET_OK && status != AIMNET_ERR_SOME_FAILED)
        return status;
    for (int k = 0; k < n; k++)
        aim_job_tell(p->running[k], &p->results[k]);
    return AIMNET_OK;
}

/* A GPU's graphs are for batches that come again; one that structures leave and join does not. */
static aim_status advance(aim_pool *p, int n, int on_card)
{
    const int no_graph = p->calc->options.no_graph;
    if (n == 0)
        return AIMNET_OK;
    p->calc->options.no_graph |= n > 1;
    const aim_status status = on_card
                                  ? aim_card_advance(p->card, p->running, n, p->systems, p->results)
                                  : advance_on_host(p, n);
    p->calc->options.no_graph = no_graph;
    return status;
}

aim_status aim_pool_advance(aim_pool *p, int *n_running)
{
    AIM_TRY(advance(p, gather(p, 1), 1));
    AIM_TRY(advance(p, gather(p, 0), 0));
    *n_running = 0;
    for (size_t i = 0; i < p->capacity; i++)
        *n_running += is_running(p->job[i]);
    return AIMNET_OK;
}

void aim_pool_free(aim_pool *p)
{
    if (!p)
        return;
    const aim_alloc alloc = p->alloc;
    for (size_t i = 0; i < p->capacity; i++)
        aim_job_free(p->job[i]);
    aim_card_close(p->card);
    aim_free(&alloc, p->job);
    aim_free(&alloc, p->systems);
    aim_free(&alloc, p->results);
    aim_free(&alloc, p->running);
    aim_free(&alloc, p);
}
