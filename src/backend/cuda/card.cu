/* SPDX-License-Identifier: MIT */
/* card.cu - cards: opening, closing, their memory, and what is said when one fails. */
#include <stdio.h>

#include "backend/cuda/module.h"
#include "backend/cuda/molecules.h"
#include "backend/cuda/tangent.h"
#include "backend/cuda/waves.h"

int cu_fail(aim_dev_error *e, int status, const char *format, const char *a, const char *b)
{
    e->status = status;
    snprintf(e->text, sizeof e->text, format, a, b);
    return status;
}

int cu_fail_cuda(aim_dev_error *e, cudaError_t code, const char *what)
{
    (void)cudaGetLastError();
    return cu_fail(e, code == cudaErrorMemoryAllocation ? ERR_MEMORY : ERR_DEVICE,
                   "the GPU failed in %s: %s", what, cudaGetErrorString(code));
}

void cu_close(void *object)
{
    cu_device *d = (cu_device *)object;
    const on_card here(d->index);
    if (d->stream)
        cudaStreamDestroy(d->stream);
    if (d->side)
        cudaStreamDestroy(d->side);
    if (d->fork)
        cudaEventDestroy(d->fork);
    if (d->join)
        cudaEventDestroy(d->join);
    for (int k = 0; k < CU_PARTS; k++)
        if (d->arrived[k])
            cudaEventDestroy(d->arrived[k]);
    cudaFree(d->workspace);
    cudaFreeHost(d->in);
    cudaFreeHost(d->out);
    cudaFreeHost(d->desk);
    (void)cudaGetLastError();
}

int cu_overlap;

static __global__ void any_kernel(void)
{
}

/* Whether kernels may begin before their predecessor has ended: all n cards can, and the code that the
 * current one runs was compiled for such cards, or cu_wait() would not wait. */
static int all_overlap(int n)
{
    cudaFuncAttributes code;
    for (int k = 0; k < n; k++) {
        int major = 0;
        if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, k) != cudaSuccess ||
            major < 9)
            return 0;
    }
    return cudaFuncGetAttributes(&code, any_kernel) == cudaSuccess && code.ptxVersion >= 90;
}

static int start_device(cu_device *d, int cards, aim_dev_error *e)
{
    cu_state s = {cudaSuccess, NULL};
    cu_overlap = all_overlap(cards);
    CU_TRY(e, cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking), "starting");
    CU_TRY(e, cudaStreamCreateWithFlags(&d->side, cudaStreamNonBlocking), "starting");
    CU_TRY(e, cudaEventCreateWithFlags(&d->fork, cudaEventDisableTiming), "starting");
    CU_TRY(e, cudaEventCreateWithFlags(&d->join, cudaEventDisableTiming), "starting");
    for (int k = 0; k < CU_PARTS; k++)
        CU_TRY(e, cudaEventCreateWithFlags(&d->arrived[k], cudaEventDisableTiming), "starting");
    cu_multiply_prepare(&s);
    cu_conv_prepare();
    cu_terms_prepare(&s);
    cu_molecules_prepare(d->processor_bytes);
    cu_term_tan_prepare(&s);
    cu_gradient_prepare(&s);
    cu_fft_prepare(&s);
    if (s.code == cudaErrorNoKernelImageForDevice || s.code == cudaErrorUnsupportedPtxVersion)
        return cu_fail(e, ERR_DEVICE,
                    "libaimnet_cuda.so has no code that this GPU and its driver can run%s%s", "",
                    "");
    CU_TRY(e, s.code, "starting");
    return 0;
}

