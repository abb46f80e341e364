/* SPDX-License-Identifier: MIT */
/* cuda_memory.c - memory of a card for programs without CUDA of their own, and checks of the caller's
 * pointers: a wrong one would otherwise end the context of the whole program. */
#include "api/cuda_memory.h"

#include <string.h>

#include "aimnet_cuda.h"

aim_status aim_cuda_error(const aim_dev_error *e)
{
    return AIM_FAIL((aim_status)e->status, "%s", e->text);
}

static aim_status check_length(const aim_dev_memory *m, size_t bytes, const char *name)
{
    return m->bytes == 0 || m->bytes >= bytes
               ? AIMNET_OK
               : AIM_FAIL(AIMNET_ERR_ARG, "%s ends after %zu bytes, but %zu are needed", name,
                          m->bytes, bytes);
}

static aim_status locate(const aim_device_ops *ops, const void *array, const char *name,
                         aim_dev_memory *m)
{
    aim_dev_error e = {0};
    if (!array)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL: expected an array", name);
    return ops->locate(array, m, &e) ? aim_cuda_error(&e) : AIMNET_OK;
}

aim_status aim_cuda_can_wait(const aim_device_ops *ops, int card, void *stream)
{
    aim_dev_error e = {0};
    return ops->can_wait(card, stream, &e) ? aim_cuda_error(&e) : AIMNET_OK;
}

aim_status aim_cuda_check(const aim_device_ops *ops, int card, const void *array, size_t bytes,
                          const char *name)
{
    aim_dev_memory m;
    if (bytes == 0)
        return AIMNET_OK;
    AIM_TRY(locate(ops, array, name, &m));
    if (!m.on_card)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is memory of the host: expected memory of GPU %d", name,
                        card);
    if (m.card != card)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is memory of GPU %d: expected memory of GPU %d", name,
                        m.card, card);
    return check_length(&m, bytes, name);
}

aim_status aim_cuda_fetch(const aim_device_ops *ops, int card, const void *array, size_t bytes,
                          const char *name, void *stream, void *to)
{
    aim_dev_memory m;
    aim_dev_error e = {0};
    if (bytes == 0)
        return AIMNET_OK;
    AIM_TRY(locate(ops, array, name, &m));
    if (!m.on_card) {
        memcpy(to, array, bytes);
        return AIMNET_OK;
    }
    AIM_TRY(check_length(&m, bytes, name));
    return ops->copy(card, to, array, bytes, stream, &e) ? aim_cuda_error(&e) : AIMNET_OK;
}

static aim_status load(const aim_device_ops **ops)
{
    aim_dev_error e = {0};
    *ops = aim_device_load(&e);
    return *ops ? AIMNET_OK : aim_cuda_error(&e);
}

aimnet_status aimnet_cuda_alloc(int card, size_t bytes, void **block)
{
    const aim_device_ops *ops;
    aim_dev_error e = {0};
    if (!block)
        return AIM_FAIL(AIMNET_ERR_ARG, "block is NULL: expected where to put the address");
    *block = NULL;
    AIM_TRY(load(&ops));
    return ops->take(card, bytes, block, &e) ? aim_cuda_error(&e) : AIMNET_OK;
}

void aimnet_cuda_free(int card, void *block)
{
    aim_dev_error e = {0};
    const aim_device_ops *ops = block ? aim_device_load(&e) : NULL;
    if (ops)
        ops->give(card, block);
}

/* One end of a copy: memory of a card is at least so long. */
static aim_status check_end(const aim_device_ops *ops, const void *array, size_t bytes,
                            const char *name)
{
    aim_dev_memory m;
    AIM_TRY(locate(ops, array, name, &m));
    return m.on_card ? check_length(&m, bytes, name) : AIMNET_OK;
}

aimnet_status aimnet_cuda_copy(int card, void *to, const void *from, size_t bytes, void *stream)
{
    const aim_device_ops *ops;
    aim_dev_error e = {0};
    if (bytes == 0)
        return AIMNET_OK;
    AIM_TRY(load(&ops));
    AIM_TRY(check_end(ops, to, bytes, "to"));
    AIM_TRY(check_end(ops, from, bytes, "from"));
    return ops->copy(card, to, from, bytes, stream, &e) ? aim_cuda_error(&e) : AIMNET_OK;
}
