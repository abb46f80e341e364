/* SPDX-License-Identifier: MIT */
/* device.c - finds and loads the module of a compute device, and takes a card.
 *
 * The module libaimnet_cuda.so is looked for beside the library or program that contains this code,
 * in the lib folder beside that, and where the system looks for libraries; AIMNET_CUDA_MODULE names
 * another file. It is loaded once and stays; nothing of CUDA is needed to build or run without. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1 /* dladdr */
#endif
#include "backend/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

#include "aimnet.h"

static int refuse(aim_dev_error *e, const char *text, const char *detail)
{
    e->status = AIMNET_ERR_DEVICE;
    snprintf(e->text, sizeof e->text, "%s%s", text, detail);
    return e->status;
}

int aim_device_parse(const char *word, aim_device_kind *kind, int *index)
{
    *index = 0;
    *kind = AIM_DEVICE_CPU;
    if (!word || strcmp(word, "cpu") == 0)
        return 0;
    if (strcmp(word, "auto") == 0) {
        *kind = AIM_DEVICE_AUTO;
        return 0;
    }
    if (strncmp(word, "cuda", 4) != 0)
        return -1;
    *kind = AIM_DEVICE_CUDA;
    if (word[4] == 0)
        return 0;
    const char *digit = word + 5;
    if (word[4] != ':' || *digit == 0 || strlen(digit) > 3)
        return -1;
    for (; *digit; digit++) {
        if (*digit < '0' || *digit > '9')
            return -1;
        *index = 10 * *index + (*digit - '0');
    }
    return 0;
}

#if defined(_WIN32)
const aim_device_ops *aim_device_load(aim_dev_error *e)
{
    (void)refuse(e, "this system has no CUDA module", "");
    return NULL;
}
#else
/* `folder of this code`/middle/libaimnet_cuda.so; NULL if that is no loadable file. */
static void *load_beside(const char *middle)
{
    Dl_info self;
    char path[4096];
    if (!dladdr(&aim_device_parse, &self) || !self.dli_fname)
        return NULL;
    const char *slash = strrchr(self.dli_fname, '/');
    const int length = slash ? (int)(slash - self.dli_fname) : 1;
    const int n = snprintf(path, sizeof path, "%.*s/%slibaimnet_cuda.so", length,
                           slash ? self.dli_fname : ".", middle);
    return n > 0 && n < (int)sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

const aim_device_ops *aim_device_load(aim_dev_error *e)
{
    const char *named = getenv("AIMNET_CUDA_MODULE");
    void *module;
    if (named && *named) {
        module = dlopen(named, RTLD_NOW | RTLD_LOCAL);
    } else {
        module = load_beside("");
        if (!module)
            module = load_beside("../lib/");
        if (!module)
            module = dlopen("libaimnet_cuda.so", RTLD_NOW | RTLD_LOCAL);
    }
    if (!module) {
        const char *why = dlerror();
        (void)refuse(e, "the CUDA module cannot be loaded (auto and cpu need none): ",
                     why ? why : "unknown reason");
        return NULL;
    }
    aim_device_module_fn *entry;
    *(void **)&entry = dlsym(module, AIM_DEVICE_SYMBOL);
    const aim_device_ops *ops = entry ? entry(AIM_DEV_ABI) : NULL;
    if (!ops) {
        dlclose(module);
        (void)refuse(e, "libaimnet_cuda.so belongs to another version of the library", "");
    }
    return ops;
}
#endif

int aim_device_take(aim_device *device, int index, size_t memory, aim_dev_error *error)
{
    device->index = index;
    if (device->ops->open(device->card, index, memory, error))
        return error->status;
    device->ops->describe(device->card, device->name, sizeof device->name, &device->total,
                          &device->available);
    if (memory && memory < device->available)
        device->available = memory;
    return 0;
}
