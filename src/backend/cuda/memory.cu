/* SPDX-License-Identifier: MIT */
/* memory.cu - memory of a card for programs that have none of CUDA themselves, and what a pointer
 * points to. */
#include <cuda.h>
#include <stdio.h>

#include "backend/cuda/module.h"

static int check_card(int card, aim_dev_error *e)
{
    int n;
    e->status = 0;
    return cu_look(0, &n, NULL, e) || cu_check_index(card, n, e) ? e->status : 0;
}

int cu_take(int card, size_t bytes, void **block, aim_dev_error *e)
{
    *block = NULL;
    if (check_card(card, e))
        return e->status;
    const on_card here(card);
    CU_TRY(e, here.code, "starting");
    if (cudaMalloc(block, bytes ? bytes : 1) == cudaSuccess)
        return 0;
    cu_device d = {};
    *block = NULL;
    return cu_out_of_memory(&d, bytes, "an array", e);
}

void cu_give(int card, void *block)
{
    const on_card here(card);
    cudaFree(block);
    (void)cudaGetLastError();
}

int cu_copy(int card, void *to, const void *from, size_t bytes, void *stream, aim_dev_error *e)
{
    if (check_card(card, e))
        return e->status;
    const on_card here(card);
    CU_TRY(e, here.code, "starting");
    CU_TRY(e, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, (cudaStream_t)stream), "a copy");
    CU_TRY(e, cudaStreamSynchronize((cudaStream_t)stream), "a copy");
    return 0;
}

int cu_clear(int card, void *block, size_t bytes, void *stream, aim_dev_error *e)
{
    const on_card here(card);
    e->status = 0;
    CU_TRY(e, here.code, "starting");
    CU_TRY(e, cudaMemsetAsync(block, 0, bytes, (cudaStream_t)stream), "clearing");
    return 0;
}

int cu_can_wait(int card, void *stream, aim_dev_error *e)
{
    if (check_card(card, e))
        return e->status;
    const on_card here(card);
    CU_TRY(e, here.code, "starting");
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    CU_TRY(e, cudaStreamIsCapturing((cudaStream_t)stream, &capture), "the caller's stream");
    return capture == cudaStreamCaptureStatusNone
               ? 0
               : cu_fail(e, ERR_ARG,
                         "the stream is being captured: this call waits for it, which a capture "
                         "cannot%s%s",
                         "", "");
}

/* Bytes behind p, from the driver; 0 where it does not say. */
static size_t bytes_behind(const void *p)
{
    typedef CUresult range_fn(CUdeviceptr *, size_t *, CUdeviceptr);
    static void *kept;
    range_fn *range = (range_fn *)cu_driver("cuMemGetAddressRange", &kept);
    CUdeviceptr base = 0;
    size_t size = 0;
    if (!range || range(&base, &size, (CUdeviceptr)p) != CUDA_SUCCESS)
        return 0;
    return size - (size_t)((CUdeviceptr)p - base);
}

int cu_locate(const void *pointer, aim_dev_memory *m, aim_dev_error *e)
{
    cudaPointerAttributes a;
    e->status = 0;
    *m = aim_dev_memory{0, 0, 0};
    CU_TRY(e, cudaPointerGetAttributes(&a, pointer), "looking at a pointer");
    m->on_card = a.type == cudaMemoryTypeDevice || a.type == cudaMemoryTypeManaged;
    m->card = a.device;
    if (m->on_card) {
        const on_card here(m->card);
        m->bytes = bytes_behind(pointer);
    }
    return 0;
}
