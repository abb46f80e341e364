/* SPDX-License-Identifier: MIT */
/* recipe.h - the YAML that a model was trained with, and what becomes of it in a model file. Private
 * to src/model.
 *
 * Training evaluates long-range modules inside the model; files leave them to the calculator: the
 * modules lrcoulomb and dftd3 (or d3bj) are taken out of the outputs, SRCoulomb is added at their
 * end where there was an lrcoulomb, and the ptfile of DispParam is taken out. D3TS stays. */
#ifndef AIM_MODEL_RECIPE_H
#define AIM_MODEL_RECIPE_H

#include "base/text.h"
#include "model/yaml.h"

typedef struct aim_recipe {
    aim_yaml yaml;
    int outputs;                             /* node */
    int lrcoulomb, srcoulomb, dftd3, ptfile; /* nodes, or AIM_YAML_NONE */
    const char *disp_param;                  /* name of the module with the ptfile */
    int has_d3ts;
    double rc;            /* of lrcoulomb or srcoulomb; 0: the YAML does not say it */
    const char *envelope; /* likewise; "exp" unless it says otherwise */
    double d3[4];         /* s8, a1, a2, s6 of dftd3 */
} aim_recipe;

/* Errors: MODEL, MEMORY. */
AIM_NODISCARD aim_status aim_recipe_parse(const aim_alloc *a, const char *text, size_t size,
                                          aim_recipe *r);
void aim_recipe_free(aim_recipe *r, const aim_alloc *a);

/* The YAML without the ptfile; with `strip` also without long-range modules, and with SRCoulomb of
 * the radius rc if rc > 0. */
AIM_NODISCARD aim_status aim_recipe_write(const aim_alloc *a, const aim_recipe *r, int strip,
                                          double rc, aim_string *out);

#endif
