/* SPDX-License-Identifier: MIT */
/* aimnet_cuda.h - NVIDIA GPUs, for programs that want to know which there are.
 *
 * Nothing of CUDA is needed to build or to link: libaimnet_cuda.so is loaded by the first call.
 * Without it, without a driver or without a card every function here gives DEVICE, and
 * aimnet_last_error() says in a sentence which of them is missing. */
#ifndef AIMNET_CUDA_H
#define AIMNET_CUDA_H

#include "aimnet.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aimnet_cuda_card {
    char name[128];
    int major, minor;    /* compute capability; calculators take cards from 8.0 on */
    int driver, runtime; /* newest CUDA of the driver, CUDA of the module: 1000 major + 10 minor */
    size_t memory, available; /* bytes, and those that are free */
} aimnet_cuda_card;

/* Number of cards. Errors: ARG, DEVICE (none, or why they cannot be used; *n is 0). */
AIMNET_API aimnet_status aimnet_cuda_count(int *n);
/* Card `index`, counted from 0 as in the device "cuda:N". Errors: ARG, DEVICE. */
AIMNET_API aimnet_status aimnet_cuda_get_card(int index, aimnet_cuda_card *card);

#ifdef __cplusplus
}
#endif
#endif
