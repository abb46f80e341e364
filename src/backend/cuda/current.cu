/* SPDX-License-Identifier: MIT */
/* current.cu - which card is current while this module works. A thread leaves with the context that it
 * came with, or without one: cudaSetDevice() would leave it with ours, and on the way back to a card
 * that nobody has used it would start that one, with half a gigabyte there and a tenth of a second. */
#include <cuda.h>

#include "backend/cuda/module.h"

void *cu_driver(const char *name, void **kept)
{
    cudaDriverEntryPointQueryResult what;
    void *found = __atomic_load_n(kept, __ATOMIC_ACQUIRE);
    if (!found && cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &what) !=
                      cudaSuccess) {
        (void)cudaGetLastError();
        return NULL;
    }
    __atomic_store_n(kept, found, __ATOMIC_RELEASE);
    return found;
}

static CUresult current_context(CUcontext *context)
{
    typedef CUresult get_fn(CUcontext *);
    static void *kept;
    get_fn *get = (get_fn *)cu_driver("cuCtxGetCurrent", &kept);
    return get ? get(context) : CUDA_ERROR_NOT_FOUND;
}

static CUresult make_current(CUcontext context)
{
    typedef CUresult set_fn(CUcontext);
    static void *kept;
    set_fn *set = (set_fn *)cu_driver("cuCtxSetCurrent", &kept);
    return set ? set(context) : CUDA_ERROR_NOT_FOUND;
}

/* The context of a card that has been started, which keeps it for as long as the process lives. */
static CUresult context_of(int card, CUcontext *context)
{
    typedef CUresult retain_fn(CUcontext *, CUdevice);
    typedef CUresult release_fn(CUdevice);
    static void *kept[2];
    retain_fn *retain = (retain_fn *)cu_driver("cuDevicePrimaryCtxRetain", &kept[0]);
    release_fn *release = (release_fn *)cu_driver("cuDevicePrimaryCtxRelease", &kept[1]);
    if (!retain || !release)
        return CUDA_ERROR_NOT_FOUND;
    const CUresult code = retain(context, card);
    return code == CUDA_SUCCESS ? release(card) : code;
}

on_card::on_card(int card) : code(cudaInitDevice(card, 0, 0)), before(NULL), entered(0)
{
    CUcontext here = NULL, there = NULL;
    if (code != cudaSuccess)
        return;
    entered = current_context(&there) == CUDA_SUCCESS && context_of(card, &here) == CUDA_SUCCESS &&
              make_current(here) == CUDA_SUCCESS;
    before = there;
    if (!entered)
        code = cudaErrorDeviceUninitialized;
}

on_card::~on_card()
{
    if (entered)
        (void)make_current((CUcontext)before);
}
