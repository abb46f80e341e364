/* SPDX-License-Identifier: MIT */
/* fuzz_yaml.c - any bytes as the YAML of a model description; the whole tree is visited. */
#include "guard.h"

#include <string.h>

#include "model/yaml.h"

/* Aliases share nodes, so that a tree can be exponentially larger than its nodes: `left` bounds
 * the visit. */
static void visit(const aim_yaml *y, int node, int *left)
{
    if (--*left < 0)
        return;
    const aim_yaml_kind kind = aim_yaml_kind_of(y, node);
    if (kind != AIM_YAML_LIST && kind != AIM_YAML_MAP) {
        demand(strlen(aim_yaml_text(y, node)) < y->pool_size, "texts end in NUL");
        return;
    }
    int n = 0;
    for (aim_yaml_iter it = aim_yaml_begin(y, node); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it)) {
        n++;
        visit(y, it.value, left);
        if (kind == AIM_YAML_MAP)
            demand(aim_yaml_get(y, node, aim_yaml_text(y, it.key)) == it.value,
                   "keys are found and unique");
    }
    demand(n == aim_yaml_count(y, node), "the count is right");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    guard g = guard_of(size);
    const aim_alloc a = guard_alloc(&g);
    aim_yaml yaml;
    if (aim_yaml_parse(&a, (const char *)data, size, &yaml) == AIMNET_OK) {
        int left = 1000;
        visit(&yaml, yaml.root, &left);
        aim_yaml_free(&yaml, &a);
    }
    guard_end(&g);
    return 0;
}
