/* SPDX-License-Identifier: MIT */
/* carve.h - arrays laid out one after the other: without memory, to measure, then in a workspace. */
#ifndef AIM_CUDA_CARVE_H
#define AIM_CUDA_CARVE_H

#include "backend/cuda/cuda.h"

typedef struct carver {
    char *base; /* NULL: measure */
    size_t used;
} carver;

template <typename T> static void take(carver *c, T **field, size_t count)
{
    *field = c->base ? (T *)(c->base + c->used) : NULL;
    c->used += (count * sizeof **field + 255) / 256 * 256;
}

#define TAKE(c, field, count) take((c), &(field), (size_t)(count))

static inline int max_of(int a, int b)
{
    return a > b ? a : b;
}

/* The longest row between the layers of m. */
static inline int widest(const cu_mlp *m)
{
    int w = 0;
    for (int l = 0; l < m->n_layers; l++)
        w = max_of(w, max_of(m->layer[l].ld_out, l ? m->layer[l].ld_in : 0));
    return w;
}

#endif
