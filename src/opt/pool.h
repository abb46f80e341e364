/* SPDX-License-Identifier: MIT */
/* pool.h - the structures that are optimised together. */
#ifndef AIM_OPT_POOL_H
#define AIM_OPT_POOL_H

#include "calc/calc.h"
#include "opt/card.h"
#include "opt/job.h"

struct aimnet_opt {
    aim_alloc alloc;
    aimnet_opt_options options;
    aim_calc *calc;
    aim_card *card; /* where structures move if they can, or NULL */
    aim_job **job;  /* [capacity] NULL: a free slot */
    size_t capacity;
    /* of one evaluation, [capacity] */
    aimnet_system *systems;
    aimnet_result *results;
    aim_job **running;
};
typedef struct aimnet_opt aim_pool;

AIM_NODISCARD aim_status aim_pool_add(aim_pool *pool, const aimnet_system *system,
                                      const uint8_t *frozen, int *slot);
/* The slot holds a structure. */
void aim_pool_remove(aim_pool *pool, int slot);
AIM_NODISCARD aim_status aim_pool_advance(aim_pool *pool, int *n_running);
void aim_pool_free(aim_pool *pool);

#endif