static int count_cards(int *n, aim_dev_error *e)
{
    int driver = 0;
    *n = 0;
    char text[64], more[64];
    const cudaError_t code = cudaGetDeviceCount(n);
    (void)cudaGetLastError();
    if (code == cudaErrorInsufficientDriver) {
        cudaDriverGetVersion(&driver);
        if (driver == 0)
            return cu_fail(e, ERR_DEVICE, "no NVIDIA driver is installed%s%s", "", "");
        snprintf(text, sizeof text, "%d.%d", driver / 1000, driver % 1000 / 10);
        snprintf(more, sizeof more, "%d.%d", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
        return cu_fail(e, ERR_DEVICE, "the NVIDIA driver knows CUDA %s, libaimnet_cuda.so needs %s",
                    text, more);
    }
    if (code == cudaErrorNoDevice || (code == cudaSuccess && *n == 0))
        return cu_fail(e, ERR_DEVICE, "no NVIDIA GPU was found%s%s", "", "");
    CU_TRY(e, code, "looking for devices");
    return 0;
}

int cu_check_index(int index, int n, aim_dev_error *e)
{
    char text[64], more[64];
    if (index >= 0 && index < n)
        return 0;
    snprintf(text, sizeof text, "%d", index);
    snprintf(more, sizeof more, "%d", n);
    return cu_fail(e, ERR_DEVICE, "GPU %s does not exist: this machine has %s", text, more);
}

int cu_look(int index, int *n, aim_dev_card *card, aim_dev_error *e)
{
    cudaDeviceProp prop;
    if (count_cards(n, e))
        return e->status;
    if (!card)
        return 0;
    if (cu_check_index(index, *n, e))
        return e->status;
    CU_TRY(e, cudaGetDeviceProperties(&prop, index), "looking at the device");
    const on_card here(index);
    CU_TRY(e, here.code, "looking at the device");
    snprintf(card->name, sizeof card->name, "%.127s", prop.name);
    card->major = prop.major;
    card->minor = prop.minor;
    card->runtime = CUDART_VERSION;
    CU_TRY(e, cudaDriverGetVersion(&card->driver), "looking at the device");
    CU_TRY(e, cudaMemGetInfo(&card->available, &card->total), "looking at the device");
    return 0;
}

int cu_open(void *object, int index, size_t memory, aim_dev_error *e)
{
    int n;
    char text[64];
    if (count_cards(&n, e) || cu_check_index(index, n, e))
        return e->status;
    cudaDeviceProp prop;
    CU_TRY(e, cudaGetDeviceProperties(&prop, index), "looking at the device");
    if (prop.major < 8) {
        snprintf(text, sizeof text, "%d.%d", prop.major, prop.minor);
        return cu_fail(e, ERR_DEVICE, "%s has compute capability %s: at least 8.0 is needed",
                    prop.name, text);
    }
    cu_device *d = (cu_device *)object;
    d->index = index;
    d->limit = memory;
    d->processors = prop.multiProcessorCount;
    d->processor_bytes = (int)prop.sharedMemPerMultiprocessor;
    d->major = prop.major;
    d->minor = prop.minor;
    d->warpgroups = prop.major == 9 && prop.minor == 0 && cu_have_warpgroups();
    const on_card here(index);
    CU_TRY(e, here.code, "starting");
    if (start_device(d, n, e)) {
        cu_close(d);
        return e->status;
    }
    return 0;
}

void cu_describe(void *object, char *name, size_t capacity, size_t *total, size_t *available)
{
    const cu_device *d = (const cu_device *)object;
    cudaDeviceProp prop;
    const on_card here(d->index);
    *total = *available = 0;
    name[0] = 0;
    if (here.code == cudaSuccess &&
        cudaGetDeviceProperties(&prop, d->index) == cudaSuccess) {
        snprintf(name, capacity, "%s", prop.name);
        cudaMemGetInfo(available, total);
    }
    (void)cudaGetLastError();
}

int cu_out_of_memory(cu_device *d, size_t bytes, const char *what, aim_dev_error *e)
{
    size_t total = 0, available = 0;
    char text[64], more[64];
    (void)cudaGetLastError();
    cudaMemGetInfo(&available, &total);
    snprintf(text, sizeof text, "%.2f GB for %s", (double)bytes * 1e-9, what);
    if (d->limit && bytes > d->limit) {
        snprintf(more, sizeof more, "%.2f GB", (double)d->limit * 1e-9);
        return cu_fail(e, ERR_MEMORY, "the GPU's memory is not enough: %s are needed, the option "
                                      "device_memory allows %s", text, more);
    }
    snprintf(more, sizeof more, "%.2f of %.2f GB are free", (double)available * 1e-9,
             (double)total * 1e-9);
    return cu_fail(e, ERR_MEMORY, "the GPU has no memory left: %s are needed, %s", text, more);
}

size_t cu_room(const cu_device *d)
{
    enum { LEFT = 32 << 20 }; /* for the driver */
    size_t total = 0, room = 0;
    (void)cudaMemGetInfo(&room, &total);
    room += d->workspace_size;
    room = room > LEFT ? room - LEFT : 0;
    return d->limit && d->limit < room ? d->limit : room;
}

size_t cu_ample(const cu_device *d, size_t bytes)
{
    return bytes + bytes / 8 <= cu_room(d) ? bytes + bytes / 8 : bytes;
}

static int reserve_pinned(cu_device *d, void **block, size_t *size, size_t need, aim_dev_error *e)
{
    if (need <= *size)
        return 0;
    cudaFreeHost(*block);
    *block = NULL;
    *size = 0;
    d->workspace_age++;
    const size_t ample = need + need / 8;
    if (cudaMallocHost(block, ample) != cudaSuccess) {
        (void)cudaGetLastError();
        return cu_fail(e, ERR_MEMORY, "no page-locked memory for the batch%s%s", "", "");
    }
    *size = ample;
    return 0;
}

int cu_reserve(cu_device *d, size_t workspace, size_t in, size_t out, aim_dev_error *e)
{
    if (workspace > d->workspace_size) {
        if (d->limit && workspace > d->limit)
            return cu_out_of_memory(d, workspace, "this batch", e);
        const size_t size = cu_ample(d, workspace);
        cudaFree(d->workspace);
        d->workspace = NULL;
        d->workspace_size = 0;
        d->workspace_age++;
        if (cudaMalloc(&d->workspace, size) == cudaSuccess) {
            d->workspace_size = size;
        } else {
            (void)cudaGetLastError();
            if (cudaMalloc(&d->workspace, workspace) != cudaSuccess)
                return cu_out_of_memory(d, workspace, "this batch", e);
            d->workspace_size = workspace;
        }
    }
    return reserve_pinned(d, &d->in, &d->in_size, in, e) ||
                   reserve_pinned(d, &d->out, &d->out_size, out, e)
               ? e->status
               : 0;
}

int cu_desk(void *object, size_t bytes, void **block, aim_dev_error *e)
{
    cu_device *d = (cu_device *)object;
    const on_card here(d->index);
    e->status = 0;
    if (reserve_pinned(d, &d->desk, &d->desk_size, bytes, e))
        return e->status;
    *block = d->desk;
    return 0;
}

