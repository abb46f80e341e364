/* SPDX-License-Identifier: MIT */
/* safetensors_write.c - offsets first, then the header, then the data in the order of the offsets.
 *
 * The header is padded with blanks to a multiple of 8 bytes, so that the data begin aligned. */
#include "io/safetensors_write.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "io/safetensors.h"

enum { LARGEST_TYPE = 8 };

static size_t bytes_of(const aim_tensor *t)
{
    return (size_t)t->count * aim_dtype_size(t->dtype);
}

/* Where each tensor begins: those of 8-byte types first, ... */
static void place(const aim_tensor *t, size_t n, size_t *begin)
{
    size_t at = 0;
    for (size_t size = LARGEST_TYPE; size > 0; size /= 2)
        for (size_t i = 0; i < n; i++) {
            if (aim_dtype_size(t[i].dtype) != size)
                continue;
            begin[i] = at;
            at += bytes_of(&t[i]);
        }
}

static aim_status describe(const aim_alloc *a, const aim_tensor *t, size_t begin, aim_string *s)
{
    if (memchr(t->name.text, '"', t->name.size) || memchr(t->name.text, '\\', t->name.size))
        return AIM_FAIL(AIMNET_ERR_MODEL, "a tensor's name has quotes or backslashes, which a "
                                          "safetensors header would have to escape");
    AIM_TRY(aim_string_printf(s, a, ",\"%.*s\":{\"dtype\":\"%s\",\"shape\":[", (int)t->name.size,
                              t->name.text, aim_safetensors_dtype(t->dtype)));
    for (int d = 0; d < t->ndim; d++)
        AIM_TRY(aim_string_printf(s, a, d ? ",%" PRId64 : "%" PRId64, t->shape[d]));
    return aim_string_printf(s, a, "],\"data_offsets\":[%zu,%zu]}", begin, begin + bytes_of(t));
}

static aim_status make_header(const aim_alloc *a, const aim_tensor *t, size_t n,
                              const size_t *begin, aim_string *s)
{
    static const char start[] = "{\"__metadata__\":{\"format\":\"pt\"}";
    AIM_TRY(aim_string_append(s, a, start, sizeof start - 1));
    for (size_t i = 0; i < n; i++)
        AIM_TRY(describe(a, &t[i], begin[i], s));
    AIM_TRY(aim_string_append(s, a, "}", 1));
    while (s->size % 8 != 0)
        AIM_TRY(aim_string_append(s, a, " ", 1));
    if (s->size > AIM_SAFETENSORS_HEADER)
        return AIM_FAIL(AIMNET_ERR_ARG, "a safetensors header of %zu bytes; the limit is %d",
                        s->size, AIM_SAFETENSORS_HEADER);
    return AIMNET_OK;
}

static aim_status write_tensor(const aim_alloc *a, aim_outfile *out, const aim_tensor *t)
{
    unsigned char *packed = NULL;
    if (aim_tensor_is_packed(t))
        return aim_outfile_write(out, t->data, bytes_of(t));
    AIM_TRY(aim_new(a, bytes_of(t), 1, "a tensor", &packed));
    aim_tensor_pack(t, packed);
    const aim_status status = aim_outfile_write(out, packed, bytes_of(t));
    aim_free(a, packed);
    return status;
}

static aim_status write_all(const aim_alloc *a, aim_outfile *out, const aim_tensor *t, size_t n,
                            const aim_string *header)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header->size >> (8 * i));
    AIM_TRY(aim_outfile_write(out, length, sizeof length));
    AIM_TRY(aim_outfile_write(out, header->data, header->size));
    for (size_t size = LARGEST_TYPE; size > 0; size /= 2)
        for (size_t i = 0; i < n; i++)
            if (aim_dtype_size(t[i].dtype) == size)
                AIM_TRY(write_tensor(a, out, &t[i]));
    return AIMNET_OK;
}

aim_status aim_safetensors_write(const aim_alloc *a, aim_outfile *out, const aim_tensor *tensor,
                                 size_t n_tensors)
{
    aim_string header = {0};
    size_t *begin = NULL;
    AIM_TRY(aim_new(a, n_tensors, sizeof *begin, "offsets of tensors", &begin));
    place(tensor, n_tensors, begin);
    aim_status status = make_header(a, tensor, n_tensors, begin, &header);
    if (status == AIMNET_OK)
        status = write_all(a, out, tensor, n_tensors, &header);
    aim_string_free(&header, a);
    aim_free(a, begin);
    return status;
}
