/* SPDX-License-Identifier: MIT */
/* recipe.c - finds the modules by the keys that the reference's exporter knows (lrcoulomb, dftd3,
 * d3bj, d3ts) and by their classes. */
#include "model/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/yaml_write.h"

static int is_map(const aim_yaml *y, int node)
{
    return node != AIM_YAML_NONE && aim_yaml_kind_of(y, node) == AIM_YAML_MAP;
}

static int get(const aim_yaml *y, int map, const char *key)
{
    return is_map(y, map) ? aim_yaml_get(y, map, key) : AIM_YAML_NONE;
}

static int has_class(const aim_yaml *y, int module, const char *word)
{
    const int node = get(y, module, "class");
    return node != AIM_YAML_NONE && strstr(aim_yaml_text(y, node), word) != NULL;
}

/* A number among a module's kwargs; absent: *value stays. */
static aim_status read_number(const aim_yaml *y, int module, const char *name, double *value)
{
    const int node = get(y, get(y, module, "kwargs"), name);
    if (node == AIM_YAML_NONE || aim_yaml_kind_of(y, node) == AIM_YAML_NULL)
        return AIMNET_OK;
    const aim_yaml_kind kind = aim_yaml_kind_of(y, node);
    if ((kind != AIM_YAML_INT && kind != AIM_YAML_FLOAT) || !isfinite(aim_yaml_float(y, node)) ||
        aim_yaml_float(y, node) < 0.0)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "model_yaml: '%s' of a long-range module must be a finite number that is "
                        "not negative",
                        name);
    *value = aim_yaml_float(y, node);
    return AIMNET_OK;
}

static aim_status read_coulomb(aim_recipe *r, int module)
{
    const aim_yaml *y = &r->yaml;
    const int envelope = get(y, get(y, module, "kwargs"), "envelope");
    if (envelope != AIM_YAML_NONE)
        r->envelope = aim_yaml_text(y, envelope);
    if (strcmp(r->envelope, "exp") != 0 && strcmp(r->envelope, "cosine") != 0)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: the envelope of the Coulomb module must be "
                                          "'exp' or 'cosine'");
    return read_number(y, module, "rc", &r->rc);
}

static aim_status find_modules(aim_recipe *r)
{
    static const char *const d3_keys[] = {"dftd3", "d3bj"};
    static const char *const d3_names[] = {"s8", "a1", "a2", "s6"};
    const aim_yaml *y = &r->yaml;
    r->outputs = get(y, get(y, y->root, "kwargs"), "outputs");
    if (!is_map(y, r->outputs))
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "model_yaml: kwargs.outputs must be a mapping of modules");
    r->lrcoulomb = get(y, r->outputs, "lrcoulomb");
    r->srcoulomb = get(y, r->outputs, "srcoulomb");
    r->has_d3ts = get(y, r->outputs, "d3ts") != AIM_YAML_NONE;
    for (int i = 0; i < 2; i++) {
        const int module = get(y, r->outputs, d3_keys[i]);
        if (module != AIM_YAML_NONE && has_class(y, module, "D3TS"))
            r->has_d3ts = 1;
        else if (module != AIM_YAML_NONE && r->dftd3 == AIM_YAML_NONE)
            r->dftd3 = module;
    }
    for (aim_yaml_iter it = aim_yaml_begin(y, r->outputs); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it))
        if (has_class(y, it.value, "DispParam")) {
            r->ptfile = get(y, get(y, it.value, "kwargs"), "ptfile");
            r->disp_param = aim_yaml_text(y, it.key);
        }
    if (r->has_d3ts && r->dftd3 != AIM_YAML_NONE)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: D3TS and DFTD3 together would count the "
                                          "dispersion twice; remove one of them");
    if (r->lrcoulomb != AIM_YAML_NONE && r->srcoulomb != AIM_YAML_NONE)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: lrcoulomb and srcoulomb together");
    if (r->lrcoulomb != AIM_YAML_NONE || r->srcoulomb != AIM_YAML_NONE)
        AIM_TRY(read_coulomb(r, r->lrcoulomb != AIM_YAML_NONE ? r->lrcoulomb : r->srcoulomb));
    for (int i = 0; i < 4 && r->dftd3 != AIM_YAML_NONE; i++)
        AIM_TRY(read_number(y, r->dftd3, d3_names[i], &r->d3[i]));
    return AIMNET_OK;
}

aim_status aim_recipe_parse(const aim_alloc *a, const char *text, size_t size, aim_recipe *r)
{
    *r = (aim_recipe){.yaml.root = AIM_YAML_NONE,
                      .lrcoulomb = AIM_YAML_NONE,
                      .srcoulomb = AIM_YAML_NONE,
                      .dftd3 = AIM_YAML_NONE,
                      .ptfile = AIM_YAML_NONE,
                      .envelope = "exp",
                      .d3 = {0.0, 0.0, 0.0, 1.0}};
    AIM_TRY(aim_yaml_parse(a, text, size, &r->yaml));
    const aim_status status = find_modules(r);
    if (status != AIMNET_OK)
        aim_recipe_free(r, a);
    return status;
}

void aim_recipe_free(aim_recipe *r, const aim_alloc *a)
{
    aim_yaml_free(&r->yaml, a);
}

aim_status aim_recipe_write(const aim_alloc *a, const aim_recipe *r, int strip, double rc,
                            aim_string *out)
{
    aim_yaml_edit edit = {.append_to = AIM_YAML_NONE};
    char lines[256], number[40];
    if (r->ptfile != AIM_YAML_NONE)
        edit.skip[edit.n_skips++] = r->ptfile;
    if (strip && r->lrcoulomb != AIM_YAML_NONE)
        edit.skip[edit.n_skips++] = r->lrcoulomb;
    if (strip && r->dftd3 != AIM_YAML_NONE)
        edit.skip[edit.n_skips++] = r->dftd3;
    if (strip && rc > 0.0) {
        const size_t n = aim_format_double(number, rc);
        snprintf(lines, sizeof lines,
                 "srcoulomb:\n  class: aimnet.modules.SRCoulomb\n  kwargs:\n    rc: %s%s\n"
                 "    key_in: charges\n    key_out: energy\n    envelope: %s\n",
                 number, memchr(number, '.', n) ? "" : ".0", r->envelope);
        edit.append_to = r->outputs;
        edit.append = lines;
    }
    return aim_yaml_write(a, &r->yaml, &edit, out);
}
