/* SPDX-License-Identifier: MIT */
/* safetensors.c - the header's tokens to tensors, then the check that they tile the data.
 *
 *     8 bytes: length n of the header, little-endian;  n bytes: JSON;  then the data
 *     {"__metadata__": {text: text}, "NAME": {"dtype": "F32", "shape": [2, 3],
 *                                             "data_offsets": [begin, end]}, ...}
 * Offsets count from the end of the header. Sorted by their beginning, each tensor must begin where
 * the one before it ends, from 0 to the last byte of the file: no holes that could hide something,
 * no overlaps. Memory: one aim_tensor per entry of at least 50 characters. */
#include "io/safetensors.h"

#include <string.h>

#include "io/json.h"
#include "io/little.h"

enum { PREFIX = 8, MAX_TENSORS = 1 << 20 };

typedef struct reader {
    const aim_alloc *alloc;
    aim_json json;
    const unsigned char *data; /* behind the header */
    size_t data_size, capacity;
    aim_safetensors *st;
} reader;

static const char *const dtype_names[] = {"F32", "F64", "F16", "BF16", "I64",
                                          "I32", "I16", "I8",  "U8",   "BOOL"};
enum { N_DTYPES = sizeof dtype_names / sizeof *dtype_names };

const char *aim_safetensors_dtype(aim_dtype dtype)
{
    return dtype_names[dtype];
}

int aim_safetensors_probe(const unsigned char *bytes, size_t size)
{
    return size > PREFIX && bytes[PREFIX] == '{' && bytes[PREFIX - 1] == 0 &&
           bytes[PREFIX - 2] == 0;
}

/* ---------------------------------------------------------------- one entry */

static aim_status expect(reader *r, aim_json_kind kind, const char *what)
{
    AIM_TRY(aim_json_next(&r->json));
    return r->json.kind == kind ? AIMNET_OK : aim_json_wrong(&r->json, what);
}

static aim_status read_dtype(reader *r, aim_tensor *t)
{
    char shown[AIM_SHOWN_SIZE];
    int k = 0;
    AIM_TRY(expect(r, AIM_JSON_TEXT, "dtype must be a string"));
    while (k < N_DTYPES && !aim_slice_is(r->json.value, dtype_names[k]))
        k++;
    if (k == N_DTYPES)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "type '%s' is not one of F64 F32 F16 BF16 I64 I32 I16 I8 "
                        "U8 BOOL",
                        aim_shown(shown, r->json.value));
    t->dtype = (aim_dtype)k;
    return AIMNET_OK;
}

/* A list of at most `most` integers that are not negative. */
static aim_status read_list(reader *r, int most, int *n, int64_t *out)
{
    static const char what[] = "shape or data_offsets must be a short list of integers from 0 on";
    AIM_TRY(expect(r, AIM_JSON_LIST, what));
    for (*n = 0;; (*n)++) {
        AIM_TRY(aim_json_next(&r->json));
        if (r->json.kind == AIM_JSON_LIST_END)
            return AIMNET_OK;
        if (r->json.kind != AIM_JSON_INT || r->json.i < 0 || *n == most)
            return aim_json_wrong(&r->json, what);
        out[*n] = r->json.i;
    }
}

static aim_status place(const reader *r, aim_tensor *t, const int64_t offsets[2])
{
    const int64_t size = (int64_t)aim_dtype_size(t->dtype);
    int64_t stride = 1;
    for (int d = t->ndim; d-- > 0;) {
        t->stride[d] = stride;
        stride =
            t->shape[d] > 0 && stride > INT64_MAX / t->shape[d] ? INT64_MAX : stride * t->shape[d];
    }
    if (offsets[0] > offsets[1] || (uint64_t)offsets[1] > r->data_size)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "data_offsets [%lld, %lld] in a file with %zu bytes of data",
                        (long long)offsets[0], (long long)offsets[1], r->data_size);
    const int64_t bytes = offsets[1] - offsets[0];
    AIM_TRY(aim_tensor_check(t, bytes / size));
    if (t->count * size != bytes)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%lld elements of %s are not %lld bytes",
                        (long long)t->count, aim_dtype_name(t->dtype), (long long)bytes);
    t->data = r->data + offsets[0];
    return AIMNET_OK;
}

/* The object behind a tensor's name. */
static aim_status read_fields(reader *r, aim_tensor *t)
{
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    int64_t offsets[2] = {0, 0};
    int seen = 0, n_offsets = 0;
    AIM_TRY(expect(r, AIM_JSON_OBJECT, "a tensor must be an object of dtype, shape, data_offsets"));
    for (;;) {
        AIM_TRY(aim_json_next(&r->json));
        if (r->json.kind == AIM_JSON_OBJECT_END)
            break;
        int k = 0;
        while (k < 3 && !aim_slice_is(r->json.value, fields[k]))
            k++;
        if (k == 3 || (seen & 1 << k) != 0)
            return aim_json_wrong(&r->json,
                                  "a tensor must have dtype, shape and data_offsets, each "
                                  "once, and nothing else");
        seen |= 1 << k;
        if (k == 0)
            AIM_TRY(read_dtype(r, t));
        else if (k == 1)
            AIM_TRY(read_list(r, AIM_MAX_DIMS, &t->ndim, t->shape));
        else
            AIM_TRY(read_list(r, 2, &n_offsets, offsets));
    }
    if (seen != 7 || n_offsets != 2)
        return aim_json_wrong(&r->json, "a tensor lacks dtype, shape or two data_offsets");
    return place(r, t, offsets);
}

