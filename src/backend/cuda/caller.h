/* SPDX-License-Identifier: MIT */
/* caller.h - when the sums over a network's atomic energies are formed (caller.cu). */
#ifndef AIM_BACKEND_CUDA_CALLER_H
#define AIM_BACKEND_CUDA_CALLER_H

#include "backend/cuda/cuda.h"

/* Whether they are formed beside the backward half: for few atoms that costs more than it saves. */
template <typename real> static inline int cu_sums_beside(const cu_work<real> *w)
{
    return w->caller && w->n > 2 * CU_SEGMENT;
}

#endif
