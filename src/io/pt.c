/* SPDX-License-Identifier: MIT */
/* pt.c - what the root of a pickle is, and its dictionary of tensors.
 *
 * A model file is a dictionary with model_yaml and state_dict. A training checkpoint is the
 * state_dict alone: its first value is a tensor. */
#include "io/pt.h"

#include <string.h>

static aim_status read_name(const aim_pickle *p, aim_ref key, aim_tensor *t)
{
    t->name = aim_pickle_text(p, key);
    for (size_t i = 0; i < t->name.size; i++)
        if (t->name.text[i] <= ' ' || t->name.text[i] > '~')
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "a tensor's name has spaces, control or non-ASCII characters");
    return AIMNET_OK;
}

static aim_status read_tensors(aim_pt *pt, aim_torch *archive, aim_ref dict, const aim_alloc *a)
{
    const aim_pickle *p = &archive->pickle;
    char shown[AIM_SHOWN_SIZE];
    const size_t n = aim_pickle_count(p, dict) / 2;
    AIM_TRY(aim_new0(a, n, sizeof *pt->tensor, "list of tensors", &pt->tensor));
    for (aim_items it = aim_pickle_items(p, dict); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        aim_tensor *t = &pt->tensor[pt->n_tensors++];
        AIM_TRY(read_name(p, it.value, t));
        aim_pickle_next(p, &it);
        const aim_status status = aim_torch_tensor(archive, it.value, t);
        if (status != AIMNET_OK)
            return aim_fail_prefix(status, "tensor '%s'", aim_shown(shown, t->name));
    }
    AIM_TRY(aim_names_create(&pt->names, a, pt->tensor, sizeof *pt->tensor, pt->n_tensors));
    const size_t twice = aim_names_duplicate(&pt->names);
    if (twice != AIM_NO_NAME)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "tensor '%s' occurs twice",
                        aim_shown(shown, pt->tensor[twice].name));
    return AIMNET_OK;
}

static aim_status read_single(aim_pt *pt, aim_torch *archive, const aim_alloc *a)
{
    pt->kind = AIM_PT_TENSOR;
    pt->n_tensors = 1;
    AIM_TRY(aim_new0(a, 1, sizeof *pt->tensor, "list of tensors", &pt->tensor));
    pt->tensor->name = (aim_slice){"", 0};
    AIM_TRY(aim_torch_tensor(archive, archive->pickle.root, pt->tensor));
    return aim_names_create(&pt->names, a, pt->tensor, sizeof *pt->tensor, 1);
}

static aim_status read_root(aim_pt *pt, aim_torch *archive, const aim_alloc *a)
{
    const aim_pickle *p = &archive->pickle;
    const aim_pickle_kind kind = aim_pickle_kind_of(p, p->root);
    if (kind == AIM_PICKLE_TENSOR)
        return read_single(pt, archive, a);
    if (kind != AIM_PICKLE_DICT)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "the file holds %s, not a dictionary with model_yaml and state_dict",
                        aim_pickle_kind_name(kind));
    const aim_ref state_dict = aim_pickle_get(p, p->root, "state_dict");
    const aim_ref yaml = aim_pickle_get(p, p->root, "model_yaml");
    const aim_ref first = aim_pickle_item(p, p->root, 1);
    if (state_dict == AIM_NO_REF && yaml == AIM_NO_REF && first != AIM_NO_REF &&
        aim_pickle_kind_of(p, first) == AIM_PICKLE_TENSOR) {
        pt->kind = AIM_PT_STATE;
        return read_tensors(pt, archive, p->root, a);
    }
    if (state_dict == AIM_NO_REF || aim_pickle_kind_of(p, state_dict) != AIM_PICKLE_DICT)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "not an AIMNet2 model: the dictionary has no state_dict of tensors");
    pt->kind = AIM_PT_MODEL;
    pt->metadata = p->root;
    return read_tensors(pt, archive, state_dict, a);
}

aim_status aim_pt_open(const aim_alloc *a, aim_torch *archive, aim_pt *pt)
{
    const aim_zip_entry *record = aim_torch_record(archive, "data.pkl");
    *pt = (aim_pt){.metadata = AIM_NO_REF};
    AIM_TRY(aim_pickle_parse(a, record->data, record->size, &archive->pickle));
    const aim_status status = read_root(pt, archive, a);
    if (status != AIMNET_OK)
        aim_pt_free(pt, a);
    return status;
}

void aim_pt_free(aim_pt *pt, const aim_alloc *a)
{
    aim_names_free(&pt->names, a);
    aim_free(a, pt->tensor);
    *pt = (aim_pt){.metadata = AIM_NO_REF};
}
