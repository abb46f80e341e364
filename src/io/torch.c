/* SPDX-License-Identifier: MIT */
/* torch.c - entries of the archive, and windows on storages.
 *
 *     PREFIX/data.pkl  PREFIX/byteorder  PREFIX/version  PREFIX/data/KEY ...  and small records of
 * torch's own; TorchScript has PREFIX/constants.pkl and PREFIX/code/... as well. A storage is an
 * entry data/KEY of exactly elements * itemsize bytes; a tensor is a window on a storage. Several
 * tensors may share a storage (views of one buffer), but all tensors together may not hold more
 * elements' bytes than there are in the file: a small file cannot unfold into a large model. */
#include "io/torch.h"

#include <string.h>

static aim_status wrong(const char *what)
{
    return AIM_FAIL(AIMNET_ERR_FORMAT, "%s", what);
}

/* ---------------------------------------------------------------- archive */

const aim_zip_entry *aim_torch_record(const aim_torch *x, const char *name)
{
    for (size_t i = 0; i < x->zip.n_entries; i++)
        if (aim_slice_is(aim_slice_from(x->zip.entry[i].name, x->prefix.size), name))
            return &x->zip.entry[i];
    return NULL;
}

static aim_status find_prefix(aim_torch *x)
{
    static const char pickle[] = "data.pkl";
    const aim_slice first = x->zip.entry[0].name;
    const char *slash = memchr(first.text, '/', first.size);
    if (!slash)
        return wrong("not an archive of torch.save: its first entry is not PREFIX/data.pkl");
    x->prefix = (aim_slice){first.text, (size_t)(slash - first.text) + 1};
    for (size_t i = 0; i < x->zip.n_entries; i++) {
        const aim_slice name = x->zip.entry[i].name;
        if (name.size <= x->prefix.size || memcmp(name.text, x->prefix.text, x->prefix.size) != 0)
            return wrong("archive entries do not share one prefix, as those of torch.save do");
    }
    x->is_script = aim_torch_record(x, "constants.pkl") != NULL;
    if (!aim_torch_record(x, pickle) ||
        (!x->is_script && !aim_slice_is(aim_slice_from(first, x->prefix.size), pickle)))
        return wrong("not an archive of torch.save: its first entry is not PREFIX/data.pkl");
    return AIMNET_OK;
}

static int is_known(const aim_torch *x, aim_slice name)
{
    static const char *const folders[] = {"data/", "code/", "constants/", "extra/"};
    static const char *const known[] = {
        "data.pkl",        "byteorder",          "version",
        ".format_version", ".storage_alignment", ".data/serialization_id"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (aim_slice_is(name, known[i]))
            return 1;
    for (size_t i = 0; i < (x->is_script ? sizeof folders / sizeof *folders : 1); i++)
        if (aim_slice_starts(name, folders[i]))
            return 1;
    return x->is_script &&
           (aim_slice_is(name, "constants.pkl") || aim_slice_is(name, ".data/version"));
}

static aim_status check_records(const aim_torch *x)
{
    char shown[AIM_SHOWN_SIZE];
    for (size_t i = 0; i < x->zip.n_entries; i++) {
        const aim_slice name = aim_slice_from(x->zip.entry[i].name, x->prefix.size);
        if (!is_known(x, name))
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "archive entry '%s' is not one that torch.save writes",
                            aim_shown(shown, name));
        if (x->zip.entry[i].deflated && !(x->is_script && aim_slice_starts(name, "code/")))
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "archive entry '%s' is compressed: torch.save stores without "
                            "compression",
                            aim_shown(shown, name));
    }
    /* torch before 2.1 wrote no byteorder: little-endian machines were the only ones */
    const aim_zip_entry *order = aim_torch_record(x, "byteorder"),
                        *version = aim_torch_record(x, "version");
    if (order && !aim_slice_is((aim_slice){(const char *)order->data, order->size}, "little"))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "byte order '%s': only little-endian files are read",
                        aim_shown(shown, (aim_slice){(const char *)order->data, order->size}));
    if (!version && x->is_script) /* where torch 2 has it */
        version = aim_torch_record(x, ".data/version");
    /* of the operators that TorchScript's code uses, of which nothing is run here */
    if (version && x->is_script && version->size > 0 && version->size <= 4)
        return AIMNET_OK;
    if (!version || !aim_slice_is((aim_slice){(const char *)version->data, version->size}, "3\n"))
        return wrong("the archive's version record is missing or not 3");
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- tensors */

static aim_dtype dtype_of(int64_t storage_class)
{
    static const aim_dtype dtypes[] = {AIM_FLOAT32, AIM_FLOAT64, AIM_FLOAT16, AIM_BFLOAT16,
                                       AIM_INT64,   AIM_INT32,   AIM_INT16,   AIM_INT8,
                                       AIM_UINT8,   AIM_BOOL};
    return dtypes[storage_class - AIM_CLASS_FLOAT];
}

