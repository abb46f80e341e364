/* SPDX-License-Identifier: MIT */
/* layers.h - dense layers that follow each other, in as few kernels as they go (mlp.cu): some hundred rows in
 * chain.cu, thousands in relay.cu. */
#ifndef AIM_BACKEND_CUDA_LAYERS_H
#define AIM_BACKEND_CUDA_LAYERS_H

#include "backend/cuda/cuda.h"

/* Layers one after the other, x of one y of the one before, or from anywhere. */
template <typename real> struct cu_layers {
    int n;
    cu_gemm<real> g[2 * AIM_DEV_LAYERS];
};

/* All of them; empties the list.
 * room: NULL, or bytes between the layers of some numbers of rows (chain.cu).
 * counters: NULL, or [rows] zeros for one list (relay.cu). They are raised before the kernel in front has ended, so
 * what clears them must have ended by then: where more blocks than the card holds came in between, it has. */
template <typename real>
void cu_multiply_all(cu_state *s, cudaStream_t stream, cu_layers<real> *layers, char *room,
                     unsigned *counters);
size_t cu_layers_room(int rows, int widest);
/* Whether layers of so many rows are faster together by counters than one by one. */
int cu_relay_gains(int rows, int processors);

#endif
