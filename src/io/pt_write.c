/* SPDX-License-Identifier: MIT */
/* pt_write.c - the pickle of a state_dict, then one storage per tensor.
 *
 *     archive/data.pkl  .format_version  .storage_alignment  byteorder  data/0 ...  version
 * with the contents that torch 2 writes. A tensor is _rebuild_tensor_v2(storage, 0, shape, strides,
 * False, OrderedDict()), its storage the persistent id ('storage', class, key, 'cpu', elements).
 * The pickle has no memo; torch.load(weights_only=True) reads it, as does pickle.c. */
#include "io/pt_write.h"

#include <stdio.h>
#include <string.h>

#include "io/pickle_write.h"
#include "io/zip_write.h"

static void put_sizes(aim_pickle_out *p, int n, const int64_t *sizes)
{
    aim_put_open(p, AIM_PICKLE_TUPLE);
    for (int d = 0; d < n; d++)
        aim_put_int(p, sizes[d]);
    aim_put_close(p, AIM_PICKLE_TUPLE);
}

static void put_empty_ordered_dict(aim_pickle_out *p)
{
    aim_put_global(p, "collections", "OrderedDict");
    aim_put_op(p, ')');
    aim_put_op(p, 'R');
}

static void put_tensor(aim_pickle_out *p, const aim_tensor *t, size_t number)
{
    static const char *const storages[] = {
        "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage",
        "IntStorage",   "ShortStorage",  "CharStorage", "ByteStorage",     "BoolStorage"};
    int64_t strides[AIM_MAX_DIMS], stride = 1;
    char key[24];
    for (int d = t->ndim; d-- > 0;) {
        strides[d] = stride;
        stride *= t->shape[d] > 0 ? t->shape[d] : 1;
    }
    snprintf(key, sizeof key, "%zu", number);
    aim_put_global(p, "torch._utils", "_rebuild_tensor_v2");
    aim_put_op(p, '(');
    aim_put_open(p, AIM_PICKLE_TUPLE);
    aim_put_text(p, "storage");
    aim_put_global(p, "torch", storages[t->dtype]);
    aim_put_text(p, key);
    aim_put_text(p, "cpu");
    aim_put_int(p, t->count);
    aim_put_close(p, AIM_PICKLE_TUPLE);
    aim_put_op(p, 'Q');
    aim_put_int(p, 0);
    put_sizes(p, t->ndim, t->shape);
    put_sizes(p, t->ndim, strides);
    aim_put_bool(p, 0);
    put_empty_ordered_dict(p);
    aim_put_op(p, 't');
    aim_put_op(p, 'R');
}

static aim_status put_root(aim_pickle_out *p, const aim_model_parts *x)
{
    aim_put_begin(p);
    aim_put_open(p, AIM_PICKLE_DICT);
    for (aim_items it = aim_pickle_items(x->tree, x->metadata); it.value != AIM_NO_REF;
         aim_pickle_next(x->tree, &it)) {
        const aim_ref key = it.value;
        aim_pickle_next(x->tree, &it);
        if (!aim_pickle_is_plain(x->tree, it.value) ||
            aim_slice_is(aim_pickle_text(x->tree, key), "state_dict"))
            continue;
        aim_put_value(p, x->tree, key);
        aim_put_value(p, x->tree, it.value);
    }
    aim_put_text(p, "state_dict");
    put_empty_ordered_dict(p);
    aim_put_op(p, '(');
    for (size_t i = 0; i < x->n_tensors; i++) {
        aim_put_slice(p, x->tensor[i].name);
        put_tensor(p, &x->tensor[i], i);
    }
    aim_put_close(p, AIM_PICKLE_DICT);
    aim_put_close(p, AIM_PICKLE_DICT);
    return aim_put_end(p);
}

static aim_status put_storage(aim_zip_out *z, const aim_tensor *t, size_t number)
{
    char name[40];
    const size_t size = (size_t)t->count * aim_dtype_size(t->dtype);
    unsigned char *packed = NULL;
    snprintf(name, sizeof name, "archive/data/%zu", number);
    if (aim_tensor_is_packed(t))
        return aim_zip_put(z, name, t->data, size);
    AIM_TRY(aim_new(z->alloc, size, 1, "a tensor", &packed));
    aim_tensor_pack(t, packed);
    const aim_status status = aim_zip_put(z, name, packed, size);
    aim_free(z->alloc, packed);
    return status;
}

static aim_status put_archive(aim_zip_out *z, const aim_model_parts *x, const aim_string *pickle)
{
    AIM_TRY(aim_zip_put(z, "archive/data.pkl", pickle->data, pickle->size));
    AIM_TRY(aim_zip_put(z, "archive/.format_version", "1", 1));
    AIM_TRY(aim_zip_put(z, "archive/.storage_alignment", "64", 2));
    AIM_TRY(aim_zip_put(z, "archive/byteorder", "little", 6));
    for (size_t i = 0; i < x->n_tensors; i++)
        AIM_TRY(put_storage(z, &x->tensor[i], i));
    AIM_TRY(aim_zip_put(z, "archive/version", "3\n", 2));
    return aim_zip_end(z);
}

aim_status aim_pt_write(const aim_alloc *a, aim_outfile *out, const aim_model_parts *parts)
{
    aim_pickle_out p = {.alloc = a};
    aim_zip_out z = {.alloc = a, .file = out};
    aim_status status = put_root(&p, parts);
    if (status == AIMNET_OK)
        status = put_archive(&z, parts, &p.bytes);
    aim_zip_out_free(&z);
    aim_string_free(&p.bytes, a);
    return status;
}
