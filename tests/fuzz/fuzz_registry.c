/* SPDX-License-Identifier: MIT */
/* fuzz_registry.c - any bytes as a registry of published models: what is accepted must be safe as
 * file names and addresses, and every model must be found by its name. */
#include "guard.h"

#include <string.h>

#include "fetch/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    guard g = guard_of(size);
    const aim_alloc a = guard_alloc(&g);
    aim_registry reg;
    if (aim_registry_parse(&a, (const char *)data, size, &reg) == AIMNET_OK) {
        for (int i = 0; i < reg.n_models; i++) {
            const aim_registry_model *m = &reg.model[i];
            demand(!strchr(m->file, '/') && m->file[0] != '.' && m->file[0], "plain file names");
            demand(strncmp(m->url, "https://", 8) == 0, "https alone");
            demand(aim_registry_find(&reg, m->name, strlen(m->name)) >= 0, "models are found");
            demand(aim_registry_member(&reg, i, m->member) == i, "members are counted");
        }
        for (int i = 0; i < reg.n_aliases; i++)
            demand(reg.alias[i].model >= 0 && reg.alias[i].model < reg.n_models, "aliases lead");
        aim_registry_free(&reg, &a);
    }
    guard_end(&g);
    return 0;
}
