/* SPDX-License-Identifier: MIT */
/* pt.c - from the archive's entries and the pickle's tree to named tensors.
 *
 *     PREFIX/data.pkl  PREFIX/byteorder  PREFIX/version  PREFIX/data/KEY ...  and small records of
 * torch's own PREFIX is what stands before "/data.pkl" in the first entry. A storage is an entry
 * data/KEY of exactly elements * itemsize bytes; a tensor is a window on a storage. Several tensors
 * may share a storage (views of one buffer), but all tensors together may not hold more elements'
 * bytes than there are in the file: a small file cannot unfold into a large model. */
#include "io/pt.h"

#include <string.h>

static aim_status wrong(const char *what)
{
    return AIM_FAIL(AIMNET_ERR_FORMAT, "%s", what);
}

/* ---------------------------------------------------------------- archive */

typedef struct archive {
    aim_pt *pt;
    aim_slice prefix; /* with the slash */
    size_t unfolded;  /* bytes of all tensors so far */
} archive;

static const aim_zip_entry *record(const archive *x, const char *name)
{
    for (size_t i = 0; i < x->pt->zip.n_entries; i++)
        if (aim_slice_is(aim_slice_from(x->pt->zip.entry[i].name, x->prefix.size), name))
            return &x->pt->zip.entry[i];
    return NULL;
}

static aim_status find_prefix(archive *x)
{
    static const char pickle[] = "data.pkl";
    const aim_slice first = x->pt->zip.entry[0].name;
    const char *slash = memchr(first.text, '/', first.size);
    if (!slash)
        return wrong("not an archive of torch.save: its first entry is not PREFIX/data.pkl");
    x->prefix = (aim_slice){first.text, (size_t)(slash - first.text) + 1};
    for (size_t i = 0; i < x->pt->zip.n_entries; i++) {
        const aim_slice name = x->pt->zip.entry[i].name;
        if (name.size <= x->prefix.size || memcmp(name.text, x->prefix.text, x->prefix.size) != 0)
            return wrong("archive entries do not share one prefix, as those of torch.save do");
    }
    if (record(x, "constants.pkl"))
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "a TorchScript archive (legacy .jpt), which this version does not read: "
            "convert it to the v2 format first (`aimnet convert` of the Python package)");
    if (!aim_slice_is(aim_slice_from(first, x->prefix.size), pickle))
        return wrong("not an archive of torch.save: its first entry is not PREFIX/data.pkl");
    return AIMNET_OK;
}

static int is_known(aim_slice name)
{
    static const char *const known[] = {
        "data.pkl",        "byteorder",          "version",
        ".format_version", ".storage_alignment", ".data/serialization_id"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (aim_slice_is(name, known[i]))
            return 1;
    return aim_slice_starts(name, "data/");
}

static aim_status check_records(const archive *x)
{
    char shown[AIM_SHOWN_SIZE];
    for (size_t i = 0; i < x->pt->zip.n_entries; i++) {
        const aim_slice name = aim_slice_from(x->pt->zip.entry[i].name, x->prefix.size);
        if (!is_known(name))
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "archive entry '%s' is not one that torch.save writes",
                            aim_shown(shown, name));
    }
    /* torch before 2.1 wrote no byteorder: little-endian machines were the only ones */
    const aim_zip_entry *order = record(x, "byteorder"), *version = record(x, "version");
    if (order && !aim_slice_is((aim_slice){(const char *)order->data, order->size}, "little"))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "byte order '%s': only little-endian files are read",
                        aim_shown(shown, (aim_slice){(const char *)order->data, order->size}));
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