static aim_status read_tensor(reader *r)
{
    aim_safetensors *st = r->st;
    char shown[AIM_SHOWN_SIZE];
    if (st->n_tensors == MAX_TENSORS)
        return aim_json_wrong(&r->json, "more than a million tensors");
    if (st->n_tensors == r->capacity) {
        const size_t grown = r->capacity ? 2 * r->capacity : 64;
        AIM_TRY(aim_grow(r->alloc, r->capacity, grown, sizeof *st->tensor, "list of tensors",
                         &st->tensor));
        r->capacity = grown;
    }
    aim_tensor *t = &st->tensor[st->n_tensors++];
    *t = (aim_tensor){.name = r->json.value};
    for (size_t i = 0; i < t->name.size; i++)
        if (t->name.text[i] <= ' ' || t->name.text[i] > '~' || t->name.text[i] == '\\')
            return aim_json_wrong(&r->json, "a tensor's name has spaces, escapes, control or "
                                            "non-ASCII characters");
    const aim_status status = read_fields(r, t);
    return status == AIMNET_OK ? status
                               : aim_fail_prefix(status, "tensor '%s'", aim_shown(shown, t->name));
}

/* {text: text}: says nothing about the tensors. */
static aim_status skip_metadata(reader *r)
{
    static const char what[] = "__metadata__ must map strings to strings";
    AIM_TRY(expect(r, AIM_JSON_OBJECT, what));
    for (;;) {
        AIM_TRY(aim_json_next(&r->json));
        if (r->json.kind == AIM_JSON_OBJECT_END)
            return AIMNET_OK;
        AIM_TRY(expect(r, AIM_JSON_TEXT, what));
    }
}

/* ---------------------------------------------------------------- the whole header */

static aim_status read_header(reader *r)
{
    int has_metadata = 0;
    AIM_TRY(expect(r, AIM_JSON_OBJECT, "the header must be an object"));
    for (;;) {
        AIM_TRY(aim_json_next(&r->json));
        if (r->json.kind == AIM_JSON_OBJECT_END)
            break;
        if (!aim_slice_is(r->json.value, "__metadata__")) {
            AIM_TRY(read_tensor(r));
            continue;
        }
        if (has_metadata++)
            return aim_json_wrong(&r->json, "__metadata__ occurs twice");
        AIM_TRY(skip_metadata(r));
    }
    return aim_json_next(&r->json);
}

/* Moves order[root] down until the heap of `count` numbers has later beginnings on top. */
static void sift_down(const aim_tensor *t, uint32_t *order, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && t[order[child]].data < t[order[child + 1]].data)
            child++;
        if (t[order[root]].data >= t[order[child]].data)
            return;
        const uint32_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
    }
}

static aim_status check_tiling(const reader *r, uint32_t *order)
{
    const aim_tensor *t = r->st->tensor;
    const size_t n = r->st->n_tensors;
    size_t filled = 0, k = 0;
    char shown[AIM_SHOWN_SIZE];
    for (size_t i = 0; i < n; i++)
        if (t[i].count > 0)
            order[k++] = (uint32_t)i;
    for (size_t i = k / 2; i-- > 0;)
        sift_down(t, order, i, k);
    for (size_t end = k; end > 1; end--) {
        const uint32_t swap = order[0];
        order[0] = order[end - 1];
        order[end - 1] = swap;
        sift_down(t, order, 0, end - 1);
    }
    for (size_t i = 0; i < k; i++) {
        const aim_tensor *x = &t[order[i]];
        if ((size_t)(x->data - r->data) != filled)
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "tensor '%s' begins at byte %zu of the data instead of %zu: tensors "
                            "must neither overlap nor leave holes",
                            aim_shown(shown, x->name), (size_t)(x->data - r->data), filled);
        filled += (size_t)x->count * aim_dtype_size(x->dtype);
    }
    if (filled != r->data_size)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%zu bytes at the end of the file belong to no tensor",
                        r->data_size - filled);
    return AIMNET_OK;
}

static aim_status open_all(reader *r)
{
    uint32_t *order = NULL;
    char shown[AIM_SHOWN_SIZE];
    aim_safetensors *st = r->st;
    AIM_TRY(read_header(r));
    AIM_TRY(aim_new(r->alloc, st->n_tensors, sizeof *order, "order of tensors", &order));
    const aim_status status = check_tiling(r, order);
    aim_free(r->alloc, order);
    AIM_TRY(status);
    AIM_TRY(aim_names_create(&st->names, r->alloc, st->tensor, sizeof *st->tensor, st->n_tensors));
    const size_t twice = aim_names_duplicate(&st->names);
    if (twice != AIM_NO_NAME)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "tensor '%s' occurs twice",
                        aim_shown(shown, st->tensor[twice].name));
    return AIMNET_OK;
}

aim_status aim_safetensors_open(const aim_alloc *a, const unsigned char *bytes, size_t size,
                                aim_safetensors *st)
{
    *st = (aim_safetensors){0};
    const uint64_t n = size >= PREFIX ? aim_le64(bytes) : 0;
    if (n < 2 || n > AIM_SAFETENSORS_HEADER || n > size - PREFIX)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "a safetensors header of %llu bytes in a file of %zu (the limit is %d)",
                        (unsigned long long)n, size, AIM_SAFETENSORS_HEADER);
    reader r = {.alloc = a,
                .data = bytes + PREFIX + n,
                .data_size = size - PREFIX - (size_t)n,
                .st = st,
                .json = aim_json_of((aim_slice){(const char *)bytes + PREFIX, (size_t)n},
                                    "safetensors header")};
    const aim_status status = open_all(&r);
    if (status != AIMNET_OK)
        aim_safetensors_free(st, a);
    return status;
}

void aim_safetensors_free(aim_safetensors *st, const aim_alloc *a)
{
    aim_names_free(&st->names, a);
    aim_free(a, st->tensor);
    *st = (aim_safetensors){0};
}
