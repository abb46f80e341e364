/* SPDX-License-Identifier: MIT */
/* blocks.c - blocks of atoms for the steps before and after an evaluation, which are copies and
 * checks: beside a GPU, one thread would spend a seventh of the time with them. */
#include "calc/blocks.h"

typedef struct loop {
    size_t n_atoms;
    int blocks;
    aim_block_fn fn;
    void *ctx;
} loop;

int aim_blocks_count(size_t n_atoms)
{
    const size_t blocks = n_atoms / AIM_BLOCK_ATOMS;
    return n_atoms < AIM_BLOCK_MANY ? 1 : blocks < AIM_BLOCKS ? (int)blocks : AIM_BLOCKS;
}

static void task(void *ctx, int64_t k, int worker)
{
    const loop *l = ctx;
    const size_t blocks = (size_t)l->blocks;
    (void)worker;
    l->fn(l->ctx, (int)k, l->n_atoms * (size_t)k / blocks, l->n_atoms * (size_t)(k + 1) / blocks);
}

void aim_blocks_run(aim_team *team, size_t n_atoms, aim_block_fn fn, void *ctx)
{
    loop l = {n_atoms, aim_blocks_count(n_atoms), fn, ctx};
    aim_parallel_for(team, l.blocks, task, &l);
}