static const aim_zip_entry *find_storage(const aim_torch *x, aim_slice key)
{
    enum { NAME_SIZE = 256 };
    char name[NAME_SIZE];
    const size_t head = x->prefix.size;
    for (size_t i = 0; i < key.size; i++)
        if (key.text[i] < '0' || key.text[i] > '9')
            return NULL;
    if (key.size == 0 || key.size > 20 || head > NAME_SIZE - 5 - 20)
        return NULL;
    memcpy(name, x->prefix.text, head);
    memcpy(name + head, "data/", 5);
    memcpy(name + head + 5, key.text, key.size);
    return aim_zip_find(&x->zip, (aim_slice){name, head + 5 + key.size});
}

/* Reads a tuple of integers into out[AIM_MAX_DIMS]. */
static aim_status read_sizes(const aim_pickle *p, aim_ref tuple, int *n, int64_t *out)
{
    *n = 0;
    if (aim_pickle_kind_of(p, tuple) != AIM_PICKLE_TUPLE ||
        aim_pickle_count(p, tuple) > AIM_MAX_DIMS)
        return wrong("shape and strides must be tuples of at most 8 integers");
    for (aim_items it = aim_pickle_items(p, tuple); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        if (aim_pickle_kind_of(p, it.value) != AIM_PICKLE_INT)
            return wrong("shape and strides must be tuples of at most 8 integers");
        out[(*n)++] = aim_pickle_int(p, it.value);
    }
    return AIMNET_OK;
}

/* Points t->data at the storage's first element; *elements is what the storage holds. */
static aim_status open_storage(const aim_torch *x, aim_ref storage, aim_tensor *t,
                               int64_t *elements)
{
    const aim_pickle *p = &x->pickle;
    char shown[AIM_SHOWN_SIZE];
    if (aim_pickle_kind_of(p, storage) != AIM_PICKLE_STORAGE)
        return wrong("the tensor has no storage");
    t->dtype = dtype_of(aim_pickle_int(p, aim_pickle_item(p, storage, 0)));
    const aim_slice key = aim_pickle_text(p, aim_pickle_item(p, storage, 1));
    *elements = aim_pickle_int(p, aim_pickle_item(p, storage, 2));
    const aim_zip_entry *entry = find_storage(x, key);
    if (!entry)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "storage '%s' is not in the archive",
                        aim_shown(shown, key));
    const size_t size = aim_dtype_size(t->dtype);
    if (*elements < 0 || entry->size % size != 0 || (uint64_t)*elements != entry->size / size)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "storage '%s' has %zu bytes, not %lld elements of %s",
                        aim_shown(shown, key), entry->size, (long long)*elements,
                        aim_dtype_name(t->dtype));
    t->data = entry->data;
    return AIMNET_OK;
}

/* items: storage, offset, shape, strides, requires_grad, hooks (an empty OrderedDict) */
aim_status aim_torch_tensor(aim_torch *x, aim_ref value, aim_tensor *t)
{
    const aim_pickle *p = &x->pickle;
    int64_t elements = 0;
    int n_strides = 0;
    if (aim_pickle_kind_of(p, value) != AIM_PICKLE_TENSOR)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%s where a tensor belongs",
                        aim_pickle_kind_name(aim_pickle_kind_of(p, value)));
    AIM_TRY(open_storage(x, aim_pickle_item(p, value, 0), t, &elements));
    const aim_ref offset = aim_pickle_item(p, value, 1), hooks = aim_pickle_item(p, value, 5);
    if (aim_pickle_kind_of(p, offset) != AIM_PICKLE_INT ||
        aim_pickle_kind_of(p, hooks) != AIM_PICKLE_DICT ||
        aim_pickle_kind_of(p, aim_pickle_item(p, value, 4)) != AIM_PICKLE_BOOL ||
        aim_pickle_count(p, hooks) != 0)
        return wrong("the tensor's offset, requires_grad or hooks are not what torch.save writes");
    AIM_TRY(read_sizes(p, aim_pickle_item(p, value, 2), &t->ndim, t->shape));
    AIM_TRY(read_sizes(p, aim_pickle_item(p, value, 3), &n_strides, t->stride));
    const int64_t first = aim_pickle_int(p, offset);
    if (n_strides != t->ndim || first < 0 || first > elements)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "offset %lld or number of strides is wrong",
                        (long long)first);
    AIM_TRY(aim_tensor_check(t, elements - first));
    const size_t size = aim_dtype_size(t->dtype);
    t->data += (size_t)first * size;
    x->unfolded += (size_t)t->count * size;
    if (x->unfolded > x->size)
        return wrong("the tensors share their storages so often that together they are larger than "
                     "the file");
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- open and close */

aim_status aim_torch_open(const aim_alloc *a, const unsigned char *bytes, size_t size, aim_torch *x)
{
    *x = (aim_torch){.size = size, .pickle.root = AIM_NO_REF};
    aim_status status = aim_zip_open(a, bytes, size, &x->zip);
    if (status == AIMNET_OK)
        status = find_prefix(x);
    if (status == AIMNET_OK)
        status = check_records(x);
    if (status != AIMNET_OK)
        aim_torch_free(x, a);
    return status;
}

void aim_torch_free(aim_torch *x, const aim_alloc *a)
{
    aim_pickle_free(&x->pickle, a);
    aim_zip_free(&x->zip, a);
    *x = (aim_torch){.pickle.root = AIM_NO_REF};
}
