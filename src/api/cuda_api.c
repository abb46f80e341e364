/* SPDX-License-Identifier: MIT */
/* cuda_api.c - GPUs through the seam (aimnet_cuda.h). */
#include "aimnet_cuda.h"

#include <string.h>

#include "backend/device.h"
#include "base/status.h"

static aim_status look(int index, int *n, aim_dev_card *card)
{
    aim_dev_error e = {0};
    const aim_device_ops *ops = aim_device_load(&e);
    *n = 0;
    if (!ops || ops->look(index, n, card, &e))
        return AIM_FAIL((aim_status)e.status, "%s", e.text);
    return AIMNET_OK;
}

aimnet_status aimnet_cuda_count(int *n)
{
    return n ? look(0, n, NULL) : AIM_FAIL(AIMNET_ERR_ARG, "n is NULL: expected where to put it");
}

aimnet_status aimnet_cuda_get_card(int index, aimnet_cuda_card *card)
{
    int n;
    aim_dev_card found = {.major = 0};
    if (!card)
        return AIM_FAIL(AIMNET_ERR_ARG, "card is NULL: expected where to put it");
    *card = (aimnet_cuda_card){.major = 0};
    AIM_TRY(look(index, &n, &found));
    memcpy(card->name, found.name, sizeof card->name);
    card->major = found.major;
    card->minor = found.minor;
    card->driver = found.driver;
    card->runtime = found.runtime;
    card->memory = found.total;
    card->available = found.available;
    return AIMNET_OK;
}
