/* SPDX-License-Identifier: MIT */
/* cuda_memory.h - what the functions of aimnet_cuda.h ask of the caller's pointers. */
#ifndef AIM_API_CUDA_MEMORY_H
#define AIM_API_CUDA_MEMORY_H

#include "backend/device.h"
#include "base/status.h"

/* The message of a failure behind the seam. */
AIM_NODISCARD aim_status aim_cuda_error(const aim_dev_error *e);
/* The stream is not being captured. */
AIM_NODISCARD aim_status aim_cuda_can_wait(const aim_device_ops *ops, int card, void *stream);
/* `array` is memory of the card, and so long. NULL is refused unless bytes is 0. */
AIM_NODISCARD aim_status aim_cuda_check(const aim_device_ops *ops, int card, const void *array,
                                        size_t bytes, const char *name);
/* Copies an array of the host or of a card to `to`, after what stands in the stream. */
AIM_NODISCARD aim_status aim_cuda_fetch(const aim_device_ops *ops, int card, const void *array,
                                        size_t bytes, const char *name, void *stream, void *to);

#endif