static const aim_zip_entry *find_storage(const archive *x, aim_slice key)
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
    return aim_zip_find(&x->pt->zip, (aim_slice){name, head + 5 + key.size});
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
static aim_status open_storage(const archive *x, aim_ref storage, aim_tensor *t, int64_t *elements)
{
    const aim_pickle *p = &x->pt->pickle;
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
static aim_status read_tensor(archive *x, aim_ref value, aim_tensor *t)
{
    const aim_pickle *p = &x->pt->pickle;
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
    return AIMNET_OK;
}

static aim_status read_name(const aim_pickle *p, aim_ref key, aim_tensor *t)
{
    t->name = aim_pickle_text(p, key);
    for (size_t i = 0; i < t->name.size; i++)
        if (t->name.text[i] <= ' ' || t->name.text[i] > '~')
            return wrong("a tensor's name has spaces, control or non-ASCII characters");
    return AIMNET_OK;
}

static aim_status read_tensors(archive *x, aim_ref dict, size_t file_size, const aim_alloc *a)
{
    aim_pt *pt = x->pt;
    char shown[AIM_SHOWN_SIZE];
    const size_t n = aim_pickle_count(&pt->pickle, dict) / 2;
    AIM_TRY(aim_new0(a, n, sizeof *pt->tensor, "list of tensors", &pt->tensor));
    for (aim_items it = aim_pickle_items(&pt->pickle, dict); it.value != AIM_NO_REF;
         aim_pickle_next(&pt->pickle, &it)) {
        aim_tensor *t = &pt->tensor[pt->n_tensors++];
        AIM_TRY(read_name(&pt->pickle, it.value, t));
        aim_pickle_next(&pt->pickle, &it);
        const aim_status status = read_tensor(x, it.value, t);
        if (status != AIMNET_OK)
            return aim_fail_prefix(status, "tensor '%s'", aim_shown(shown, t->name));
        if (x->unfolded > file_size)
            return wrong("the tensors share their storages so often that together they are larger "
                         "than the file");
    }
    AIM_TRY(aim_names_create(&pt->names, a, pt->tensor, sizeof *pt->tensor, pt->n_tensors));
    const size_t twice = aim_names_duplicate(&pt->names);
    if (twice != AIM_NO_NAME)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "tensor '%s' occurs twice",
                        aim_shown(shown, pt->tensor[twice].name));
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- the dictionary */

static aim_status find_state_dict(const archive *x, aim_ref *state_dict)
{
    const aim_pickle *p = &x->pt->pickle;
    if (aim_pickle_kind_of(p, p->root) != AIM_PICKLE_DICT)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "the file holds %s, not a dictionary with model_yaml and state_dict",
                        aim_pickle_kind_name(aim_pickle_kind_of(p, p->root)));
    *state_dict = aim_pickle_get(p, p->root, "state_dict");
    const aim_ref yaml = aim_pickle_get(p, p->root, "model_yaml");
    const aim_ref first = aim_pickle_item(p, p->root, 1);
    if (*state_dict == AIM_NO_REF && yaml == AIM_NO_REF && first != AIM_NO_REF &&
        aim_pickle_kind_of(p, first) == AIM_PICKLE_TENSOR)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "a raw training checkpoint: weights without architecture and metadata; "
                        "export it to a model file first (`aimnet export`)");
    if (*state_dict == AIM_NO_REF || aim_pickle_kind_of(p, *state_dict) != AIM_PICKLE_DICT)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "not an AIMNet2 model: the dictionary has no state_dict of tensors");
    return AIMNET_OK;
}

static aim_status open_all(archive *x, const aim_alloc *a, const unsigned char *bytes, size_t size)
{
    aim_pt *pt = x->pt;
    aim_ref state_dict = AIM_NO_REF;
    AIM_TRY(aim_zip_open(a, bytes, size, &pt->zip));
    AIM_TRY(find_prefix(x));
    AIM_TRY(check_records(x));
    AIM_TRY(aim_pickle_parse(a, pt->zip.entry[0].data, pt->zip.entry[0].size, &pt->pickle));
    pt->metadata = pt->pickle.root;
    AIM_TRY(find_state_dict(x, &state_dict));
    return read_tensors(x, state_dict, size, a);
}

aim_status aim_pt_open(const aim_alloc *a, const unsigned char *bytes, size_t size, aim_pt *pt)
{
    *pt = (aim_pt){.metadata = AIM_NO_REF};
    archive x = {.pt = pt};
    const aim_status status = open_all(&x, a, bytes, size);
    if (status != AIMNET_OK)
        aim_pt_free(pt, a);
    return status;
}

void aim_pt_free(aim_pt *pt, const aim_alloc *a)
{
    aim_names_free(&pt->names, a);
    aim_free(a, pt->tensor);
    aim_pickle_free(&pt->pickle, a);
    aim_zip_free(&pt->zip, a);
    *pt = (aim_pt){.metadata = AIM_NO_REF};
}
