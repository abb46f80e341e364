/* SPDX-License-Identifier: MIT */
/* card_memory.c - four sizes per power of two, so that blocks fit the next path of about the same
 * number of atoms and at most a quarter is lost. */
#include "opt/card_memory.h"

#include "calc/device.h"

enum { CHUNK = 1 << 25, LEAST = 4096 };

size_t aim_card_round(size_t bytes)
{
    size_t step = LEAST / 4;
    while (8 * step < bytes)
        step *= 2;
    return bytes <= LEAST ? LEAST : (bytes + step - 1) / step * step;
}

static aim_status add_chunk(aim_card_memory *m, size_t bytes)
{
    aim_dev_error e = {0};
    aim_card_block chunk = {.size = bytes > CHUNK ? bytes : CHUNK};
    if (m->n_chunks == m->chunk_capacity) {
        const size_t more = m->chunk_capacity ? 2 * m->chunk_capacity : 8;
        AIM_TRY(aim_grow(&m->alloc, m->chunk_capacity, more, sizeof *m->chunk, "memory of a card",
                         &m->chunk));
        m->chunk_capacity = more;
    }
    if (m->ops->take(m->index, chunk.size, &chunk.at, &e))
        return aim_device_error(&e);
    m->chunk[m->n_chunks++] = chunk;
    m->used = 0;
    return AIMNET_OK;
}

aim_status aim_card_take(aim_card_memory *m, size_t bytes, void **block)
{
    *block = NULL;
    for (size_t k = m->n_holes; k-- > 0;)
        if (m->hole[k].size == bytes) {
            *block = m->hole[k].at;
            m->hole[k] = m->hole[--m->n_holes];
            return AIMNET_OK;
        }
    if (m->n_chunks == 0 || m->chunk[m->n_chunks - 1].size - m->used < bytes)
        AIM_TRY(add_chunk(m, bytes));
    *block = (char *)m->chunk[m->n_chunks - 1].at + m->used;
    m->used += bytes;
    return AIMNET_OK;
}

/* Without room for the note the block is lost until all is given back: no error for anybody. */
void aim_card_give(aim_card_memory *m, void *block, size_t bytes)
{
    if (m->n_holes == m->hole_capacity) {
        const size_t more = m->hole_capacity ? 2 * m->hole_capacity : 64;
        if (aim_grow(&m->alloc, m->hole_capacity, more, sizeof *m->hole, "memory of a card",
                     &m->hole) != AIMNET_OK)
            return;
        m->hole_capacity = more;
    }
    m->hole[m->n_holes++] = (aim_card_block){block, bytes};
}

void aim_card_memory_free(aim_card_memory *m)
{
    for (size_t k = 0; k < m->n_chunks; k++)
        m->ops->give(m->index, m->chunk[k].at);
    aim_free(&m->alloc, m->chunk);
    aim_free(&m->alloc, m->hole);
}
