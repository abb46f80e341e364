/* SPDX-License-Identifier: MIT */
/* blocks.h - loops over the atoms of one structure in blocks that depend on their number alone: large
 * ones are shared among the team. What a block finds is kept by its number, so that it can be put
 * together in their order. */
#ifndef AIM_CALC_BLOCKS_H
#define AIM_CALC_BLOCKS_H

#include <stddef.h>

#include "base/threads.h"

/* Below AIM_BLOCK_MANY atoms it takes longer to wake the team than to do the work. */
enum { AIM_BLOCKS = 64, AIM_BLOCK_ATOMS = 1024, AIM_BLOCK_MANY = 8192 };

/* Atoms first .. last - 1. */
typedef void (*aim_block_fn)(void *ctx, int block, size_t first, size_t last);

int aim_blocks_count(size_t n_atoms);
void aim_blocks_run(aim_team *team, size_t n_atoms, aim_block_fn fn, void *ctx);

#endif
