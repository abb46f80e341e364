/* SPDX-License-Identifier: MIT */
/* checkpoint.c - metadata from weights and YAML: the radius from aev.rc_s, the elements from the
 * embedding, everything else from the modules. */
#include "model/checkpoint.h"

#include "model/embedding.h"
#include "model/recipe.h"

static void put_flag(aim_pickle_out *out, const char *name, int value)
{
    aim_put_text(out, name);
    aim_put_bool(out, value);
}

static aim_status put_fields(const aim_alloc *a, const aim_recipe *r, double cutoff,
                             const unsigned char *known, aim_pickle_out *out)
{
    const int coulomb = r->lrcoulomb != AIM_YAML_NONE, near = r->srcoulomb != AIM_YAML_NONE;
    aim_string text = {0};
    aim_status status = aim_recipe_write(a, r, 0, 0.0, &text);
    aim_put_begin(out);
    aim_put_open(out, AIM_PICKLE_DICT);
    aim_put_text(out, "model_yaml");
    aim_put_slice(out, (aim_slice){text.data ? text.data : "", text.size});
    aim_string_free(&text, a);
    AIM_TRY(status);
    aim_put_text(out, "cutoff");
    aim_put_float(out, cutoff);
    put_flag(out, "needs_coulomb", near);
    put_flag(out, "needs_dispersion", 0);
    aim_put_text(out, "coulomb_mode");
    aim_put_text(out, coulomb ? "full_embedded" : near ? "sr_embedded" : "none");
    if (near) {
        aim_put_text(out, "coulomb_sr_rc");
        aim_put_float(out, r->rc > 0.0 ? r->rc : 4.6); /* the module's default */
        aim_put_text(out, "coulomb_sr_envelope");
        aim_put_text(out, r->envelope);
    }
    put_flag(out, "has_embedded_lr", coulomb || near || r->has_d3ts || r->dftd3 != AIM_YAML_NONE);
    put_flag(out, "has_embedded_d3ts", r->has_d3ts);
    aim_put_text(out, "implemented_species");
    aim_put_species(out, known);
    aim_put_close(out, AIM_PICKLE_DICT);
    return aim_put_end(out);
}

aim_status aim_checkpoint_describe(const aim_alloc *a, const aim_tensor *tensor, size_t n,
                                   aim_slice yaml, aim_pickle_out *out)
{
    const aim_tensor *rc = aim_tensor_named(tensor, n, "aev.rc_s");
    unsigned char known[AIM_EMBEDDING_ROWS];
    double cutoff = 0.0;
    aim_recipe r;
    *out = (aim_pickle_out){.alloc = a};
    if (!rc || rc->count != 1)
        return AIM_FAIL(AIMNET_ERR_MODEL, "the weights have no tensor 'aev.rc_s' of one number");
    AIM_TRY(aim_tensor_to_double(rc, &cutoff));
    AIM_TRY(aim_embedding_species(a, tensor, n, known));
    AIM_TRY(aim_recipe_parse(a, yaml.text, yaml.size, &r));
    const aim_status status = put_fields(a, &r, cutoff, known, out);
    aim_recipe_free(&r, a);
    return status;
}
