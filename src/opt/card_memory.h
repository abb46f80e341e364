/* SPDX-License-Identifier: MIT */
/* card_memory.h - blocks of a card for paths that come and go: a card gives memory slowly, so it is
 * asked for large chunks, and what one path leaves is given to the next of its size. */
#ifndef AIM_OPT_CARD_MEMORY_H
#define AIM_OPT_CARD_MEMORY_H

#include "backend/device.h"
#include "base/alloc.h"

typedef struct aim_card_block {
    void *at;
    size_t size;
} aim_card_block;

typedef struct aim_card_memory {
    aim_alloc alloc;
    const aim_device_ops *ops;
    int index;
    aim_card_block *chunk, *hole; /* [n_chunks], [n_holes] */
    size_t n_chunks, n_holes, chunk_capacity, hole_capacity;
    size_t used; /* of the last chunk */
} aim_card_memory;

/* Bytes that are really taken for so many. */
size_t aim_card_round(size_t bytes);
/* `bytes` from aim_card_round. Errors: MEMORY, DEVICE. */
AIM_NODISCARD aim_status aim_card_take(aim_card_memory *m, size_t bytes, void **block);
void aim_card_give(aim_card_memory *m, void *block, size_t bytes);
void aim_card_memory_free(aim_card_memory *m);

#endif
